# SPDX-License-Identifier: Apache-2.0
"""SIGNATURE_HASH_ALGORITHMS: which hashes may sign AUTH (RFC 7427 §4, RFC 8420)."""

from ikeway.auth.signatures import OUR_HASHES, decode_hashes, encode_hashes
from ikeway.crypto.sign import SignatureHash
from ikeway.ike.features.context import Context
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType


def announce(context: Context) -> tuple[Notify, ...]:  # noqa: ARG001 - features share one shape
    """Return the notify with the hashes that we accept; SHA-1 is never among them (RFC 8247 §4)."""
    return (Notify(NotifyType.SIGNATURE_HASH_ALGORITHMS, encode_hashes(OUR_HASHES)),)


def learn(message: Message, context: Context) -> frozenset[SignatureHash] | None:  # noqa: ARG001
    """Return the hashes that the peer accepts, or None if it does not know the extension."""
    notify = message.notify(NotifyType.SIGNATURE_HASH_ALGORITHMS)
    return None if notify is None else decode_hashes(notify.data)
