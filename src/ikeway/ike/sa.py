# SPDX-License-Identifier: Apache-2.0
"""One IKE SA. One door, `IkeSa.handle`: an input and the time go in, actions come out."""

from typing import assert_never

from ikeway.ike import ending
from ikeway.ike.answering import answer
from ikeway.ike.exchanges import informational
from ikeway.ike.io import (
    Action,
    Answered,
    CheckLiveness,
    Command,
    Disconnect,
    Input,
    Received,
    SetTimer,
    TimerFired,
)
from ikeway.ike.receiving import receive
from ikeway.ike.states import AwaitInitResponse, Established, Gone, Lingering, State, Step
from ikeway.ike.states import Deleting as DeletingState
from ikeway.ike.timers import deadline
from ikeway.ike.waking import wake
from ikeway.model.time import Instant


class IkeSa:
    """One IKE SA. Performs no I/O, reads no clock, draws no randomness of its own."""

    def __init__(self, spi: bytes, state: State) -> None:
        self.spi = spi
        self._state = state
        self._timer: tuple[str, Instant] | None = None

    @classmethod
    def start(cls, spi: bytes, step: Step) -> tuple["IkeSa", tuple[Action, ...]]:
        """Return an SA in the state of its first step, and the actions of that step."""
        sa = cls(spi, step.state)
        return sa, step.actions + sa._rearm()

    @property
    def state(self) -> State:
        """Where the SA stands, for those who only look."""
        return self._state

    def handle(self, event: Input, now: Instant) -> tuple[Action, ...]:
        """Take one input and return the actions it calls for, in order."""
        step = _step(self._state, event, now)
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


def _step(state: State, event: Input, now: Instant) -> Step:
    match event:
        case Received():
            return receive(state, event, now)
        case TimerFired():
            return wake(state, now)
        case Answered():
            return answer(state, event, now)
        case Disconnect() | CheckLiveness():
            return _command(state, event, now)
        case _:
            assert_never(event)


def _command(state: State, command: Command, now: Instant) -> Step:
    match command, state:
        case _, Gone() | Lingering() | DeletingState():
            return Step(state)
        case CheckLiveness(), Established():
            return informational.ask(state, (), now)
        case CheckLiveness(), _:
            return Step(state)
        case Disconnect(reason=reason), Established():
            return ending.delete(state, reason, now)
        case Disconnect(reason=reason), AwaitInitResponse(link=link, connection=connection):
            closed = ending.closed(link.spi_i, connection.name, reason, is_failure=False)
            return Step(Gone(), (closed,))
        case Disconnect(reason=reason), _:
            closed = ending.closed(state.session.sa, "", reason, is_failure=False)
            return Step(Gone(), (closed,))
    return Step(state)
