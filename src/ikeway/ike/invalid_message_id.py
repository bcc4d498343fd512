# SPDX-License-Identifier: Apache-2.0
"""INVALID_MESSAGE_ID: what lies beyond the window is not answered, but told of (RFC 7296 §2.3)."""

from dataclasses import dataclass
from typing import Final

from ikeway.ike.tasks import Inform
from ikeway.model.time import Instant, Seconds
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

PAUSE: Final[Seconds] = 10.0
"""Between two such messages: they "MUST be rate limited"."""
ID_OCTETS: Final = 4


@dataclass(frozen=True, slots=True)
class Complained:
    """The last message ID that we complained of, and when."""

    message_id: int
    at: Instant


def complaint(before: Complained | None, message_id: int, now: Instant) -> Complained | None:
    """Return what to remember if the peer is to be told now; None if it has been told enough."""
    if before is None:
        return Complained(message_id, now)
    if message_id == before.message_id or now < before.at + PAUSE:
        return None
    return Complained(message_id, now)


def notice(message_id: int) -> Inform:
    """Return the request that says so: "MUST NOT be sent in a response"."""
    data = message_id.to_bytes(ID_OCTETS)
    return Inform((Notify(NotifyType.INVALID_MESSAGE_ID, data),))


def reason(message: Message) -> str | None:
    """Return what the peer complains of, for people to read; nothing follows from it."""
    notify = message.notify(NotifyType.INVALID_MESSAGE_ID)
    if notify is None:
        return None
    number = int.from_bytes(notify.data) if len(notify.data) == ID_OCTETS else notify.data.hex()
    return f"the peer says INVALID_MESSAGE_ID: {number}"
