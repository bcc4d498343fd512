# SPDX-License-Identifier: Apache-2.0
"""IKE SAs and Child SAs as `ikeway status` shows them (design §5)."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from ikeway.control.schema import (
    ChildStatus,
    CompressionStatus,
    IkeStatus,
    NatStatus,
    PartyStatus,
    RetryStatus,
    StreamStatus,
)
from ikeway.ike.children import Child
from ikeway.ike.sa import IkeSa
from ikeway.ike.session import Link, Session
from ikeway.ike.states import (
    AwaitInitResponse,
    Candidates,
    Established,
    Gone,
    Lingering,
    Replaced,
    State,
)
from ikeway.model.address import Address
from ikeway.model.esp import ChildSa, Compression, StreamState, Usage
from ikeway.model.identity import ANONYMOUS
from ikeway.policy.connection import Proof
from ikeway.policy.grades import child_weaknesses, is_post_quantum, weaknesses
from ikeway.policy.proposals import esp_words
from ikeway.runtime.upkeep import Retry


@dataclass(frozen=True, slots=True)
class Measured:
    """What the data plane has counted of pairs, by inbound SPI, and learnt of paths, by peer."""

    usages: Mapping[int, Usage]
    paths: Mapping[Address, int]

    def path_mtu(self, child: ChildSa) -> int | None:
        """Return what the way to the peer carries, as it was learnt or is known to the operator."""
        learnt = self.paths.get(child.peer.address, 0)
        return min((mtu for mtu in (learnt, child.outer.path_mtu) if mtu), default=None)


NOTHING: Final = Measured({}, {})


@dataclass(frozen=True, slots=True)
class Clocks:
    """When things are in seconds since 1970. `since` is when our SPI came up.

    `offset` is what to add to an instant of the core.
    """

    since: Mapping[bytes, float]
    offset: float


def ike_status(sa: IkeSa, measured: Measured, clocks: Clocks) -> IkeStatus | None:
    """Return the status of an IKE SA; None for one that is gone, replaced, or not decided on yet.

    A Child SA counts once the data plane has it.
    """
    state = sa.state
    if isinstance(state, Lingering | Replaced | Gone):
        return None
    if isinstance(state, AwaitInitResponse | Candidates):
        return _status(sa, state, state.link, NOTHING, clocks)
    if isinstance(state, Established) and state.is_provisional:
        return None
    return _status(sa, state, state.session.link, measured, clocks)


def _status(
    sa: IkeSa,
    state: State,
    link: Link,
    measured: Measured,
    clocks: Clocks,
) -> IkeStatus:
    established = state if isinstance(state, Established) else None
    session: Session | None = getattr(state, "session", None)
    children = established.children if established else ()
    name = connection_of(state)
    nat = session.agreed.nat if session else None
    return IkeStatus(
        id=sa.spi.hex(),
        connection=name,
        state=state_words(state),
        role="initiator" if link.is_initiator else "responder",
        local=_party(link.local.address, link.local.port, established and established.local_id),
        peer=_party(link.peer.address, link.peer.port, established and established.peer_id),
        virtual_ips=[str(address) for address in established.virtual_ips] if established else [],
        suite=str(session.keyring.suite) if session else None,
        weak=_weak(session, established),
        post_quantum=_is_post_quantum(session) if session else False,
        established_at=clocks.since.get(sa.spi),
        rekey_at=None if established is None else established.rekey_at + clocks.offset,
        transport="udp",
        nat=NatStatus(
            local=nat.local if nat else False,
            peer=nat.peer if nat else False,
            forced=nat.is_forced if nat else False,
        ),
        child_sas=[
            _child(child, child.name or name or "", measured)
            for child in children
            if child.is_installed
        ],
    )


def _weak(session: Session | None, established: Established | None) -> list[str]:
    """Return what is weak in an IKE SA: its algorithms, and who has proven nothing."""
    found = list(weaknesses(session.keyring.suite)) if session else []
    if established is not None and established.peer_id == ANONYMOUS:
        found.append("null authentication: anybody could be the peer")
    if established is not None and established.connection.local_auth is Proof.NULL:
        found.append("null authentication: we have not proven who we are")
    return found


def _is_post_quantum(session: Session) -> bool:
    """Whether ML-KEM or a PPK is in the keys of an IKE SA."""
    return session.ppk is not None or is_post_quantum(session.keyring.suite)


def state_words(state: State) -> str:
    """Return the name of a state as people read it, e.g. `await-auth-response`."""
    return re.sub(r"(?<!^)(?=[A-Z])", "-", type(state).__name__).lower()


def connection_of(state: State) -> str | None:
    """Return the name of the connection that an IKE SA belongs to, once that is known."""
    connection = getattr(state, "connection", None)
    return connection.name if connection is not None else None


def child_spis(sa: IkeSa, name: str) -> tuple[int, ...]:
    """Return the inbound SPIs of the Child SAs that a name or an SPI in hex means."""
    state = sa.state
    if not isinstance(state, Established):
        return ()
    return tuple(
        child.sa.spi_in
        for child in state.children
        if not child.is_deleting
        and name in {child.name, f"{state.connection.name}/{child.name}", f"{child.sa.spi_in:08x}"}
    )


def _party(address: object, port: int, identity: object) -> PartyStatus:
    return PartyStatus(
        address=str(address), port=port, id=None if identity is None else str(identity)
    )


def _child(known: Child, name: str, measured: Measured) -> ChildStatus:
    child = known.sa
    usage = measured.usages.get(child.spi_in, Usage())
    return ChildStatus(
        name=name,
        mode=child.mode.value,
        spi_in=f"{child.spi_in:08x}",
        spi_out=f"{child.spi_out:08x}",
        local_ts=[str(selector) for selector in child.local_ts],
        peer_ts=[str(selector) for selector in child.peer_ts],
        suite=esp_words(child.suite),
        weak=list(child_weaknesses(child.suite, known.method)),
        bytes_in=usage.octets_in,
        bytes_out=usage.octets_out,
        packets_in=usage.packets_in,
        packets_out=usage.packets_out,
        path_mtu=measured.path_mtu(child),
        compression=_compression(usage.compression or Compression()) if child.ipcomp else None,
        stream=_stream(usage.stream) if usage.stream else None,
    )


def _compression(done: Compression) -> CompressionStatus:
    return CompressionStatus(
        packets_in=done.packets_in,
        plain_bytes_in=done.plain_in,
        packed_bytes_in=done.packed_in,
        packets_out=done.packets_out,
        plain_bytes_out=done.plain_out,
        packed_bytes_out=done.packed_out,
    )


def _stream(known: StreamState) -> StreamStatus:
    is_open = known.is_open
    return StreamStatus(
        per_second=known.per_second,
        rtt=known.rtt,
        loss_event_rate=known.loss_event_rate,
        breaker=None if is_open is None else "open" if is_open else "closed",
    )


def retry_status(retry: Retry, clocks: Clocks) -> RetryStatus:
    """Return the status of a connection that is down and will be started again."""
    return RetryStatus(
        connection=retry.connection,
        next_attempt_at=retry.at + clocks.offset,
        failures=retry.failures,
        reason=retry.reason,
    )
