# SPDX-License-Identifier: Apache-2.0
"""All IKE SAs of one worker: finds the SA of a datagram, and answers what belongs to none.

RFC 7296 §1.5, §2.5, §2.6, §2.21: nothing that is not authentic leaves state behind, apart from a
half-open SA, and nothing draws more octets than it sent.
"""

import hashlib
from collections import OrderedDict

from ikeway.ike import ending
from ikeway.ike.environment import Environment
from ikeway.ike.exchanges import ike_sa_init
from ikeway.ike.io import (
    Action,
    Answered,
    CheckLiveness,
    Datagram,
    Disconnect,
    Forget,
    Initiate,
    Input,
    Received,
    Report,
    Send,
    TimerFired,
)
from ikeway.ike.limits import RateLimit
from ikeway.ike.reports import Dropped, Established, RefusedRequest
from ikeway.ike.sa import IkeSa
from ikeway.ike.states import AwaitAuthRequest, Gone, Step
from ikeway.ike.states import Established as EstablishedState
from ikeway.model.errors import (
    InvalidKeyExchangeError,
    MalformedError,
    NoProposalError,
    PeerError,
    UnsupportedCriticalPayloadError,
)
from ikeway.model.time import Instant
from ikeway.wire.message import Flags, Header, Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType

ZERO_SPI = bytes(8)
HALF_OPEN_MOST = 10_000
ANSWERED_WITHOUT_STATE = (NoProposalError, InvalidKeyExchangeError, UnsupportedCriticalPayloadError)
"""Refusals of IKE_SA_INIT that are worth an answer; everything else is dropped (RFC 6989 §2.5)."""


class Endpoint:
    """The IKE SAs of one worker, by the SPI that we chose for them."""

    def __init__(self, env: Environment) -> None:
        self.env = env
        self._sas: dict[bytes, IkeSa] = {}
        self._half_open: OrderedDict[bytes, bytes] = OrderedDict()
        self._unknown = RateLimit(per_second=10.0, burst=20)

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
        path = command.local, command.peer
        step = ike_sa_init.request(self.env, command.connection, path, now)
        spi = step.state.link.spi_i  # type: ignore[union-attr]
        return spi, self._begin(spi, step)

    def receive(self, datagram: Datagram, now: Instant) -> tuple[Action, ...]:
        """Take a datagram from the network. Whatever it is, nothing escapes but actions."""
        try:
            header = Header.decode(datagram.octets)
        except MalformedError as error:
            return (_dropped(datagram, str(error)),)
        if header.major != 2:
            return self._wrong_version(header, datagram, now)
        if header.length != len(datagram.octets):
            return (_dropped(datagram, f"length {header.length}, not {len(datagram.octets)}"),)
        if header.spi_i == ZERO_SPI:
            return (_dropped(datagram, "SPIi is zero"),)
        if header.exchange is ExchangeType.IKE_SA_INIT and header.is_request:
            return self._new(header, datagram, now)
        spi = header.spi_r if header.is_from_initiator else header.spi_i
        sa = self._sas.get(spi)
        if sa is None:
            return self._no_sa(header, datagram, now)
        return self._handle(sa, Received(header, datagram), now)

    def handle(
        self, spi: bytes, event: TimerFired | Answered | Disconnect | CheckLiveness, now: Instant
    ) -> tuple[Action, ...]:
        """Take any other input of the IKE SA with this SPI of ours."""
        sa = self._sas.get(spi)
        return () if sa is None else self._handle(sa, event, now)

    # IKE SAs --------------------------------------------------------------------------------------

    def _begin(self, spi: bytes, step: Step) -> tuple[Action, ...]:
        sa, actions = IkeSa.start(spi, step)
        self._sas[spi] = sa
        return actions

    def _handle(self, sa: IkeSa, event: Input, now: Instant) -> tuple[Action, ...]:
        actions = sa.handle(event, now)
        more: list[Action] = []
        for action in actions:
            if isinstance(action, Report) and isinstance(action.event, Established):
                more += self._replace_others(sa, action.event)
        if isinstance(sa.state, Gone):
            self._sas.pop(sa.spi, None)
            more.append(Forget(sa.spi))
        return (*actions, *more)

    def _replace_others(self, sa: IkeSa, event: Established) -> list[Action]:
        """INITIAL_CONTACT: other SAs of exactly this identity are leftovers of a crash (§2.4)."""
        if not event.replaces_others:
            return []
        actions: list[Action] = []
        for other in list(self._sas.values()):
            state = other.state
            if (
                other is not sa
                and isinstance(state, EstablishedState)
                and state.peer_id == event.peer_id
                and state.local_id == event.local_id
            ):
                step = ending.give_up(
                    state, other.spi, state.connection.name, "replaced: INITIAL_CONTACT"
                )
                del self._sas[other.spi]
                actions += [*step.actions, Forget(other.spi)]
        return actions

    # Datagrams without an IKE SA ------------------------------------------------------------------

    def _new(self, header: Header, datagram: Datagram, now: Instant) -> tuple[Action, ...]:
        """Take an IKE_SA_INIT request: a repeated one gets the same answer (§2.1)."""
        if header.spi_r != ZERO_SPI or header.message_id != 0 or not header.is_from_initiator:
            return (_dropped(datagram, "IKE_SA_INIT with SPIr, message ID or flags of another"),)
        key = hashlib.sha256(_source(datagram) + datagram.octets).digest()
        known = self._sas.get(self._half_open.get(key, b""))
        if known is not None:
            return self._repeat(known, datagram)
        try:
            step = ike_sa_init.respond(self.env, header, datagram, now)
        except ANSWERED_WITHOUT_STATE as error:
            return _refuse(header, datagram, error)
        except PeerError as error:
            return (_dropped(datagram, f"IKE_SA_INIT request: {error}"),)
        spi = step.state.session.link.spi_r  # type: ignore[union-attr]
        self._remember(key, spi)
        return self._begin(spi, step)

    def _repeat(self, sa: IkeSa, datagram: Datagram) -> tuple[Action, ...]:
        state = sa.state
        if not isinstance(state, AwaitAuthRequest):
            return (_dropped(datagram, "an IKE_SA_INIT request that is long answered"),)
        return (Send(datagram.local, datagram.peer, state.transcript.response),)

    def _remember(self, key: bytes, spi: bytes) -> None:
        self._half_open[key] = spi
        while len(self._half_open) > HALF_OPEN_MOST:
            self._half_open.popitem(last=False)

    def _wrong_version(
        self, header: Header, datagram: Datagram, now: Instant
    ) -> tuple[Action, ...]:
        """Say which version we speak, rate limited; IKEv1 is none of ours (§2.5)."""
        dropped = _dropped(datagram, f"IKE version {header.major}.{header.minor}")
        if header.is_response or not self._unknown.allows(now):
            return (dropped,)
        notify = Notify(NotifyType.INVALID_MAJOR_VERSION, b"\x02")
        return (_unprotected(header, datagram, notify), dropped)

    def _no_sa(self, header: Header, datagram: Datagram, now: Instant) -> tuple[Action, ...]:
        """Say that an SA is unknown here, rate limited; never answer a response (§2.21.4)."""
        dropped = _dropped(datagram, f"{header.exchange.name} of an unknown IKE SA")
        if header.is_response or not self._unknown.allows(now):
            return (dropped,)
        return (_unprotected(header, datagram, Notify(NotifyType.INVALID_IKE_SPI)), dropped)


def _source(datagram: Datagram) -> bytes:
    return datagram.peer.address.packed + datagram.peer.port.to_bytes(2)


def _dropped(datagram: Datagram, reason: str) -> Report:
    return Report(b"", Dropped(reason, datagram.peer))


def _refuse(header: Header, datagram: Datagram, error: PeerError) -> tuple[Action, ...]:
    notify = NotifyType(error.notify)
    report = Report(b"", RefusedRequest(notify.name, str(error), datagram.peer))
    return (_unprotected(header, datagram, Notify(notify, error.data)), report)


def _unprotected(header: Header, datagram: Datagram, notify: Notify) -> Send:
    """Return an answer outside any IKE SA: SPIs, message ID and exchange type are copied (§1.5)."""
    flags = Flags.RESPONSE if header.is_from_initiator else Flags.RESPONSE | Flags.INITIATOR
    head = Header(
        spi_i=header.spi_i,
        spi_r=header.spi_r,
        next_payload=PayloadType.NONE,
        major=2,
        minor=0,
        exchange=header.exchange,
        flags=flags,
        message_id=header.message_id,
        length=0,
    )
    return Send(datagram.local, datagram.peer, Message(head, (notify,)).encode())
