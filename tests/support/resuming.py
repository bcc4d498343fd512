# SPDX-License-Identifier: Apache-2.0
"""Ladders whose left host holds a ticket of the right one (RFC 5723)."""

from ikeway.ike.reports import Established
from ikeway.ike.states import Established as Up
from ikeway.model.secret import Secret
from ikeway.wire.message import Message
from ikeway.wire.registry import ExchangeType
from support.hosts import Row
from support.ladder import Ladder
from support.shell import Host

RESUME = ExchangeType.IKE_SESSION_RESUME
INIT = ExchangeType.IKE_SA_INIT
ON: dict[str, object] = {"resumption": True}
LOST = 120.0
"""Longer than liveness and its retransmissions."""


def connected(
    row: Row,
    left: dict[str, object] | None = None,
    right: dict[str, object] | None = None,
    *,
    certificates: bool = False,
) -> Ladder:
    """Two hosts with an IKE SA for which the left one holds a ticket."""
    make = row.certificates if certificates else row.psk
    ladder = secrets(make(ON | (left or {}), ON | (right or {})))
    ladder.connect()
    return ladder


def secrets(ladder: Ladder) -> Ladder:
    """Give both hosts a secret to seal tickets with."""
    for host in (ladder.left, ladder.right):
        host.endpoint.seal_tickets(Secret(host.name.encode().ljust(32)))
    return ladder


def lost(ladder: Ladder) -> Ladder:
    """Cut the link until both sides have given up, then mend it."""
    ladder.fate = lambda _host, _datagram: []
    ladder.wait(LOST)
    assert not ladder.left.endpoint.sas
    ladder.fate = lambda _host, datagram: [datagram]
    ladder.sent.clear()
    return ladder


def lost_by_the_left(ladder: Ladder) -> Ladder:
    """As `lost`, but the right host notices nothing."""
    kept = dict(ladder.right.timers)
    ladder.right.timers.clear()
    lost(ladder)
    ladder.right.timers.update(kept)
    return ladder


def kinds(ladder: Ladder) -> list[ExchangeType]:
    """The exchanges of all messages since the link was mended."""
    return [Message.decode(sent.octets).header.exchange for _, sent in ladder.sent]


def resumed(host: Host) -> bool:
    """Whether the last IKE SA of a host came of a ticket."""
    return bool(host.seen(Established)[-1].resumed)


def state(host: Host) -> Up:
    """The state of a host's only IKE SA."""
    (found,) = host.established
    return found
