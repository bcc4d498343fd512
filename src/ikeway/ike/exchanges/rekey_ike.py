# SPDX-License-Identifier: Apache-2.0
"""Rekeying the IKE SA (RFC 7296 §2.8.2, §2.18): what is made, inherited and handed over."""

from dataclasses import dataclass, replace

from ikeway.ike import (
    crash_detection,
    ending,
    resumption,
    window_size,
)
from ikeway.ike.io import Report
from ikeway.ike.keys import Keyring
from ikeway.ike.nonces import lowest
from ikeway.ike.refusals import Refusals
from ikeway.ike.reports import Rekeyed
from ikeway.ike.series import IkePromise, Secrets
from ikeway.ike.session import Link, Session
from ikeway.ike.shape import Shape, one
from ikeway.ike.states import Established, Offspring, Place, Replaced, Step
from ikeway.ike.tasks import (
    AskedCheck,
    AskedMove,
    CheckReturn,
    Follow,
    Inform,
    RekeyIke,
    Task,
    TellAddresses,
)
from ikeway.ike.timers import REPLACED
from ikeway.ike.window import Window
from ikeway.model.time import Instant
from ikeway.wire.payloads import KeyExchange, Nonce, SecurityAssociation
from ikeway.wire.registry import ExchangeType

TYPE = ExchangeType.CREATE_CHILD_SA
REQUEST = Shape(one(SecurityAssociation), one(Nonce), one(KeyExchange))
RESPONSE = REQUEST
SPI_OCTETS = 8


@dataclass(frozen=True, slots=True)
class Made:
    """A new IKE SA as one exchange made it."""

    state: Established
    lowest: bytes

    @property
    def spi(self) -> bytes:
        """Our SPI of it."""
        return self.state.session.sa


def keyring(
    state: Established, agreed: IkePromise, secrets: Secrets, *, is_initiator: bool
) -> Keyring:
    """Return the keys of the new IKE SA (§2.18, RFC 9370 §2.2.4)."""
    first, *further = secrets
    return Keyring.derive(
        agreed.chosen.ike,
        first,
        agreed.nonces,
        agreed.spis,
        is_initiator=is_initiator,
        replaced=state.session.keyring.heritage,
        further=tuple(further),
    )


def make(
    state: Established, keyring: Keyring, link: Link, nonces: tuple[bytes, bytes], now: Instant
) -> Made:
    """Return the new IKE SA, without children yet. Its windows begin anew (§2.2, §2.3)."""
    before = state.session
    known = replace(before.fragmentation, incomplete=())
    named, trail, agreed = before.ppk, before.trail, before.agreed
    session = Session(
        before.env,
        link,
        before.branch,
        keyring,
        Window(),
        agreed,
        known,
        ppk=named,
        trail=trail,
    )
    fresh = Established(
        session=session,
        connection=state.connection,
        local_id=state.local_id,
        peer_id=state.peer_id,
        children=(),
        virtual_ips=state.virtual_ips,
        since=state.since,
        pulse=state.pulse.beat(state.connection, now),
        keep_at=state.keep_at,
        queued=(*crash_detection.announcement(session), *inherited(state)),
        wanted=replace(state.wanted, is_refused=False),
        mobility=state.mobility.succeeded(),
        authenticity=state.authenticity,
        standing=state.standing,
        resumption=state.resumption.succeeded(),
        pace=state.pace,
        parting=state.parting,
    )
    return Made(ending.aging(fresh, now), lowest(*nonces))


def inherited(state: Established) -> tuple[Task, ...]:
    """Return what the successor still has to ask: all but what has just happened.

    What was told on the old SA and may not have arrived is told again. The windows of the new one
    are of size 1 until both sides say otherwise (§2.3), which only a peer cares for that did so.
    """
    told: list[Task] = [task for task in state.asking(Inform) if task.payloads]
    told += [TellAddresses(move.is_update) for move in state.asking(AskedMove)]
    told += [CheckReturn() for _ in state.asking(AskedCheck)]
    # Where the peer was busy rekeying this SA, it is so no more (§2.25).
    refused = [replace(each.task, refusals=Refusals()) for each in state.postponed]
    wanted = [task for task in (*state.queued, *refused) if not isinstance(task, RekeyIke | Follow)]
    is_wide = state.session.window.peer_size > 1
    size = [Inform(window_size.announce(state.connection))] if is_wide else []
    ticket = resumption.ask_again(state.resumption, state.connection)
    return tuple(dict.fromkeys([*size, *told, *wanted, *ticket]))


def rekeyed(state: Established, made: Made) -> Report:
    """Return the report that this IKE SA has a successor."""
    suite = str(made.state.session.keyring.suite)
    return state.session.report(Rekeyed(state.connection.name, made.spi, suite))


def hand_over(state: Established, now: Instant) -> Step:
    """Give the children to the SA that the peer's rekey made, and wait for the end of this one."""
    if state.rival is None:
        return Step(state)
    suite = str(state.session.keyring.suite)
    said = state.session.report(Rekeyed(state.connection.name, state.rival.spi, suite))
    until = now + (REPLACED.length or 0.0)
    left = Replaced(state.session, state.connection, until)
    queued, link = inherited(state), state.session.link
    place = Place(
        link.local, link.peer, state.session.agreed.nat, state.mobility.succeeded(), state.keep_at
    )
    name = state.connection.name
    heir = Offspring(state.rival.spi, None, state.children, queued, name, place)
    return Step(left, (said,), (heir,))
