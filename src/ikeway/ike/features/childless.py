# SPDX-License-Identifier: Apache-2.0
"""CHILDLESS_IKEV2_SUPPORTED: an IKE SA may begin without a Child SA (RFC 6023 §3, §4)."""

from typing import Final

from ikeway.ike.features.context import Context
from ikeway.policy.connection import Childless
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType, ProtocolId

WANTED: Final = frozenset({Childless.PREFER, Childless.FORCE})
MAY: Final = WANTED | {Childless.ALLOW}


def announce(context: Context) -> tuple[Notify, ...]:
    """Return the notify of a responder that is not configured against it (§3).

    An initiator that wants it says so too: it makes room for the notify in the answer, which must
    not be longer than the request, as that may be forged.
    """
    allowed = WANTED if context.is_request else MAY
    if context.connection.childless not in allowed:
        return ()
    return (Notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED, protocol=ProtocolId.IKE),)


def learn(message: Message, context: Context) -> bool:  # noqa: ARG001
    """Return whether the responder takes an IKE_AUTH request without a Child SA."""
    return message.notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED) is not None
