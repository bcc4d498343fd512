# SPDX-License-Identifier: Apache-2.0
"""Which policy each flow is to have: that of the newest pair that may send, else that of a trap.

Pairs of the same selectors are generations of one Child SA. They share a number (reqid), so that
what any of them receives is let in, and only the policy of what leaves names one SA.
"""

from dataclasses import dataclass, field
from itertools import count

from ikeway.dataplane.xfrm.compression import compressing, outer_mode
from ikeway.dataplane.xfrm.flows import Flow, flows
from ikeway.dataplane.xfrm.messages import Direction, Template
from ikeway.dataplane.xfrm.sas import protocol_of
from ikeway.model.esp import ChildSa, Mode, Usage
from ikeway.model.selectors import Selectors

TRAP_PRIORITY = 1 << 30
"""Smaller numbers come first, so traps come last."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A pair's or a trap's wish for a flow."""

    leaving: tuple[Template, ...]
    arriving: tuple[Template, ...]
    priority: int

    def towards(self, direction: Direction) -> tuple[Template, ...]:
        """Return what the policy of a direction asks for; nothing: there is none."""
        return self.leaving if direction is Direction.OUT else self.arriving


@dataclass
class Generation:
    """A pair: its flows, its number, and whether it waits for the peer to use it."""

    child: ChildSa
    flows: tuple[Flow, ...]
    reqid: int
    age: int
    is_standby: bool
    before: Usage = field(default=Usage())
    """What its SAs carried where they were, and did not bring along when they moved."""

    def is_like(self, child: ChildSa) -> bool:
        """Whether another pair is for the same packets."""
        ours = self.child
        return (ours.local_ts, ours.peer_ts, ours.mode, ours.suite.is_ah, ours.ipcomp is None) == (
            child.local_ts,
            child.peer_ts,
            child.mode,
            child.suite.is_ah,
            child.ipcomp is None,
        )

    def claim(self) -> Claim:
        """Return what it asks for."""
        child, version = self.child, self.child.peer.address.version
        ends = child.local.address, child.peer.address
        protocol, mode = protocol_of(child), outer_mode(child)
        leaving = Template(version, mode, self.reqid, *ends, child.spi_out, protocol)
        arriving = Template(version, mode, self.reqid, protocol=protocol)
        inner, inner_arriving = compressing(child, self.reqid)
        priority = TRAP_PRIORITY - 1 - self.age
        return Claim((*inner, leaving), (*inner_arriving, arriving), priority)


@dataclass
class Policies:
    """The pairs and traps that there are, and for each flow who wants it."""

    pairs: dict[int, Generation] = field(default_factory=dict)
    traps: dict[int, tuple[Flow, ...]] = field(default_factory=dict)
    _count: "count[int]" = field(default_factory=lambda: count(1))
    _by_flow: dict[Flow, set[int]] = field(default_factory=dict)
    _trapped: dict[Flow, set[int]] = field(default_factory=dict)

    def add(self, child: ChildSa, *, is_standby: bool) -> Generation:
        """Return the pair, which has its place from now on.

        Raises:
            HostError: the kernel has no policy for its selectors.
        """
        wanted = flows(child.local_ts, child.peer_ts)
        those = (self.pairs[spi] for spi in self._by_flow.get(wanted[0], ()))
        age = next(self._count)
        reqid = next((each.reqid for each in those if each.is_like(child)), age)
        made = Generation(child, wanted, reqid, age, is_standby)
        self.pairs[child.spi_in] = made
        for flow in wanted:
            self._by_flow.setdefault(flow, set()).add(child.spi_in)
        return made

    def wake(self, spi_in: int) -> None:
        """Let a pair send that was on standby: it is the newest now."""
        pair = self.pairs[spi_in]
        pair.is_standby, pair.age = False, next(self._count)

    def drop(self, spi_in: int) -> Generation:
        """Forget a pair, and return it."""
        pair = self.pairs.pop(spi_in)
        _leave(self._by_flow, pair.flows, spi_in)
        return pair

    def trap(self, number: int, local_ts: Selectors, peer_ts: Selectors) -> tuple[Flow, ...]:
        """Set a trap, and return the flows that it and the one of its number before have.

        Raises:
            HostError: the kernel has no policy for its selectors.
        """
        wanted = flows(local_ts, peer_ts)
        before = self.untrap(number)
        self.traps[number] = wanted
        for flow in wanted:
            self._trapped.setdefault(flow, set()).add(number)
        return tuple(dict.fromkeys((*before, *wanted)))

    def untrap(self, number: int) -> tuple[Flow, ...]:
        """Take a trap back, and return its flows."""
        before = self.traps.pop(number, ())
        _leave(self._trapped, before, number)
        return before

    def wish(self, flow: Flow) -> Claim | None:
        """Return what a flow's policy is to be; None: there is to be none."""
        those = [self.pairs[spi] for spi in self._by_flow.get(flow, ())]
        sending = [pair for pair in those if not pair.is_standby]
        if sending:
            return max(sending, key=lambda pair: pair.age).claim()
        if those:
            return min(those, key=lambda pair: pair.age).claim()
        numbers = self._trapped.get(flow)
        if not numbers:
            return None
        reqid = TRAP_PRIORITY + min(numbers)
        wanted = Template(flow.peer.version, Mode.TRANSPORT, reqid)
        return Claim((wanted,), (), TRAP_PRIORITY)

    def standing_by(self) -> list[int]:
        """Return the pairs that wait for their peer."""
        return [spi for spi, pair in self.pairs.items() if pair.is_standby]


def _leave(wanted: dict[Flow, set[int]], left: tuple[Flow, ...], who: int) -> None:
    for flow in left:
        wanted[flow].discard(who)
        if not wanted[flow]:
            del wanted[flow]
