# SPDX-License-Identifier: Apache-2.0
"""Message IDs, retransmission, cached responses: once, for all exchanges (RFC 7296 §2.1-2.4)."""

from dataclasses import dataclass, replace

from ikeway.model.time import Instant
from ikeway.policy.lifetimes import Retransmission
from ikeway.wire.registry import ExchangeType

MESSAGE_ID_LAST = 2**32 - 2
"""Requests end here: the counter must not wrap (RFC 7296 §2.2)."""


@dataclass(frozen=True, slots=True)
class Outstanding:
    """A request of ours without a response."""

    message_id: int
    exchange: ExchangeType
    octets: bytes
    sent: int
    due: Instant
    give_up: Instant

    @classmethod
    def first(
        cls,
        message_id: int,
        exchange: ExchangeType,
        octets: bytes,
        timing: Retransmission,
        now: Instant,
    ) -> "Outstanding":
        """Return the request as it leaves for the first time."""
        due = now + timing.wait(0)
        return cls(message_id, exchange, octets, 1, due, now + timing.give_up)

    def again(self, timing: Retransmission, now: Instant) -> "Outstanding | None":
        """Return the request as it leaves once more, unchanged; None when it is time to give up."""
        if now >= self.give_up:
            return None
        due = min(now + timing.wait(self.sent), self.give_up)
        return replace(self, sent=self.sent + 1, due=due)

    def hurry(self, timing: Retransmission, give_up: Instant, now: Instant) -> "Outstanding":
        """Return the request as it is sent again soon, and given up at `give_up` at the latest."""
        at_most = min(self.give_up, give_up)
        return replace(self, give_up=at_most, due=min(self.due, now + timing.first, at_most))


@dataclass(frozen=True, slots=True)
class Window:
    """Both windows of an IKE SA, of size 1.

    `next_request` is the ID of our next request, `expected` that of the peer's. `answered` is the
    last request of the peer and our response to it.
    """

    next_request: int = 0
    expected: int = 0
    outstanding: Outstanding | None = None
    answered: tuple[int, bytes] | None = None

    @property
    def may_request(self) -> bool:
        """Whether a request may leave now (§2.3)."""
        return self.outstanding is None and self.next_request <= MESSAGE_ID_LAST

    @property
    def is_spent(self) -> bool:
        """Whether one request of ours is left, which the end of the IKE SA needs (§2.2)."""
        return self.next_request >= MESSAGE_ID_LAST or self.expected > MESSAGE_ID_LAST

    def requested(self, outstanding: Outstanding) -> "Window":
        """Return the window with this request on its way."""
        return replace(self, outstanding=outstanding, next_request=outstanding.message_id + 1)

    def concluded(self) -> "Window":
        """Return the window after the response has come."""
        return replace(self, outstanding=None)

    def responded(self, message_id: int, octets: bytes) -> "Window":
        """Return the window after the peer's request was answered with `octets`."""
        return replace(self, expected=message_id + 1, answered=(message_id, octets))

    def cached(self, message_id: int) -> bytes | None:
        """Return our response to a request that we have answered, if it is still known (§2.1)."""
        if self.answered is None or self.answered[0] != message_id:
            return None
        return self.answered[1]
