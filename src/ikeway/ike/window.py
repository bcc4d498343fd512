# SPDX-License-Identifier: Apache-2.0
"""Message IDs, retransmission, cached responses: once, for all exchanges (RFC 7296 §2.1-2.4)."""

from dataclasses import dataclass, replace

from ikeway.ike.fragments import Content, Datagrams
from ikeway.ike.tasks import Asked
from ikeway.model.time import Instant
from ikeway.policy.lifetimes import Retransmission
from ikeway.wire.registry import ExchangeType

MESSAGE_ID_LAST = 2**32 - 2
"""Requests end here: the counter must not wrap (RFC 7296 §2.2)."""


@dataclass(frozen=True, slots=True)
class Outstanding:
    """A request of ours without a response; `asked` is what an established SA asked with it.

    `content` is there where it may have to be split into smaller fragments (RFC 7383 §2.5.2).
    """

    message_id: int
    exchange: ExchangeType
    datagrams: Datagrams
    sent: int
    due: Instant
    give_up: Instant
    asked: Asked | None = None
    content: Content | None = None

    @classmethod
    def first(
        cls,
        message_id: int,
        exchange: ExchangeType,
        datagrams: Datagrams,
        timing: Retransmission,
        now: Instant,
    ) -> "Outstanding":
        """Return the request as it leaves for the first time."""
        due = now + timing.wait(0)
        return cls(message_id, exchange, datagrams, 1, due, now + timing.give_up)

    def again(self, timing: Retransmission, now: Instant) -> "Outstanding | None":
        """Return the request as it leaves once more, unchanged; None when it is time to give up."""
        if now >= self.give_up:
            return None
        due = min(now + timing.wait(self.sent), self.give_up)
        return replace(self, sent=self.sent + 1, due=due)

    def split(self, datagrams: Datagrams, timing: Retransmission, now: Instant) -> "Outstanding":
        """Return the request in smaller fragments; its repetitions start over (RFC 7383 §2.5.2)."""
        due = min(now + timing.wait(0), self.give_up)
        return replace(self, datagrams=datagrams, sent=1, due=due)

    def anew(self, timing: Retransmission, now: Instant) -> "Outstanding":
        """Return the request as if it left for the first time now: there is another way."""
        return replace(self, sent=1, due=now + timing.wait(0), give_up=now + timing.give_up)

    def hurry(self, timing: Retransmission, give_up: Instant, now: Instant) -> "Outstanding":
        """Return the request as it is sent again soon, and given up at `give_up` at the latest."""
        at_most = min(self.give_up, give_up)
        return replace(self, give_up=at_most, due=min(self.due, now + timing.first, at_most))


@dataclass(frozen=True, slots=True)
class Window:
    """Both windows of an IKE SA.

    `next_request` is the ID of our next request; `outstanding` are those without a response, oldest
    first, and `peer_size` is how many the peer has promised to keep. `expected` is the lowest ID of
    a request that we have not answered, `answered` our last responses by message ID: as many as
    `size`, which we have promised to keep. Both sizes are 1 until an SA is established (§2.3).
    """

    next_request: int = 0
    expected: int = 0
    outstanding: tuple[Outstanding, ...] = ()
    answered: tuple[tuple[int, Datagrams], ...] = ()
    size: int = 1
    peer_size: int = 1

    def widened(self, size: int = 1, peer_size: int = 1) -> "Window":
        """Return the window with sizes of at least these: no window ever shrinks (§2.3)."""
        wider = max(self.size, size), max(self.peer_size, peer_size)
        return replace(self, size=wider[0], peer_size=wider[1])

    # Our requests ---------------------------------------------------------------------------------

    @property
    def may_request(self) -> bool:
        """Whether a request may leave now: those up to X - N are answered (§2.3)."""
        oldest = self.outstanding[0].message_id if self.outstanding else self.next_request
        is_open = self.next_request < oldest + self.peer_size
        return is_open and self.next_request <= MESSAGE_ID_LAST

    @property
    def is_spent(self) -> bool:
        """Whether one request of ours is left, which the end of the IKE SA needs (§2.2)."""
        return self.next_request >= MESSAGE_ID_LAST or self.expected > MESSAGE_ID_LAST

    @property
    def due(self) -> Instant | None:
        """When the first of our requests is to be sent again."""
        return min((each.due for each in self.outstanding), default=None)

    def find(self, message_id: int) -> Outstanding | None:
        """Return our request with this ID, if it waits for its response."""
        return next((each for each in self.outstanding if each.message_id == message_id), None)

    def requested(self, outstanding: Outstanding) -> "Window":
        """Return the window with this request on its way."""
        after = (*self.outstanding, outstanding)
        return replace(self, outstanding=after, next_request=outstanding.message_id + 1)

    def anew(self, timing: Retransmission, now: Instant) -> "Window":
        """Return the window with all of our requests as if they left for the first time now."""
        return replace(self, outstanding=tuple(each.anew(timing, now) for each in self.outstanding))

    def repeated(self, again: Outstanding) -> "Window":
        """Return the window with a request as it was sent once more."""
        same = again.message_id
        after = tuple(again if each.message_id == same else each for each in self.outstanding)
        return replace(self, outstanding=after)

    def concluded(self, message_id: int) -> "Window":
        """Return the window after the response to a request of ours has come."""
        left = tuple(each for each in self.outstanding if each.message_id != message_id)
        return replace(self, outstanding=left)

    # The peer's requests --------------------------------------------------------------------------

    def accepts(self, message_id: int) -> bool:
        """Whether a request with this ID may have an effect, in whatever order they come (§2.3)."""
        is_inside = self.expected <= message_id < self.expected + self.size
        return is_inside and self.cached(message_id) is None

    def responded(self, message_id: int, datagrams: Datagrams) -> "Window":
        """Return the window after the peer's request was answered with `datagrams`.

        Who has asked X has all responses up to X - N, so these need not be kept.
        """
        answered = sorted((*self.answered, (message_id, datagrams)))
        newest, expected = answered[-1][0], self.expected
        kept = tuple(each for each in answered if each[0] > newest - self.size)
        known = {number for number, _ in kept}
        while expected in known:
            expected += 1
        return replace(self, expected=expected, answered=kept)

    def cached(self, message_id: int) -> Datagrams | None:
        """Return our response to a request that we have answered, if it is still known (§2.1)."""
        return next((kept for number, kept in self.answered if number == message_id), None)
