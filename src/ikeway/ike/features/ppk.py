# SPDX-License-Identifier: Apache-2.0
"""USE_PPK and USE_PPK_INT: both sides have keys beside the key exchange (RFC 8784, RFC 9867).

They are safe from quantum computers. Mixed in before IKE_AUTH they protect the identities as well.
"""

from enum import Enum

from ikeway.ike.features import intermediate
from ikeway.ike.features.context import Context
from ikeway.policy.connection import UsePpk
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType


class PpkUse(Enum):
    """Where such a key is mixed in."""

    NEVER = "never"
    IN_AUTH = "in IKE_AUTH"
    """RFC 8784."""
    IN_INTERMEDIATE = "in IKE_INTERMEDIATE"
    """RFC 9867."""


def announce(context: Context) -> tuple[Notify, ...]:
    """Return the notifies, where the connection wants such a key: the peer chooses the way."""
    if not is_wanted(context):
        return ()
    return (Notify(NotifyType.USE_PPK_INT), Notify(NotifyType.USE_PPK))


def one_of(answer: tuple[Notify, ...]) -> tuple[Notify, ...]:
    """Return a responder's notifies with one of both, the better one (RFC 9867 §3.1)."""
    if not any(notify.type is NotifyType.USE_PPK_INT for notify in answer):
        return answer
    return tuple(notify for notify in answer if notify.type is not NotifyType.USE_PPK)


def learn(message: Message, context: Context) -> PpkUse:
    """Return where both sides want one; before IKE_AUTH only if there can be an exchange for it."""
    if not is_wanted(context):
        return PpkUse.NEVER
    if message.notify(NotifyType.USE_PPK_INT) is not None and intermediate.learn(message):
        return PpkUse.IN_INTERMEDIATE
    return PpkUse.NEVER if message.notify(NotifyType.USE_PPK) is None else PpkUse.IN_AUTH


def is_wanted(context: Context) -> bool:
    """Whether the connection wants one."""
    return context.connection.ppk is not UsePpk.OFF
