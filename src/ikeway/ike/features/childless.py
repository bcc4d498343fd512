# SPDX-License-Identifier: Apache-2.0
"""CHILDLESS_IKEV2_SUPPORTED: an IKE SA may begin without a Child SA (RFC 6023 §3, §4)."""

from ikeway.ike.features.context import Context
from ikeway.policy.connection import Childless
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType, ProtocolId


def announce(context: Context) -> tuple[Notify, ...]:  # noqa: ARG001 - features share one shape
    """Return nothing: it is the responder who says so, asked or not."""
    return ()


def answer(context: Context) -> tuple[Notify, ...]:
    """Return the notify of a responder that is not configured against it (§3)."""
    if context.connection.childless is Childless.NEVER:
        return ()
    return (Notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED, protocol=ProtocolId.IKE),)


def learn(message: Message, context: Context) -> bool:  # noqa: ARG001
    """Return whether the responder takes an IKE_AUTH request without a Child SA."""
    return message.notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED) is not None
