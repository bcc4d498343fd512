# SPDX-License-Identifier: Apache-2.0
"""One host of a ladder: its endpoint, and a shell of real parts that answers at once, or later."""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from ikeway.crypto.puzzle import solve
from ikeway.ike.admission import Admit, Welcome
from ikeway.ike.endpoint import Endpoint as IkeEndpoint
from ikeway.ike.io import (
    ActivateChild,
    Ask,
    FollowRedirect,
    InstallChild,
    MigrateChild,
    RemoveChild,
)
from ikeway.ike.questions import (
    Answer,
    Converse,
    FindPaths,
    Installed,
    Lease,
    Measured,
    MeasureUsage,
    Paths,
    Refused,
    Sign,
    Solved,
    SolvePuzzle,
    VerifyCertificate,
)
from ikeway.ike.reports import (
    Closed,
    Dropped,
    Event,
    MessageSent,
    RefusedRequest,
    Retransmitted,
    Warned,
)
from ikeway.ike.states import Established, State
from ikeway.model.address import Address, Path
from ikeway.model.esp import ChildSa, Usage
from ikeway.model.identity import Identity
from ikeway.runtime.eap import Conversations
from ikeway.runtime.leases import Leases
from ikeway.runtime.pki import Pki

TODAY = datetime(2026, 6, 1, 12, tzinfo=UTC)
Question = Ask | InstallChild


@dataclass
class Host:
    """One side. `holds` are the kinds of questions that wait in `held` until the test answers."""

    name: str
    endpoint: IkeEndpoint
    pki: Pki
    leases: Leases
    eap: Conversations
    installed: dict[int, ChildSa] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    fading: tuple[int, ...] = ()
    installs: list[InstallChild] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    timers: dict[bytes, float] = field(default_factory=dict)
    forgotten: list[bytes] = field(default_factory=list)
    activated: list[int] = field(default_factory=list)
    holds: tuple[type, ...] = ()
    asked: list[type] = field(default_factory=list)
    held: list[Question] = field(default_factory=list)
    barred: tuple[Identity, ...] = ()
    refuse_install: str | None = None
    usage: Usage = field(default=Usage())
    redirects: list[FollowRedirect] = field(default_factory=list)
    addresses: tuple[Address, ...] = ()
    """Its addresses, the one that it prefers first."""

    def answer(self, asked: Question) -> Answer | None:
        """Return the answer of a real part, or None if it is to come later."""
        question = asked if isinstance(asked, InstallChild) else asked.question
        self.asked.append(type(question))
        if isinstance(question, self.holds):
            self.held.append(asked)
            return None
        match question:
            case Sign():
                return self.pki.sign(question)
            case VerifyCertificate():
                return self.pki.verify(question)
            case Converse() | Admit():
                return self._of_user(asked, question)
            case Lease():
                return self.leases.lease(asked.ticket.sa, question)
            case MeasureUsage():
                return Measured(self.usage)
            case SolvePuzzle():
                return Solved(solve(question.puzzle))
            case FindPaths():
                return find_paths(question, self.addresses)
            case InstallChild():
                return self._install(question)

    def _of_user(self, asked: Ask, question: Converse | Admit) -> Answer:
        if isinstance(question, Converse):
            return self.eap.turn(asked.ticket, question)
        return Refused("it is disabled") if question.user in self.barred else Welcome()

    def _install(self, action: InstallChild) -> Answer:
        self.installs.append(action)
        if self.refuse_install:
            return Refused(self.refuse_install)
        # As in the driver: what is taken out while it is being installed goes right after it.
        if action.child.spi_in not in self.removed:
            self.installed[action.child.spi_in] = action.child
        return Installed()

    def change(self, action: MigrateChild | ActivateChild | RemoveChild) -> None:
        """Change what the data plane has."""
        match action:
            case MigrateChild():
                self.migrate(action)
            case ActivateChild(_, spi_in):
                assert spi_in in self.installed
                self.activated.append(spi_in)
            case RemoveChild(_, spi_in, is_replaced):
                self.fading += (spi_in,) if is_replaced else ()
                self.installed.pop(spi_in, None)
                self.removed.add(spi_in)

    def migrate(self, action: MigrateChild) -> None:
        """Change where a Child SA is; one that waits to be installed is found there later."""
        ends = {
            "local": action.local,
            "peer": action.peer,
            "encapsulation": action.encapsulation,
        }
        for number, asked in enumerate(self.held):
            if isinstance(asked, InstallChild) and asked.child.spi_in == action.spi_in:
                self.held[number] = replace(asked, child=replace(asked.child, **ends))
                return
        self.installed[action.spi_in] = replace(self.installed[action.spi_in], **ends)

    # What a test looks at -------------------------------------------------------------------------

    @property
    def states(self) -> list[State]:
        return [sa.state for sa in self.endpoint.sas]

    @property
    def established(self) -> list[Established]:
        return [state for state in self.states if isinstance(state, Established)]

    @property
    def child(self) -> ChildSa:
        """The only Child SA in the data plane."""
        (child,) = self.installed.values()
        return child

    @property
    def said(self) -> list[str]:
        """The messages that it sent, repetitions apart."""
        return [event.what for event in self.events if isinstance(event, MessageSent)]

    @property
    def repeats(self) -> int:
        return sum(isinstance(event, Retransmitted) for event in self.events)

    @property
    def drops(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, Dropped)]

    @property
    def refusals(self) -> list[str]:
        return [event.notify for event in self.events if isinstance(event, RefusedRequest)]

    @property
    def warnings(self) -> list[str]:
        return [event.reason for event in self.events if isinstance(event, Warned)]

    @property
    def ends(self) -> list[Closed]:
        return [event for event in self.events if isinstance(event, Closed)]

    def seen(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


def find_paths(question: FindPaths, addresses: tuple[Address, ...]) -> Paths:
    """Return every pair of one family, in the order of the host's preference."""
    return Paths(
        tuple(
            Path(local, peer)
            for peer in question.peers
            for local in addresses
            if local.version == peer.version
        )
    )
