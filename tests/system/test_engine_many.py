# SPDX-License-Identifier: Apache-2.0
"""Pairs of SAs that come and go many at a time, as after a restart of a busy gateway (RFC 4301)."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from ipaddress import ip_network
from typing import Any

import pytest

from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa
from ikeway.model.secret import Secret
from ikeway.model.selectors import TrafficSelector
from support.suites import SUITES
from support.tunnel import Host, Hosts, child_pair, ping

pytestmark = pytest.mark.system

FIRST = 0x2000
COUNT = 300


def test_many_pairs_come_and_go_beside_one_that_carries(hosts: Hosts) -> None:
    """Requests that wait together are answered each, in their order, with exact counters."""
    children = child_pair(next(suite for suite in SUITES if suite.name == "aes256gcm16"))
    for host, child in zip(hosts, children, strict=True):
        host.install(child)
    near = hosts[0]
    many = [another(children[0], number) for number in range(COUNT)]
    assert together(near, [installing(near, child) for child in many]) == [None] * COUNT
    ping(*hosts)
    assert len(near.call(near.plane.usages)) == COUNT + 1
    removals = [children[0].spi_in, *(child.spi_in for child in many)]
    usages = together(near, [removing(near, spi) for spi in removals])
    assert [usage.packets_out for usage in usages] == [3] + [0] * COUNT
    assert near.call(near.plane.usages) == {}


def test_an_spi_is_free_again_at_once_and_taken_only_once(hosts: Hosts) -> None:
    """Requests of one batch see what those before them did, though the threads have not yet."""
    near = hosts[0]
    child, other = (another(child_pair(SUITES[0])[0], number) for number in range(2))
    work = [installing(near, child), installing(near, child), removing(near, child.spi_in)]
    work += [installing(near, anew(child, 1)), installing(near, other), removing(near, 0x9999)]
    outcomes = together(near, work)
    assert outcomes[0] is outcomes[3] is outcomes[4] is None
    assert isinstance(outcomes[1], HostError)
    assert "in use" in str(outcomes[1])
    assert outcomes[2].packets_in == 0
    assert isinstance(outcomes[5], HostError)
    assert set(near.call(near.plane.usages)) == {child.spi_in, other.spi_in}
    together(near, [removing(near, spi) for spi in (child.spi_in, other.spi_in)])
    near.install(anew(child, 2))


def anew(child: ChildSa, number: int) -> ChildSa:
    """Return a pair with the same SPIs and other keys: keys are taken once."""
    key = bytes([number]) * len(child.keys_out.encr)
    return replace(child, keys_out=replace(child.keys_out, encr=Secret(key)))


def another(child: ChildSa, number: int) -> ChildSa:
    peer = TrafficSelector.of(ip_network(f"100.64.{number >> 8}.{number & 255}/32"))
    spi = FIRST + number
    return replace(child, spi_in=spi, spi_out=spi, peer_ts=(peer,))


def installing(host: Host, child: ChildSa) -> Callable[[], Awaitable[Any]]:
    return lambda: host.plane.install(child)


def removing(host: Host, spi: int) -> Callable[[], Awaitable[Any]]:
    return lambda: host.plane.remove(spi)


def together(host: Host, work: Iterable[Callable[[], Awaitable[Any]]]) -> list[Any]:
    async def run() -> list[Any]:
        return await asyncio.gather(*(one() for one in work), return_exceptions=True)

    return host.call(run)
