# SPDX-License-Identifier: Apache-2.0
"""AUTH_LIFETIME: a responder says how long the initiator's proof counts (RFC 4478 §2, §3)."""

from typing import Final

from ikeway.model.time import Seconds
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

_OCTETS: Final = 4


def notify(left: Seconds) -> Notify:
    """Return what tells an initiator how long it has, in whole seconds; 0 is: begin now."""
    whole = min(max(int(left), 0), 2 ** (8 * _OCTETS) - 1)
    return Notify(NotifyType.AUTH_LIFETIME, whole.to_bytes(_OCTETS))


def learn(message: Message) -> Seconds | None:
    """Return how long the responder lets our proof count; None where it does not say."""
    said = message.notify(NotifyType.AUTH_LIFETIME)
    if said is None or len(said.data) != _OCTETS:
        return None
    return float(int.from_bytes(said.data))
