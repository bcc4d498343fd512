# SPDX-License-Identifier: Apache-2.0
"""The peer's AUTH by a key that the operator has given for its identity (RFC 7670 §3, §4)."""

from ikeway.auth import signatures
from ikeway.crypto.keypair import PublicKey
from ikeway.ike.proof import Claim
from ikeway.ike.session import Session
from ikeway.model.errors import AuthenticationError
from ikeway.model.identity import Identity
from ikeway.policy.connection import Connection
from ikeway.wire.message import Message
from ikeway.wire.payloads import Authentication, Certificate
from ikeway.wire.registry import CertEncoding


def check(
    session: Session, connection: Connection, theirs: Claim, identity: Identity, message: Message
) -> None:
    """Check the peer's AUTH. Its identity says which keys count, whatever key it sends.

    Raises:
        AuthenticationError: none is known for that identity, it sent another one, or the signature
            is not of its key.
    """
    auth = message.one(Authentication)
    known = _known(session, identity, message)
    if auth is None:
        raise AuthenticationError("no AUTH")
    octets, reason = theirs.octets(session), ""
    for key in known:
        try:
            signatures.verify(
                auth.method, auth.data, key, octets, allow_sha1=connection.allow_sha1_signatures
            )
        except AuthenticationError as error:
            reason = error.reason
        else:
            return
    raise AuthenticationError(f"the public key of {identity}: {reason}")


def _known(session: Session, identity: Identity, message: Message) -> tuple[PublicKey, ...]:
    """Return the keys that count for an identity; only the one that is sent, if one is.

    # INTEROP strongswan: 5.9 and 6 sign with a raw key and never send it.
    """
    known = session.env.credentials.keys_of(identity)
    if not known:
        raise AuthenticationError(f"no public key is known for {identity}")
    sent = [
        payload.data
        for payload in message.all(Certificate)
        if payload.encoding is CertEncoding.RAW_PUBLIC_KEY
    ]
    fitting = tuple(key for key in known if key.der in sent) if sent else known
    if not fitting:
        raise AuthenticationError(f"the peer sent another public key than is known for {identity}")
    return fitting
