# SPDX-License-Identifier: Apache-2.0
"""USE_PPK: both sides have keys beside the key exchange, safe from quantum computers (RFC 8784)."""

from ikeway.ike.features.context import Context
from ikeway.policy.connection import UsePpk
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType


def announce(context: Context) -> tuple[Notify, ...]:
    """Return the notify, where the connection wants such a key (§3)."""
    return (Notify(NotifyType.USE_PPK),) if _is_wanted(context) else ()


def learn(message: Message, context: Context) -> bool:
    """Return whether both sides want one."""
    return _is_wanted(context) and message.notify(NotifyType.USE_PPK) is not None


def _is_wanted(context: Context) -> bool:
    return context.connection.ppk is not UsePpk.OFF
