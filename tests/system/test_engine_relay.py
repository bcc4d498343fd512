# SPDX-License-Identifier: Apache-2.0
"""The sending half of the engine goes from one thread to another while packets pass."""

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from support.suites import SUITES
from support.tunnel import Host, Hosts, child_pair, eventually, ping, transfer

pytestmark = pytest.mark.system

OCTETS = 16 << 20


def test_both_directions_at_once_are_carried_whole(hosts: Hosts) -> None:
    """What one thread cannot do two do, and neither loses or repeats an octet on the way."""
    near, far = hosts
    for host, child in zip(hosts, child_pair(SUITES[0]), strict=True):
        host.install(child)
    for _ in range(3):
        with ThreadPoolExecutor(2) as executor:
            there = executor.submit(transfer, near, far, OCTETS)
            back = executor.submit(transfer, far, near, OCTETS)
            there.result(30)
            back.result(30)
        # By then it has gone back.
        time.sleep(0.02)
        ping(near, far)


def test_little_to_do_is_one_thread_s(hosts: Hosts) -> None:
    """A packet and its answer wake one thread of each host."""
    for host, child in zip(hosts, child_pair(SUITES[0]), strict=True):
        host.install(child)
    ping(*hosts)
    before = [sleeps(host) for host in hosts]
    for _ in range(10):
        ping(*hosts)
    for host, (count, _) in zip(hosts, before, strict=True):
        assert eventually(lambda host=host: sleeps(host)[0], 1) == count, "of the other thread"
    assert all(sleeps(host)[1] > own for host, (_, own) in zip(hosts, before, strict=True))


def sleeps(host: Host) -> tuple[int, int]:
    """Return how often the threads that only send have slept, and those that do both."""
    counts = {"ikeway-out": 0, "ikeway-in": 0}
    for task in Path(f"/proc/{host.call(host.plane.process_id)}/task").iterdir():
        fields = dict(line.split(":\t") for line in (task / "status").read_text().splitlines())
        name = fields["Name"].rstrip("0123456789")
        counts[name] = counts.get(name, 0) + int(fields["voluntary_ctxt_switches"])
    return counts["ikeway-out"], counts["ikeway-in"]
