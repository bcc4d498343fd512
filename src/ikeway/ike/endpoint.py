# SPDX-License-Identifier: Apache-2.0
"""All IKE SAs of one worker: finds the SA of a datagram, starts and forgets SAs (RFC 7296 §2.6).

Nothing that is not authentic leaves state behind, but for half-open SAs, whose number is bounded.
"""

from dataclasses import replace

from ikeway.ike import besieged, crash_detection, hints, opening, strangers, succession
from ikeway.ike.claims import Claims
from ikeway.ike.cookies import Challenge
from ikeway.ike.environment import Environment
from ikeway.ike.exchanges import (
    ike_sa_init_initiator,
    ike_sa_init_responder,
    ike_session_resume_responder,
)
from ikeway.ike.fragment_budget import FragmentBudget
from ikeway.ike.gate import Admitted, Asked, Demand, Gate, Refused
from ikeway.ike.half_open import HALF_OPEN, HalfOpen, request_key
from ikeway.ike.io import (
    Action,
    AddressesChanged,
    Answered,
    Command,
    Datagram,
    Disconnect,
    Forget,
    Initiate,
    Input,
    PeerSeen,
    Received,
    Rekey,
    Report,
    RevokeTicket,
    Send,
    Spent,
    TimerFired,
)
from ikeway.ike.owners import Owners
from ikeway.ike.peers import Peers
from ikeway.ike.pressure import Pressure
from ikeway.ike.reauthentication import Renewals
from ikeway.ike.reports import Established
from ikeway.ike.returning import Returning, rivals
from ikeway.ike.sa import IkeSa
from ikeway.ike.sources import Source, source_of
from ikeway.ike.states import (
    AwaitAuthRequest,
    AwaitInitResponse,
    AwaitIntermediateRequest,
    Candidates,
    Gone,
    Offspring,
    Step,
)
from ikeway.ike.states import Established as EstablishedState
from ikeway.model.address import Endpoint as Place
from ikeway.model.errors import MalformedError, PeerError
from ikeway.model.secret import Secret
from ikeway.model.time import Instant
from ikeway.wire.message import MAJOR, Header
from ikeway.wire.registry import ExchangeType

STARTING = (AwaitInitResponse, Candidates)
"""The states of an initiator that may have IKE_AUTH to ask yet."""


class Endpoint:
    """The IKE SAs of one worker, by the SPI that we chose for them."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self._sas: dict[bytes, IkeSa] = {}
        self._half_open = HalfOpen(env.limits.half_open)
        self._gate = Gate(env.limits, env.random, self._half_open)
        self._pressure = Pressure()
        self._strangers = strangers.Strangers(env.limits)
        self._claims = Claims()
        self._fragments = FragmentBudget(env.limits.fragment_octets)
        self._owners = Owners()
        self.peers = Peers()
        self._renewals = Renewals()
        self._returning = Returning()

    @property
    def sas(self) -> tuple[IkeSa, ...]:
        """All IKE SAs, for those who only look."""
        return tuple(self._sas.values())

    def find(self, spi: bytes) -> IkeSa | None:
        """Return the IKE SA with this SPI of ours."""
        return self._sas.get(spi)

    # Inputs ---------------------------------------------------------------------------------------

    def initiate(self, command: Initiate, now: Instant) -> tuple[bytes, tuple[Action, ...]]:
        """Start an IKE SA; return our SPI and the first actions."""
        spi = self._new_spi()
        old = self._sas.get(command.replaces)
        if old is not None:
            self._renewals.takes_over(spi, old)
        is_redirected = command.trail.origin is not None
        kept = None if is_redirected else self._returning.take(command.connection, now)
        if kept is None:
            step = ike_sa_init_initiator.request(self.env, command, spi, now)
        else:
            same = replace(command, connection=kept.again(command.connection))
            step = ike_sa_init_initiator.resume(self.env, same, spi, kept.held, now)
        return spi, self._begin(spi, step, now)

    def receive(self, datagram: Datagram, now: Instant) -> tuple[Action, ...]:
        """Take a datagram from the network. Whatever it is, nothing escapes but actions."""
        challenge = self._gate.challenge(now)
        if challenge is not None:
            source = datagram.peer.address.packed
            answer = besieged.answer(datagram.octets, source, challenge)
            if answer is not None:
                return (Send(datagram.local, datagram.peer, answer), *self.asked(1, now))
        return self._receive(datagram, now)

    def challenge(self, now: Instant) -> Challenge | None:
        """Return what first requests may be answered with before they come here."""
        return self._gate.challenge(now)

    def asked(self, requests: int, now: Instant) -> tuple[Action, ...]:
        """Note how many first requests were answered with the challenge."""
        return self._pressure.note(Demand.COOKIE.value, len(self._half_open), now, requests)

    def _receive(self, datagram: Datagram, now: Instant) -> tuple[Action, ...]:
        try:
            header = Header.decode(datagram.octets)
            if header.major != MAJOR:
                return self._strangers.wrong_version(header, datagram, now)
            if hints.may_be_invalid_spi(header):
                return self._invalid_spi(datagram, now)
            strangers.check_header(header, datagram)
        except MalformedError as error:
            return (strangers.dropped(datagram, str(error)),)
        if strangers.is_first(header):
            return self._new(header, datagram, now)
        sa = self._sas.get(header.spi_r if header.is_from_initiator else header.spi_i)
        if sa is None:
            return self._strangers.unknown_sa(
                header, datagram, now, crash_detection.tokens_of(self.env, header)
            )
        return self._handle(sa, Received(header, datagram), now)

    def handle(
        self, spi: bytes, event: TimerFired | Answered | PeerSeen | Command, now: Instant
    ) -> tuple[Action, ...]:
        """Take any other input of the IKE SA with this SPI of ours."""
        sa = self._sas.get(spi)
        return () if sa is None else self._handle(sa, event, now)

    def of_child(self, event: Spent | PeerSeen | Rekey, now: Instant) -> tuple[Action, ...]:
        """Take what the data plane says of a Child SA, or needs, whichever IKE SA has it."""
        spi = self._owners.find(event.spi_in)
        return () if spi is None else self.handle(spi, event, now)

    def addresses_changed(self, event: AddressesChanged, now: Instant) -> tuple[Action, ...]:
        """Take the addresses of this host: every IKE SA hears of them, and those that begin."""
        self.env = replace(self.env, addresses=event.addresses)
        return tuple(action for sa in self.sas for action in self._handle(sa, event, now))

    def unknown_packet(
        self, spi: int, path: tuple[Place, Place], now: Instant
    ) -> tuple[Action, ...]:
        """Tell a sender that no Child SA is for its packet (§1.5); `path` is local and peer.

        A peer that we have an IKE SA with knows better: it is a packet that was late.
        """
        peer = path[1]
        if not self._strangers.may_hint(now) or any(
            hints.is_with(sa.state, peer) for sa in self.sas
        ):
            return ()
        return (strangers.outside(hints.notice(spi), path),)

    # Hints ----------------------------------------------------------------------------------------

    def _invalid_spi(self, datagram: Datagram, now: Instant) -> tuple[Action, ...]:
        """Take a hint that the peer does not know a Child SA: the worst it does is a question."""
        found = hints.invalid_spi(datagram.octets) if self._strangers.may_hint(now) else None
        if found is None:
            return (strangers.dropped(datagram, "a hint too many, or none"),)
        spi, message = found
        for sa in self.sas:
            if hints.of_spi(sa.state, spi, datagram.peer):
                actions = sa.hint(message, datagram.peer, now)
                self._claims.release(actions)
                self._index(sa)
                gone = (self._forget(sa, now),) if isinstance(sa.state, Gone) else ()
                return (*actions, *gone)
        return (strangers.dropped(datagram, "INVALID_SPI of an unknown SPI"),)

    # IKE SAs --------------------------------------------------------------------------------------

    def _new_spi(self) -> bytes:
        while True:
            spi = self.env.new_ike_spi()
            if spi not in self._sas:
                return spi

    def _begin(self, spi: bytes, step: Step, now: Instant) -> tuple[Action, ...]:
        sa, actions = IkeSa.start(spi, step, now)
        self._sas[spi] = sa
        self._index(sa)
        return actions

    def _index(self, sa: IkeSa) -> None:
        """Keep the indexes right after an IKE SA may have changed."""
        self._owners.note(sa)
        self.peers.note(sa)

    def _handle(self, sa: IkeSa, event: Input, now: Instant) -> tuple[Action, ...]:
        if isinstance(sa.state, STARTING) and self.peers.contradict(sa.state.connection):
            sa.is_not_the_only_one()
        before = sa.state
        if isinstance(event, Answered):
            self._claims.answered(event.ticket, event.answer)
        actions = sa.handle(event, now)
        self._index(sa)
        actions, refused = self._claims.look(sa, actions)
        tickets = self._returning.observe(before, sa.state, now)
        began = [a.event for a in actions if type(a) is Report and type(a.event) is Established]
        more: list[Action] = [*self._leave_closed(sa)] if began else []
        more += self._spare_memory(sa)
        if tickets:
            more += self._take_over(sa, tickets, now)
        for answered in refused:
            more += self._handle(sa, answered, now)
        for born in sa.offspring:
            more += self._bear(born, now)
        for new in began:
            more += self._replace_others(sa, new, now)
        for other, told in self._renewals.consequences(sa, actions, self._sas):
            more += self._handle(self._sas[other], told, now)
        if isinstance(sa.state, Gone):
            more.append(self._forget(sa, now))
        elif not isinstance(sa.state, HALF_OPEN):
            self._settled(sa, self._half_open.settle(sa.spi), now)
        return (*actions, *more)

    def _leave_closed(self, sa: IkeSa) -> tuple[Action, ...]:
        """Leave closed on a new IKE SA of a peer what somebody here closed on the one it has."""
        closed = self.peers.dismissed(sa, self._sas)
        return sa.leave_closed(closed) if closed else ()

    def _spare_memory(self, sa: IkeSa) -> list[Action]:
        """Let half-open IKE SAs forget their fragments where all of them store too much."""
        actions: list[Action] = []
        for spi in self._fragments.note(sa):
            actions += self._sas[spi].forget_fragments()
            self._fragments.note(self._sas[spi])
        return actions

    def _settled(self, sa: IkeSa, source: Source | None, now: Instant) -> None:
        """Remember where an initiator is that proved nothing."""
        if source is not None and not isinstance(sa.state, EstablishedState):
            self._gate.failed(source, now)

    def _bear(self, born: Offspring, now: Instant) -> tuple[Action, ...]:
        """Begin the IKE SA that replaces another one, or give it the Child SAs (§2.8)."""
        if born.begins is not None:
            return self._begin(born.spi, Step(born.begins), now)
        heir = self._sas.get(born.spi)
        if heir is None:
            actions = succession.orphans(born)
            self._claims.release(actions)
            return actions
        actions = heir.inherit(born, now)
        self._claims.release(actions)
        self._index(heir)
        return actions

    def _forget(self, sa: IkeSa, now: Instant) -> Forget:
        del self._sas[sa.spi]
        self._renewals.forget(sa.spi)
        self._settled(sa, self._half_open.forget(sa.spi), now)
        return Forget(sa.spi)

    def _replace_others(self, sa: IkeSa, event: Established, now: Instant) -> list[Action]:
        """INITIAL_CONTACT: other SAs of the same identity are leftovers of a crash (§2.4).

        The peer is told all the same: where both sides start at a time, what it says may be older
        than an SA that it has by now, which it would go on to use.
        """
        if not event.replaces_others:
            return []
        actions: list[Action] = []
        for spi in self.peers.between(event.local_id, event.peer_id):
            if spi != sa.spi:
                ended = Disconnect("replaced: INITIAL_CONTACT")
                actions += self._handle(self._sas[spi], ended, now)
        return actions

    def _take_over(
        self, sa: IkeSa, tickets: tuple[RevokeTicket, ...], now: Instant
    ) -> list[Action]:
        """End what an IKE SA takes the place of, and others on their way with the same ticket.

        RFC 5723 §4.3.4: the old one "SHOULD be silently deleted".
        """
        actions: list[Action] = [*tickets]
        for ticket in tickets:
            actions += self._abandon(ticket.spi, now)
            for other in rivals(self.sas, ticket.spi):
                if other != sa.spi:
                    gone = Disconnect("its ticket was used")
                    actions += self._handle(self._sas[other], gone, now)
        return actions

    def _abandon(self, spi: bytes, now: Instant) -> tuple[Action, ...]:
        old = self._sas.get(spi)
        if old is None or not isinstance(old.state, EstablishedState):
            return ()
        actions = old.abandon("resumed as another IKE SA")
        self._index(old)
        return (*actions, self._forget(old, now))

    # Tickets --------------------------------------------------------------------------------------

    def seal_tickets(self, secret: Secret) -> None:
        """Seal tickets with a new secret; those of the last one are still read (RFC 5723 §6.1)."""
        self.env.tickets.learn(secret)

    def ticket_revoked(self, event: RevokeTicket, now: Instant) -> tuple[Action, ...]:
        """Take from another worker that a ticket is void; if it was used, so is the old IKE SA."""
        self._returning.revoked.add(event.spi, event.issued, now)
        return self._abandon(event.spi, now)

    def forget_ticket(self, connection: str) -> None:
        """Drop the ticket of a connection that somebody ends while it is down (RFC 5723 §6.2)."""
        self._returning.drop(connection)

    # IKE_SA_INIT requests -------------------------------------------------------------------------

    def _new(self, header: Header, datagram: Datagram, now: Instant) -> tuple[Action, ...]:
        """Take an IKE_SA_INIT request: a repeated one gets the same answer (§2.1)."""
        if not strangers.starts_an_sa(header):
            reason = "IKE_SA_INIT with SPIr, message ID or flags of another"
            return (strangers.dropped(datagram, reason),)
        if header.spi_i in self._sas:
            return (strangers.dropped(datagram, "an IKE_SA_INIT request of our own"),)
        key = request_key(datagram)
        known = self._half_open.find(key)
        if known is not None:
            return _repeat(self._sas[known], datagram)
        try:
            verdict = self._gate.decide(datagram, now)
            if isinstance(verdict, Admitted):
                return self._admit(verdict, datagram, now)
        except PeerError as error:
            is_resuming = header.exchange is ExchangeType.IKE_SESSION_RESUME
            refuse = self._strangers.refuse_ticket if is_resuming else self._strangers.refuse
            return refuse(header, datagram, error, now)
        return self._turn_away(verdict, header, datagram, now)

    def _admit(self, admitted: Admitted, datagram: Datagram, now: Instant) -> tuple[Action, ...]:
        spi = self._new_spi()
        pressed = admitted.is_pressed
        if opening.is_resuming(datagram.octets):
            revoked = self._returning.revoked
            shown = ike_session_resume_responder.read(self.env, revoked, datagram, now)
            step = ike_session_resume_responder.respond(
                self.env, shown, spi, now, is_pressed=pressed
            )
        else:
            step = ike_sa_init_responder.respond(self.env, datagram, spi, now, is_pressed=pressed)
        self._half_open.add(request_key(datagram), spi, source_of(datagram.peer.address))
        self._gate.spend(admitted)
        return self._begin(spi, step, now)

    def _turn_away(
        self, verdict: Asked | Refused, header: Header, datagram: Datagram, now: Instant
    ) -> tuple[Action, ...]:
        """Answer with a demand, or not at all."""
        if isinstance(verdict, Refused):
            return (strangers.dropped(datagram, verdict.reason),)
        sent = self._strangers.ask(header, datagram, verdict.notifies)
        if sent is None:
            return (strangers.dropped(datagram, "an IKE_SA_INIT request shorter than a cookie"),)
        told = self._pressure.note(verdict.demand.value, len(self._half_open), now)
        return (sent, *told)


def _repeat(sa: IkeSa, datagram: Datagram) -> tuple[Action, ...]:
    state = sa.state
    if not isinstance(state, AwaitIntermediateRequest | AwaitAuthRequest):
        return (strangers.dropped(datagram, "an IKE_SA_INIT request that is long answered"),)
    return (Send(datagram.local, datagram.peer, state.transcript.response),)
