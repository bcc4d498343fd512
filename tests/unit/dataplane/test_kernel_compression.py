# SPDX-License-Identifier: Apache-2.0
"""Compression by the kernel and by our engine for one another (RFC 3173), in both modes."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Self

import pytest

from ikeway.dataplane import PlaneConfig
from ikeway.dataplane.xfrm import XfrmDataPlane
from ikeway.model.esp import ChildSa, Ipcomp
from support.own_kernel import HAS_ESP
from support.suites import BY_NAME
from support.tunnel import INNER, Hosts, child_pair, empty, install, two_hosts

GCM = BY_NAME["aes256gcm16"]
pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(not HAS_ESP, reason="tests/interop/test_xfrm.py has a kernel for it"),
]


class Kernel(XfrmDataPlane):
    """The kernel, started as an engine is."""

    @classmethod
    async def start(cls, _run_dir: Path, config: PlaneConfig) -> Self:
        return await super().start(replace(config, compresses=True))


INDICES = Ipcomp(0x1111, 0x2222), Ipcomp(0x2222, 0x1111)
SIZES = ("-s", "1000", "-p", "41"), ("-s", "8"), ("-s", "90")
"""What repeats, and what does not get smaller."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    with two_hosts(tmp_path_factory.mktemp("run"), first=Kernel) as hosts:
        yield hosts


@pytest.fixture
def hosts(pair: Hosts) -> Iterator[Hosts]:
    yield pair
    empty(pair)


@pytest.mark.conformance("CF-J16")
@pytest.mark.parametrize("outer", [0, 1], ids=["ipv4", "ipv6"])
def test_kernel_and_engine_compress_for_one_another(hosts: Hosts, outer: int) -> None:
    """RFC 3173 §2.1: tunnels of either family for packets of that one, both ways."""
    install(hosts, compressed(outer))
    for size in SIZES:
        command = ("ping", "-n", "-q", "-c", "3", "-i", "0.05", "-w", "5", *size, INNER[1][outer])
        assert "3 received" in hosts[0].namespace.run(*command), size
    done = next(iter(hosts[1].call(hosts[1].plane.usages).values())).compression
    assert done is not None
    assert min(done.packets_in, done.packets_out) >= 3
    assert done.packed_in * 5 < done.plain_in


def compressed(outer: int) -> list[ChildSa]:
    """Return both sides of a pair for packets of one IP version over that one."""
    return [
        replace(
            child,
            ipcomp=indices,
            local_ts=child.local_ts[outer : outer + 1],
            peer_ts=child.peer_ts[outer : outer + 1],
        )
        for child, indices in zip(child_pair(GCM, outer=outer), INDICES, strict=True)
    ]
