# SPDX-License-Identifier: Apache-2.0
"""Negotiated extensions, one file each: `announce()` gives notifies, `learn()` reads the peer's.

Nothing else reads the raw notifies. What both sides agreed on is `Agreed`.
"""

from dataclasses import dataclass
from typing import Final

from ikeway.crypto.sign import SignatureHash
from ikeway.ike.features import (
    auth_lifetime,
    auth_methods,
    childless,
    fragmentation,
    full_transcript,
    intermediate,
    message_id_sync,
    multiple_auth,
    nat_traversal,
    ppk,
    redirect,
    signature_hashes,
)
from ikeway.ike.features.context import Context
from ikeway.ike.features.nat_traversal import Nat
from ikeway.ike.features.ppk import PpkUse
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify

FEATURES: Final = (
    nat_traversal,
    fragmentation,
    signature_hashes,
    intermediate,
    full_transcript,
    ppk,
    childless,
)
OF_THE_CLIENT: Final = (redirect,)
"""Extensions that depend on where the client comes from."""
OF_THE_GATEWAY: Final = (multiple_auth, auth_lifetime)
"""Extensions of which the responder speaks unasked."""
IN_IKE_AUTH: Final = (message_id_sync, auth_methods)
"""Extensions that are agreed on in IKE_AUTH, not in IKE_SA_INIT."""


@dataclass(frozen=True, slots=True)
class Agreed:
    """The extensions of an IKE SA. `peer_hashes` is None where the peer has no RFC 7427.

    `fragment_size` is the largest datagram that is sent whole, None where nothing is fragmented.
    `intermediate` is whether exchanges may come between IKE_SA_INIT and IKE_AUTH (RFC 9242).
    `full_transcript` is whether AUTH covers both messages of IKE_SA_INIT.
    `ppk` is where both sides want a postquantum preshared key mixed in (RFC 8784, RFC 9867).
    `childless` is whether the responder takes an IKE_AUTH request without a Child SA.
    `redirect` is whether the initiator goes where it is sent (RFC 5685).
    `multiple_auth` is whether the responder takes more than one proof (RFC 4739).
    `mobike` is agreed on last, in IKE_AUTH (RFC 4555 §3.2).
    """

    nat: Nat
    fragment_size: int | None
    peer_hashes: frozenset[SignatureHash] | None
    intermediate: bool = False
    full_transcript: bool = False
    ppk: PpkUse = PpkUse.NEVER
    childless: bool = False
    redirect: bool = False
    multiple_auth: bool = False
    mobike: bool = False
    message_id_sync: bool = False


def announce(context: Context) -> tuple[Notify, ...]:
    """Return the notifies of all features for an IKE_SA_INIT message of ours."""
    return tuple(notify for feature in FEATURES for notify in feature.announce(context))


def answer(request: Message, context: Context) -> tuple[Notify, ...]:
    """Return those of our notifies whose like the request has, for our answer to it."""
    ours = tuple(notify for notify in announce(context) if request.notify(notify.type))
    return ppk.one_of(ours)


def unasked(request: Message, context: Context) -> tuple[Notify, ...]:
    """Return what a responder says unasked, where its answer has room for it."""
    ours = childless.announce(context)
    return tuple(notify for notify in ours if not request.notify(notify.type))


def learn(message: Message, context: Context) -> Agreed:
    """Return what the peer's IKE_SA_INIT message agrees to."""
    return Agreed(
        redirect=redirect.learn(message),
        multiple_auth=multiple_auth.learn(message),
        nat=nat_traversal.learn(message, context),
        fragment_size=fragmentation.learn(message, context),
        peer_hashes=signature_hashes.learn(message, context),
        intermediate=intermediate.learn(message, context),
        full_transcript=full_transcript.learn(message, context),
        ppk=ppk.learn(message, context),
        childless=childless.learn(message, context),
    )
