# SPDX-License-Identifier: Apache-2.0
"""Two engines change from one pair of SAs to the next and lose nothing (RFC 7296 §2.8)."""

import re
import subprocess

import pytest

from ikeway.model.esp import ChildSa
from support.attacker import Attacker
from support.suites import SUITES
from support.tunnel import INNER, Host, Hosts, child_pair, eventually, install, ping

pytestmark = pytest.mark.system

Pair = list[ChildSa]

PACKETS = 3000
REKEYINGS = 6
RUBBISH = b"\x01" * 60


@pytest.mark.conformance("CF-F04")
def test_rekeying_after_rekeying_loses_no_packet(hosts: Hosts) -> None:
    """The responder follows the initiator by itself, with a packet each millisecond both ways."""
    old = children(0)
    install(hosts, old)
    with pinging(hosts) as echo:
        for number in range(1, 1 + REKEYINGS):
            new = children(number)
            rekey(hosts, old, new, initiator=number % 2)
            old = new
        assert echo.poll() is None, "it ended before the last rekeying"
        summary = echo.communicate()[0]
    assert re.search(rf"{PACKETS} packets transmitted, {PACKETS} received", summary), summary


@pytest.mark.conformance("CF-F04")
def test_a_pair_on_standby_sends_when_the_old_one_was_removed(hosts: Hosts) -> None:
    """The Delete of the old pair is the peer's word that it has the new one."""
    old, new, newer = (children(number) for number in range(3))
    install(hosts, old)
    hosts[1].install(new[1], standby=True)
    hosts[0].install(new[0])
    remove(hosts, old)
    ping(hosts[1], hosts[0])
    hosts[1].install(newer[1], standby=True)
    ping(hosts[1], hosts[0])
    # A slow answer makes ping ask once more.
    assert sent(hosts[1], new[1]) >= 6
    assert sent(hosts[1], newer[1]) == 0


@pytest.mark.conformance("CF-F04")
def test_a_pair_on_standby_sends_once_it_is_activated(hosts: Hosts) -> None:
    """A peer that began anew and only listens never proves that it has the new pair."""
    old, new = children(0), children(1)
    install(hosts, old)
    hosts[1].install(new[1], standby=True)
    hosts[0].install(new[0])
    plane = hosts[1].plane
    hosts[1].call(lambda: plane.activate(new[1].spi_in))
    before = sent(hosts[1], old[1])
    ping(hosts[1], hosts[0])
    assert sent(hosts[1], old[1]) == before
    assert sent(hosts[1], new[1]) >= 3


@pytest.mark.conformance("CF-F04")
def test_rubbish_with_its_spi_does_not_activate_a_pair_on_standby(hosts: Hosts) -> None:
    """I4: only a packet that verifies changes what is sent where."""
    old, new = children(0), children(1)
    install(hosts, old)
    hosts[1].install(new[1], standby=True)
    with Attacker(hosts[0]) as send:
        for _ in range(5):
            send(new[1].spi_in.to_bytes(4) + RUBBISH)
    eventually(
        lambda: hosts[1].call(hosts[1].plane.refused).get("integrity_failed", 0) >= 5 or None
    )
    ping(*hosts)
    assert sent(hosts[1], old[1]) >= 3
    assert sent(hosts[1], new[1]) == 0


# What the tests above are made of ----------------------------------------------------------------


def children(number: int) -> Pair:
    return child_pair(SUITES[2], spi=0x1000 + 0x10 * number)


def remove(hosts: Hosts, both: Pair) -> None:
    for host, child in zip(hosts, both, strict=True):
        host.call(lambda h=host, c=child: h.plane.remove(c.spi_in))


def sent(host: Host, child: ChildSa) -> int:
    return host.call(lambda: host.plane.usage(child.spi_in)).packets_out


def received(host: Host, child: ChildSa) -> int:
    return host.call(lambda: host.plane.usage(child.spi_in)).packets_in


def pinging(hosts: Hosts) -> "subprocess.Popen[str]":
    """Send an echo request each millisecond."""
    command = ("ping", "-q", "-i", "0.001", "-c", str(PACKETS), "-W", "2", INNER[1][0])
    return hosts[0].namespace.start(*command, stdout=subprocess.PIPE)


def rekey(hosts: Hosts, old: Pair, new: Pair, initiator: int) -> None:
    """Do what IKE does: the responder installs, the initiator installs and sends, the old goes."""
    responder = 1 - initiator
    hosts[responder].install(new[responder], standby=True)
    before = sent(hosts[responder], old[responder])
    eventually(lambda: sent(hosts[responder], old[responder]) > before + 20 or None)
    assert sent(hosts[responder], new[responder]) == 0
    hosts[initiator].install(new[initiator])
    eventually(lambda: received(hosts[initiator], new[initiator]) > 20 or None)
    hosts[responder].call(lambda: hosts[responder].plane.remove(old[responder].spi_in))
    hosts[initiator].call(lambda: hosts[initiator].plane.remove(old[initiator].spi_in))
