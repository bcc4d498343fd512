# SPDX-License-Identifier: Apache-2.0
"""Ladders whose hosts have several addresses, and roads between them that can be closed."""

from dataclasses import dataclass, field
from ipaddress import ip_address

from ikeway.ike.io import Datagram
from ikeway.ike.mobility import Mobility
from ikeway.ike.session import Link
from ikeway.model.address import Address
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType
from support.forge import opened, session_of
from support.hosts import Changes, Row
from support.ladder import Ladder
from support.shell import Host

ON: Changes = {"mobike": True}
HERE: dict[int, tuple[Address, ...]] = {
    4: (ip_address("192.0.2.1"), ip_address("192.0.2.101"), ip_address("192.0.2.102")),
    6: (
        ip_address("2001:db8::1"),
        ip_address("2001:db8::101"),
        ip_address("2001:db8::102"),
    ),
}
THERE: dict[int, tuple[Address, ...]] = {
    4: (ip_address("198.51.100.2"), ip_address("198.51.100.202")),
    6: (ip_address("2001:db8:1::2"), ip_address("2001:db8:1::202")),
}


@dataclass
class Roads:
    """Which ways are closed: pairs of source and target, or one address at either end."""

    ladder: Ladder
    closed: set[object] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.ladder.fate = self._fate

    def _fate(self, _host: Host, datagram: Datagram) -> list[Datagram]:
        source, target = datagram.peer.address, datagram.local.address
        is_closed = bool({source, target, (source, target), (target, source)} & self.closed)
        return [] if is_closed else [datagram]


def mobike(row: Row, left: Changes | None = None, right: Changes | None = None) -> Ladder:
    """Return two hosts that both do MOBIKE; nobody has told them of their addresses."""
    return row.psk(left=ON | (left or {}), right=ON | (right or {}))


def roaming(row: Row, left: Changes | None = None, right: Changes | None = None) -> Ladder:
    """Return two hosts that know their one address each, connected."""
    ladder = mobike(row, left, right)
    for host, address in zip((ladder.left, ladder.right), ladder.addresses, strict=True):
        ladder.has(host, address)
    ladder.connect()
    ladder.wait(1)
    return ladder


def link_of(host: Host) -> Link:
    return session_of(host).link


def mobility_of(host: Host) -> Mobility:
    (state,) = host.established
    return state.mobility


def notifies(ladder: Ladder, since: int = 0) -> list[list[NotifyType]]:
    """Return the notify types of each sealed message since, whoever sent it."""
    found = []
    for sender, datagram in ladder.sent[since:]:
        message = opened(ladder.other(sender), datagram.octets)
        found.append([body.type for body in message.payloads if isinstance(body, Notify)])
    return found


def same_place(ladder: Ladder) -> None:
    """Check that both sides and their data planes agree on where everybody is."""
    left, right = link_of(ladder.left), link_of(ladder.right)
    if ladder.nat is None:
        assert (left.local, left.peer) == (right.peer, right.local)
    for host in (ladder.left, ladder.right):
        link = link_of(host)
        for child in host.installed.values():
            assert (child.local, child.peer) == (link.local, link.peer)
        (state,) = host.established
        assert [child.sa for child in state.children] == list(host.installed.values())
