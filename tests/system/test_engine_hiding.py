# SPDX-License-Identifier: Apache-2.0
"""What an observer sees of an engine that hides the shape of its traffic (RFC 4303 §2.6, §2.7)."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from ikeway.dataplane import PacketsRefused
from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa, Mode
from ikeway.model.traffic_flow import PAD_TO_MTU, Dummies, TrafficFlow
from support.attacker import sent_to, tap, waiting
from support.suites import BY_NAME
from support.tunnel import Host, Hosts, child_pair, eventually, ping, transfer

pytestmark = pytest.mark.system

GCM = BY_NAME["aes256gcm16"]


def install(hosts: Hosts, flow: TrafficFlow, **changes: object) -> list[ChildSa]:
    children = [replace(child, traffic_flow=flow) for child in child_pair(GCM, **changes)]  # type: ignore[arg-type]
    # Dummies go to one who has the SA.
    for host, child in reversed(list(zip(hosts, children, strict=True))):
        host.install(child)
    return children


def dummies(host: Host) -> int:
    return host.call(host.plane.refused).get("dummy", 0)


def lengths(hosts: Hosts, work: Callable[[], None]) -> Counter[int]:
    """Return the lengths of the ESP packets that the first host sends meanwhile."""
    with tap(hosts[0]) as link:
        work()
        time.sleep(0.05)
        return Counter(len(packet) for packet in sent_to(hosts[1], waiting(link)))


@pytest.mark.conformance("CF-U13")
@pytest.mark.parametrize("pad_to", [PAD_TO_MTU, 700])
def test_shorter_packets_all_look_alike(hosts: Hosts, pad_to: int) -> None:
    """RFC 4303 §2.7: padding "to hide the length of" what is inside; at most up to the MTU."""
    install(hosts, TrafficFlow(pad_to))

    def talk() -> None:
        for size in (1, 56, 300, 600):
            for inner in (0, 1):
                ping(*hosts, inner, size=size)

    plain = min(pad_to, hosts[0].config.mtu)
    sealed = 8 + 8 + (plain + 2 + 3) // 4 * 4 + 16
    # On a busy machine several may leave as one, which the cable has not cut yet (UDP_SEGMENT).
    seen = lengths(hosts, talk)
    assert seen.total() > 0
    assert not [length for length in seen if length % sealed]
    for inner in (0, 1):
        ping(*hosts, inner, size=1300)
        transfer(*hosts, 1 << 18, inner)


@pytest.mark.conformance("CF-U12")
def test_dummies_fill_the_silence(hosts: Hosts) -> None:
    """RFC 4303 §2.6: they look as all others do, come at their rate, and go no further."""
    install(hosts, TrafficFlow(PAD_TO_MTU, Dummies(50.0, is_random=False)))
    before = dummies(hosts[1])
    seen = lengths(hosts, lambda: time.sleep(1))
    assert len(seen) == 1
    assert 40 <= seen.total() <= 70
    ping(*hosts)
    assert set(lengths(hosts, lambda: ping(*hosts, size=400))) == set(seen)
    eventually(lambda: dummies(hosts[1]) - before >= 40 or None)
    assert not [event for event in hosts[1].events if isinstance(event, PacketsRefused)]


@pytest.mark.conformance("CF-U12", "CF-F04")
def test_none_come_before_the_peer_can_take_them_or_once_the_pair_is_gone(hosts: Hosts) -> None:
    """RFC 7296 §2.8: on standby no dummy is sent either, until the peer has used the pair."""
    flow = TrafficFlow(PAD_TO_MTU, Dummies(100.0))
    children = [replace(child, traffic_flow=flow) for child in child_pair(GCM)]
    hosts[0].install(children[0], standby=True)
    assert not lengths(hosts, lambda: time.sleep(0.3))
    hosts[1].install(children[1])
    eventually(lambda: dummies(hosts[0]) >= 3 or None)
    assert lengths(hosts, lambda: time.sleep(0.3)).total() >= 10
    hosts[0].call(lambda: hosts[0].plane.remove(children[0].spi_in))
    assert not lengths(hosts, lambda: time.sleep(0.3))


def test_transport_mode_hides_nothing(hosts: Hosts) -> None:
    (child, _) = child_pair(GCM)
    ends = replace(child, mode=Mode.TRANSPORT, local_ts=(), peer_ts=())
    with pytest.raises(HostError):
        hosts[0].install(replace(ends, traffic_flow=TrafficFlow(100)))
