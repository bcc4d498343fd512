# SPDX-License-Identifier: Apache-2.0
"""Several threads for either direction: each SA is received by the thread that its SPI names."""

from pathlib import Path

import pytest

from ikeway.dataplane import PacketsRefused, PacketWaits
from ikeway.dataplane.port import Refusal
from ikeway.model.esp import ChildSa, Encapsulation
from support.attacker import Attacker, esp_sa, ipv4
from support.suites import BY_NAME
from support.tunnel import (
    INNER,
    Host,
    Hosts,
    child_pair,
    eventually,
    install,
    ping,
    transfer,
    without_udp,
)

pytestmark = pytest.mark.system

QUEUES = 3
GCM = BY_NAME["aes256gcm16"]


@pytest.mark.parametrize("is_bare", [False, True], ids=["in-udp", "bare"])
@pytest.mark.parametrize("outer", [0, 1], ids=["over-ipv4", "over-ipv6"])
@pytest.mark.parametrize("queue", range(QUEUES))
def test_the_thread_that_the_spi_names_receives(
    hosts: Hosts, queue: int, outer: int, is_bare: bool
) -> None:
    children = child_pair(GCM, outer=outer, spi=0x1200 + queue)
    install(hosts, [without_udp(child) for child in children] if is_bare else children)
    before = waits(hosts[1])
    for family in (0, 1):
        ping(*hosts, family)
        transfer(hosts[0], hosts[1], 1 << 18, family)
        transfer(hosts[1], hosts[0], 1 << 18, family)
    woken = {name: count - before[name] for name, count in waits(hosts[1]).items()}
    named = children[1].spi_in % QUEUES
    assert woken[f"ikeway-in{named}"] >= 12
    # A flow that the host begins may start in any queue; that thread seals its first packets.
    others = [woken[f"ikeway-in{other}"] for other in range(QUEUES) if other != named]
    assert max(others) * 3 < woken[f"ikeway-in{named}"]


def test_what_the_kernel_joined_reaches_the_thread_of_each_packet(hosts: Hosts) -> None:
    """Datagrams of one peer may arrive as one, and go where the first of them belongs."""
    pairs = [child_pair(GCM, spi=0x1200 + 2 * queue) for queue in range(QUEUES)]
    sealers = []
    for near, far in pairs:
        hosts[1].install(far)
        sealers.append(esp_sa(near, 0))
    inner = ipv4(INNER[0][0], INNER[1][0])
    packets = [sealer.seal(inner) for _ in range(5) for sealer in sealers]
    with Attacker(hosts[0], segment=len(packets[0])) as send:
        send(b"".join(packets))
        for _, far in pairs:
            eventually(lambda spi=far.spi_in: received(hosts[1], spi) == 5 or None)
        send(b"".join(packets))

    def replayed() -> int:
        told = [event for event in hosts[1].events if isinstance(event, PacketsRefused)]
        return sum(event.count for event in told if event.refusal is Refusal.REPLAYED)

    eventually(lambda: replayed() == len(packets) or None)


def test_a_pair_on_standby_sends_from_every_thread_once_it_was_used(hosts: Hosts) -> None:
    """RFC 7296 §2.8: whichever thread saw the proof, all send on the new pair."""
    old, new = child_pair(GCM), child_pair(GCM, spi=0x2001)
    install(hosts, old)
    ping(*hosts)
    hosts[1].install(new[1], standby=True)
    hosts[0].install(new[0])
    ping(*hosts)
    used = hosts[1].call(lambda: hosts[1].plane.usage(new[1].spi_in))
    eventually(lambda: None if sends_old(hosts, old) else True)
    assert used.packets_in >= 3
    for host, child in zip(hosts, old, strict=True):
        assert host.call(lambda h=host, c=child: h.plane.remove(c.spi_in)).packets_in >= 3
    ping(*hosts)


def sends_old(hosts: Hosts, old: list[ChildSa]) -> bool:
    before = hosts[1].call(lambda: hosts[1].plane.usage(old[1].spi_in))
    ping(*hosts)
    return hosts[1].call(lambda: hosts[1].plane.usage(old[1].spi_in)) != before


def test_traps_moves_and_counters_are_of_all_threads(hosts: Hosts) -> None:
    children = child_pair(GCM)
    hosts[1].install(children[1])
    near = hosts[0]
    near.call(lambda: near.plane.trap(7, children[0].local_ts, children[0].peer_ts))
    pings = [
        near.namespace.start("ping", "-c", "1", "-w", "5", "-s", str(56 + n), INNER[1][0])
        for n in range(6)
    ]
    near.seen(lambda event: isinstance(event, PacketWaits))
    near.install(children[0])
    assert [one.wait(10) for one in pings] == [0] * 6, "what waited in each queue has left"
    for host, child in zip(hosts, children, strict=True):
        spi, ends = child.spi_in, (child.local, child.peer)
        host.call(lambda h=host, s=spi, e=ends: h.plane.migrate(s, *e, Encapsulation.UDP))
    ping(*hosts)
    assert near.call(lambda: near.plane.remove(children[0].spi_in)).packets_out >= 9


def received(host: Host, spi: int) -> int:
    return host.call(lambda: host.plane.usage(spi)).packets_in


def waits(host: Host) -> dict[str, int]:
    """Return how often each thread of the engine has gone to sleep, by its name."""
    found = {}
    for task in Path(f"/proc/{host.call(host.plane.process_id)}/task").iterdir():
        lines = dict(
            line.split(":\t", 1) for line in (task / "status").read_text().splitlines() if line
        )
        found[lines["Name"]] = int(lines["voluntary_ctxt_switches"])
    return found
