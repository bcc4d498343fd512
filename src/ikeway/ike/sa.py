# SPDX-License-Identifier: Apache-2.0
"""One IKE SA. One door, `IkeSa.handle`: an input and the time go in, actions come out."""

from dataclasses import replace
from typing import assert_never

from ikeway.ike import (
    agenda,
    aging,
    candidates,
    ending,
    hints,
    message_id_sync,
    moving,
    paths,
    reauthentication,
    redirection,
    succession,
    wanted,
)
from ikeway.ike.answering import answer
from ikeway.ike.io import (
    Action,
    AddChild,
    AddressesChanged,
    Answered,
    CheckLiveness,
    CloseChild,
    Command,
    Disconnect,
    Input,
    PeerSeen,
    Received,
    Rekey,
    Retire,
    SendAway,
    SetTimer,
    Spent,
    Synchronize,
    TimerFired,
)
from ikeway.ike.receiving import receive
from ikeway.ike.reports import Dropped
from ikeway.ike.states import (
    AwaitInitResponse,
    Candidates,
    Established,
    Offspring,
    State,
    Step,
    Unproven,
)
from ikeway.ike.timers import deadline
from ikeway.ike.waking import wake
from ikeway.model.address import Endpoint
from ikeway.model.time import Instant
from ikeway.wire.message import Message


class IkeSa:
    """One IKE SA. Performs no I/O, reads no clock, draws no randomness of its own."""

    __slots__ = ("_state", "_timer", "offspring", "spi")

    def __init__(self, spi: bytes, state: State) -> None:
        self.spi = spi
        self._state = state
        self._timer: tuple[str, Instant] | None = None
        self.offspring: tuple[Offspring, ...] = ()

    @classmethod
    def start(cls, spi: bytes, step: Step, now: Instant) -> tuple["IkeSa", tuple[Action, ...]]:
        """Return an SA in the state of its first step, and the actions of that step."""
        asked = agenda.proceed(step.state, now)
        sa = cls(spi, asked.state)
        return sa, step.actions + asked.actions + sa._rearm()

    @property
    def state(self) -> State:
        """Where the SA stands, for those who only look."""
        return self._state

    def handle(self, event: Input, now: Instant) -> tuple[Action, ...]:
        """Take one input and return the actions it calls for, in order."""
        if isinstance(event, TimerFired):
            self._timer = None  # a clock that is early by a hair is set again
        step = advance(self._state, event, now)
        self._state, self.offspring, actions = step.state, step.offspring, step.actions
        if isinstance(self._state, Established):
            spent = ending.close_when_spent(self._state, now)
            asked = agenda.proceed(spent.state, now)
            self._state = asked.state
            actions += spent.actions + asked.actions
        return actions + self._rearm()

    def inherit(self, born: Offspring, now: Instant) -> tuple[Action, ...]:
        """Take over the Child SAs of the IKE SA that this one replaced (RFC 7296 §2.8)."""
        if isinstance(self._state, Established):
            heir = succession.inherit(self._state, born, now)
            asked = agenda.proceed(heir.state, now)
            self._state = asked.state
            return heir.actions + asked.actions + self._rearm()
        return succession.orphans(born)

    def leave_closed(self, names: tuple[str, ...]) -> tuple[Action, ...]:
        """Keep these Child SAs up no more: somebody here closed them on an IKE SA before it."""
        if isinstance(self._state, Established):
            self._state = wanted.leave(self._state, names)
        return self._rearm()

    def is_not_the_only_one(self) -> None:
        """Note that another IKE SA is up with the peer: there is no INITIAL_CONTACT to say."""
        if isinstance(self._state, AwaitInitResponse | Candidates):
            self._state = candidates.without_initial_contact(self._state)

    def forget_fragments(self) -> tuple[Action, ...]:
        """Act as if the fragments before its initiator's proof had never come (RFC 7383 §5)."""
        state = self._state
        if not isinstance(state, Unproven):
            return ()
        session, peer = state.session, state.session.link.peer
        emptied = replace(session, fragmentation=session.fragmentation.emptied())
        self._state = replace(state, session=emptied)
        return (session.report(Dropped("fragments: there are too many in all", peer)),)

    def hint(self, message: Message, peer: Endpoint, now: Instant) -> tuple[Action, ...]:
        """Take an unprotected message that seems to be about a Child SA here (§1.5, RFC 6290)."""
        if isinstance(self._state, Established):
            step = hints.heed(self._state, message, peer, now)
            asked = agenda.proceed(step.state, now)
            self._state = asked.state
            return step.actions + asked.actions + self._rearm()
        return ()

    def abandon(self, reason: str) -> tuple[Action, ...]:
        """End without a word to the peer, which has another IKE SA instead (RFC 5723 §4.3.4)."""
        if not isinstance(self._state, Established):
            return ()
        name = self._state.connection.name
        step = ending.give_up(self._state, name, reason, is_failure=False)
        self._state = step.state
        return step.actions + self._rearm()

    def _rearm(self) -> tuple[Action, ...]:
        """Return the timer to set, if it is another one than before."""
        timer = deadline(self._state)
        if timer == self._timer:
            return ()
        self._timer = timer
        name, at = timer or ("none", None)
        return (SetTimer(self.spi, name, at),)


def advance(state: State, event: Input, now: Instant) -> Step:
    """Return what an input leads to in a state."""
    if isinstance(state, Candidates) and not isinstance(event, AddressesChanged):
        return candidates.advance(state, event, now, advance)
    match event:
        case Received():
            return receive(state, event, now)
        case TimerFired():
            return wake(state, now)
        case Answered():
            return answer(state, event, now)
        case PeerSeen() | AddressesChanged() | Retire():
            return _told(state, event, now)
        case _:
            return _command(state, event, now)


def _told(state: State, event: PeerSeen | AddressesChanged | Retire, now: Instant) -> Step:
    """Take what is heard of the peer's place or of ours, or of an IKE SA that took over."""
    match event:
        case AddressesChanged():
            return paths.changed(state, event)
        case Retire():
            return Step(reauthentication.retire(state))
        case PeerSeen():
            return moving.seen(state, event, now) if isinstance(state, Established) else Step(state)


def _command(state: State, command: Command, now: Instant) -> Step:
    match command:
        case Disconnect(reason):
            return ending.disconnect(state, reason, now)
        case SendAway():
            return redirection.send_away(state, command, now)
        case CheckLiveness() | Rekey() | AddChild() | CloseChild():
            return agenda.command(state, command, now)
        case Synchronize():
            if not isinstance(state, Established) or state.is_provisional:
                return Step(state)
            return message_id_sync.start(state, now)
        case Spent():
            return aging.spent(state, command, now)
        case _:
            assert_never(command)
