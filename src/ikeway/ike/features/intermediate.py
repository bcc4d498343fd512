# SPDX-License-Identifier: Apache-2.0
"""INTERMEDIATE_EXCHANGE_SUPPORTED: exchanges between IKE_SA_INIT and IKE_AUTH (RFC 9242 §3.1)."""

from ikeway.ike.features.context import Context
from ikeway.policy.connection import UsePpk
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType


def announce(context: Context) -> tuple[Notify, ...]:
    """Return the notify, where something of ours needs it: additional key exchanges, a PPK."""
    connection = context.connection
    is_needed = any(spec.additional for spec in connection.ike) or connection.ppk is not UsePpk.OFF
    return (Notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED),) if is_needed else ()


def learn(message: Message, context: Context | None = None) -> bool:
    """Return whether the peer has the exchange, and, of a `context`, whether we say so as well.

    Data of the notify is ignored (§3.1).
    """
    is_ours = context is None or bool(announce(context))
    return is_ours and message.notify(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED) is not None
