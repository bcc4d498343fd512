# SPDX-License-Identifier: Apache-2.0
"""I7: no packet's number comes twice under one key, whatever comes and goes (RFC 4303 §3.3.3)."""

import os
import signal
import socket
from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikeway.dataplane.engine import EngineDataPlane
from ikeway.model.address import NAT_PORT, Endpoint
from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa
from ikeway.model.policies import Action, TrafficPolicy
from ikeway.model.selectors import TrafficSelector
from support.attacker import drain, tap
from support.suites import SUITES
from support.tunnel import INNER, Host, Hosts, child_pair, ping, transfer

pytestmark = pytest.mark.system

SUITE = SUITES[2]
SECOND = "192.0.2.102"
AT = 14 + 20 + 8
"""Where ESP begins in a frame of IPv4 and UDP."""


@pytest.fixture
def children(hosts: Hosts) -> list[ChildSa]:
    made = child_pair(SUITE)
    for host, child in zip(hosts, made, strict=True):
        host.install(child)
    return made


def numbers(frames: list[bytes], spi: int) -> list[int]:
    """Return the sequence numbers of an SA's packets, as they were sent."""
    own = [frame[AT:] for frame in frames if frame[AT : AT + 4] == spi.to_bytes(4)]
    return [int.from_bytes(packet[4:8]) for packet in own]


def take_over(host: Host) -> None:
    """Do what a daemon does that is started while the engine of the last one runs."""
    host.call(host.plane.detach)
    host.plane = host.call(lambda: EngineDataPlane.start(host.run_dir, host.config))
    assert host.plane.is_resumed


@pytest.mark.conformance("CF-U02", "CF-U18")
def test_numbers_go_on_through_a_restart_of_the_daemon_and_a_move(
    hosts: Hosts, children: list[ChildSa]
) -> None:
    """RFC 4303 §2.2: +1 each; the engine has the counter, and nobody gives it one."""
    here, mine = hosts[0], children[0]
    here.namespace.ip("address", "replace", f"{SECOND}/24", "dev", "outer0")
    with tap(here) as link:
        ping(*hosts)
        take_over(here)
        ping(*hosts)
        moved = Endpoint(ip_address(SECOND), NAT_PORT)
        here.call(lambda: here.plane.migrate(mine.spi_in, moved, mine.peer))
        ping(*hosts)
        here.call(lambda: here.plane.activate(mine.spi_in))
        ping(*hosts)
        sent = numbers(drain(link), mine.spi_out)
    assert len(sent) >= 12
    assert sent == list(range(sent[0], sent[0] + len(sent)))
    usage = here.call(lambda: here.plane.usage(mine.spi_in))
    assert usage.packets_out == sent[-1]


@pytest.mark.conformance("CF-U18")
def test_keys_that_were_used_are_not_taken_again(hosts: Hosts, children: list[ChildSa]) -> None:
    """A pair that came back would begin with number 1: for AES-GCM that gives its key away."""
    here, mine = hosts[0], children[0]
    ping(*hosts)

    def is_refused(child: ChildSa) -> None:
        with pytest.raises(HostError, match=f"{mine.spi_out:#010x} were in use before"):
            here.install(child)

    is_refused(replace(mine, spi_in=0x4000))
    here.call(lambda: here.plane.remove(mine.spi_in))
    is_refused(mine)
    here.call(here.plane.reset)
    is_refused(replace(mine, spi_in=0x4000))
    take_over(here)
    is_refused(mine)
    fresh = child_pair(SUITE, spi=0x5000)
    for host, child in zip(hosts, fresh, strict=True):
        host.install(child)
    ping(*hosts)


@pytest.mark.conformance("CF-U17")
def test_a_policy_of_the_engine_comes_before_its_pairs(
    hosts: Hosts, children: list[ChildSa]
) -> None:
    """RFC 4301 §4.4.1, §5.1: the SPD is asked first, and what it discards is counted."""
    here, mine = hosts[0], children[0]
    web = TrafficSelector.of("10.2.0.0/16", 6, (7000, 7000))

    def governed(*entries: tuple[Action, TrafficSelector]) -> int:
        policies = tuple(
            TrafficPolicy("test", action, mine.local_ts, (peer,)) for action, peer in entries
        )
        here.call(lambda: here.plane.govern(policies))
        return here.call(here.plane.refused).get("discarded", 0)

    before = governed((Action.PROTECT, web), (Action.DISCARD, mine.peer_ts[0]))
    transfer(*hosts, 1 << 16)
    with pytest.raises(AssertionError):
        ping(*hosts)
    assert governed((Action.DISCARD, web)) >= before + 3
    ping(*hosts)
    with pytest.raises(TimeoutError):
        here.namespace.inside(lambda: socket.create_connection((INNER[1][0], 7000), 0.5))
    governed()
    transfer(*hosts, 1 << 16)


def test_an_engine_that_was_killed_leaves_no_keys_behind(
    hosts: Hosts, children: list[ChildSa]
) -> None:
    """The next one has no pair, and the daemon none to give: keys go to the engine and are gone."""
    here, _ = hosts[0], children
    ping(*hosts)
    old = here.call(here.plane.process_id)
    os.kill(old, signal.SIGKILL)
    here.call(here.plane.detach)
    here.plane = here.call(lambda: EngineDataPlane.start(here.run_dir, here.config))
    here._route()
    assert not here.plane.is_resumed
    assert here.call(here.plane.process_id) != old
    assert here.call(here.plane.usages) == {}
