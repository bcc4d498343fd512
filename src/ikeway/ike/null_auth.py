# SPDX-License-Identifier: Apache-2.0
"""NULL authentication: AUTH that binds the messages of an IKE SA and proves nobody (RFC 7619).

Whatever identity comes with it counts for nothing: such a peer is `ANONYMOUS` from then on.
"""

from typing import Final

from ikeway.auth import psk
from ikeway.ike.proof import Claim
from ikeway.ike.session import Session
from ikeway.model.errors import AuthenticationError
from ikeway.model.identity import ANONYMOUS, Identity, IdType
from ikeway.model.secret import Secret
from ikeway.wire.codec import Body
from ikeway.wire.payloads import Authentication
from ikeway.wire.registry import AuthMethod

METHOD: Final = AuthMethod.NULL


def prove(session: Session, ours: Claim) -> tuple[Body, ...]:
    """Return our AUTH, with our own SK_p in place of a shared key (§2.1)."""
    data = psk.compute(session.keyring.prf, Secret(ours.sk_p), ours.octets(session))
    return (Authentication(METHOD, data),)


def check(session: Session, theirs: Claim, auth: Authentication) -> None:
    """Check that the peer's AUTH is of this IKE SA, with its own SK_p (§2.1).

    Raises:
        AuthenticationError: it is not.
    """
    psk.verify(session.keyring.prf, Secret(theirs.sk_p), theirs.octets(session), auth.data)


def identity(auth: Authentication | None, said: Identity) -> Identity:
    """Return who a peer is for policy, as far as its AUTH can prove what it says (§2.2).

    Raises:
        AuthenticationError: it says that it is nobody, and proves that it is somebody.
    """
    if auth is None:
        return said
    if auth.method is METHOD:
        return ANONYMOUS
    if said.type is IdType.NULL:
        raise AuthenticationError(f"ID_NULL with AUTH by {auth.method.name}")
    return said
