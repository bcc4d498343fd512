# SPDX-License-Identifier: Apache-2.0
"""Reauthentication: a new IKE SA beside the old one, which goes once the new one is up (§2.8.3).

RFC 7296 has no word for it: it is "creating a new IKE SA from scratch ... creating new Child SAs
within the new IKE SA ... and finally deleting the old IKE SA".
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias, TypeGuard

from ikeway.ike import reports, wanted
from ikeway.ike.authenticity import Authenticity
from ikeway.ike.children import Wish
from ikeway.ike.exchanges import ike_sa_init_initiator
from ikeway.ike.io import Action, AddChild, Disconnect, Initiate, Input, Report, Retire
from ikeway.ike.reports import Event, Reauthenticating, Rekeyed
from ikeway.ike.states import Established, Offspring, State, Step
from ikeway.ike.tasks import AskedChild, CreateChild, DeleteChild, End, Inform, Wanted
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection
from ikeway.wire.message import Message

REASON = "its identities were proven anew"


def begin(state: Established, now: Instant) -> Step:
    """Start the IKE SA that is to take over, over the same path, for the same addresses."""
    session = state.session
    spi = session.env.new_ike_spi()
    command = Initiate(_anew(state), session.link.local, session.link.peer)
    asked = ike_sa_init_initiator.request(session.env, command, spi, now)
    waiting = replace(state, authenticity=state.authenticity.renewing(now))
    said = session.report(Reauthenticating(state.connection.name, spi))
    return Step(waiting, (*asked.actions, said), (Offspring(spi, asked.state),))


def heed(state: Established, message: Message, now: Instant) -> Established:
    """Take what the gateway says of how long our proof counts, at any time (RFC 4478 §2)."""
    random = state.session.env.random
    heard = state.authenticity.heard(state.connection, message, random, now)
    return state if heard == state.authenticity else replace(state, authenticity=heard)


def _anew(state: Established) -> Connection:
    """Return the connection as it is asked for once more; the old IKE SA is no leftover (§2.4)."""
    connection = wanted.anew(state)
    lent = {address.version: address for address in state.virtual_ips}
    asked = tuple(lent.get(any_.version, any_) for any_ in connection.virtual_ips)
    return replace(connection, initial_contact=False, virtual_ips=asked)


def retire(state: State) -> State:
    """Return the state that ends once nothing is under way: another IKE SA took over.

    Its Child SAs go one by one, each receiving until the peer has answered: nothing is lost that is
    still on its way. Nothing new is asked, and age calls for nothing but the hard limits.
    """
    if not isinstance(state, Established) or any(isinstance(t, End) for t in state.queued):
        return state
    told = tuple(task for task in state.queued if isinstance(task, Inform | DeleteChild))
    last = tuple(DeleteChild(c.sa.spi_in) for c in state.children if not c.is_deleting)
    queued = tuple(dict.fromkeys((*told, *last, End(REASON))))
    kept = tuple(
        replace(child, is_replaced=True, rekey_at=child.expires_at) for child in state.children
    )
    return replace(
        state,
        children=kept,
        queued=queued,
        rekey_at=state.expires_at,
        wanted=Wanted(),
        authenticity=Authenticity(until=state.authenticity.until),
    )


def _is_complete(state: State) -> bool:
    """Whether an IKE SA has all that it set out to have."""
    return (
        isinstance(state, Established)
        and bool(state.children)
        and all(child.is_installed for child in state.children)
        and not any(isinstance(task, CreateChild) for task in state.queued)
        and not state.asking(AskedChild)
        and state.series.is_empty
    )


def _is_childless(state: State) -> bool:
    """Whether an IKE SA is up, and the peer or our data plane refused its Child SA."""
    return (
        isinstance(state, Established)
        and not state.children
        and not any(isinstance(task, CreateChild) for task in state.queued)
        and not state.asking(AskedChild)
        and state.series.is_empty
    )


def _is_stranded(state: State | None) -> TypeGuard[Established]:
    """Whether the traffic of an IKE SA may go to where we are no longer."""
    return isinstance(state, Established) and state.authenticity.is_stranded


class Stateful(Protocol):
    """An IKE SA as those see it who only look."""

    spi: bytes

    @property
    def state(self) -> State:
        """Where it stands."""
        ...


@dataclass(frozen=True, slots=True)
class Renewal:
    """An IKE SA of ours that is to take over from `old`, authenticated at `since`.

    `owed` are the Child SAs that it asks for again once the old one has none any more.
    """

    old: bytes
    since: Instant
    is_complete: bool = False
    owed: tuple[str, ...] = ()


Consequence: TypeAlias = tuple[bytes, Input]
"""What another IKE SA, named by its SPI, is to be told."""


class Renewals:
    """Which of our IKE SAs take over from which, by the SPI of the new one."""

    def __init__(self) -> None:
        self._by_new: dict[bytes, Renewal] = {}

    def forget(self, new: bytes) -> None:
        """Note that an IKE SA is gone."""
        self._by_new.pop(new, None)

    def takes_over(self, new: bytes, old: Stateful) -> None:
        """Note that an IKE SA is to take over from another one."""
        if isinstance(old.state, Established):
            self._by_new[new] = Renewal(old.spi, old.state.since)

    def consequences(
        self, sa: Stateful, actions: tuple[Action, ...], others: Mapping[bytes, Stateful]
    ) -> tuple[Consequence, ...]:
        """Return what follows for other IKE SAs from what one has just done."""
        found: list[Consequence] = []
        for action in actions:
            if isinstance(action, Report):
                found += self._after(sa, action.event, others)
        found += self._take_over(sa, others) + self._made_room(sa)
        return tuple(found)

    def _after(
        self, sa: Stateful, event: Event, others: Mapping[bytes, Stateful]
    ) -> list[Consequence]:
        match event:
            case reports.Established():
                return self._redundant([sa], others)
            case Rekeyed(_, successor):
                self._rekeyed(sa.spi, successor)
            case Reauthenticating(_, successor) if isinstance(sa.state, Established):
                self._by_new[successor] = Renewal(sa.spi, sa.state.since)
            case _:
                pass
        return []

    def _rekeyed(self, spi: bytes, successor: bytes) -> None:
        """Note that an IKE SA, the new one or the old one, goes on under another SPI."""
        if spi in self._by_new:
            self._by_new[successor] = self._by_new.pop(spi)
        for new, renewal in self._by_new.items():
            if renewal.old == spi:
                self._by_new[new] = replace(renewal, old=successor)

    def _take_over(self, sa: Stateful, others: Mapping[bytes, Stateful]) -> list[Consequence]:
        """Retire what an IKE SA stands for, once it has all that it needs for that."""
        renewal = self._by_new.get(sa.spi)
        if renewal is None or renewal.is_complete:
            return []
        if _is_childless(sa.state):
            return self._without_child(sa, renewal, others)
        if not _is_complete(sa.state):
            return []
        self._by_new[sa.spi] = replace(renewal, is_complete=True)
        old: list[Consequence] = [(renewal.old, Retire())] if renewal.old in others else []
        return old + self._redundant(others.values(), others)

    def _without_child(
        self, new: Stateful, renewal: Renewal, others: Mapping[bytes, Stateful]
    ) -> list[Consequence]:
        """End a new IKE SA that the peer refused its Child SA, or the old one if that is stranded.

        A peer may let only one have the traffic: who is stranded makes room, and asks again.
        """
        old = others.get(renewal.old)
        state = old.state if old is not None else None
        is_refused = isinstance(new.state, Established) and new.state.wanted.is_refused
        if not _is_stranded(state) or is_refused:
            return [(new.spi, Disconnect("it has no Child SA to take over with"))]
        names = tuple(dict.fromkeys(child.name for child in state.children))
        self._by_new[new.spi] = replace(renewal, is_complete=True, owed=names)
        return [(renewal.old, Retire())]

    def _made_room(self, sa: Stateful) -> list[Consequence]:
        """Let the successors of an IKE SA ask for what they are owed, once it has no Child SA."""
        if isinstance(sa.state, Established) and sa.state.children:
            return []
        found: list[Consequence] = []
        for new, renewal in self._by_new.items():
            if renewal.old == sa.spi and renewal.owed:
                self._by_new[new] = replace(renewal, owed=())
                found += [(new, AddChild(Wish(name))) for name in renewal.owed]
        return found

    def _redundant(
        self, candidates: Iterable[Stateful], others: Mapping[bytes, Stateful]
    ) -> list[Consequence]:
        """Retire the IKE SAs that the peer made for the reason for which we made ours, and lose."""
        news = [
            (others[spi].state, renewal.since)
            for spi, renewal in self._by_new.items()
            if renewal.is_complete and spi in others
        ]
        return [
            (each.spi, Retire())
            for each in candidates
            if any(_is_redundant(each.state, new, since) for new, since in news)
        ]


def _is_redundant(other: State, new: State, since: Instant) -> bool:
    """Whether the peer's IKE SA was made for the same reason as ours, and loses.

    Of two that both sides made at once to take over from the same one, that of the higher SPIi
    stays: both sides know both. Its initiator ends the other, since it knows that both are up.
    """
    return (
        isinstance(other, Established)
        and isinstance(new, Established)
        and not other.session.link.is_initiator
        and other.connection.name == new.connection.name
        and (other.local_id, other.peer_id) == (new.local_id, new.peer_id)
        and other.since > since
        and other.session.link.spi_i < new.session.link.spi_i
    )
