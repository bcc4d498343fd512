# SPDX-License-Identifier: Apache-2.0
"""Two hosts that would reach each other in clear, and what of that is seen on their cable."""

import os
import signal
import socket
import time
from contextlib import ExitStack, suppress
from pathlib import Path

from support.link import OUTER, cable, processes
from support.strongswan import wait_until
from support.two import Table, Two


def two(stack: ExitStack, folder: Path, connection: Table, ours: Table, peer: Table) -> Two:
    """Two daemons whose hosts reach each other's networks in clear, if nobody hinders them."""
    link = stack.enter_context(cable())
    for one, other in ((link.ours, link.peer), (link.peer, link.ours)):
        way = ("via", other.outer[4], "dev", OUTER, "src", one.inner[4])
        one.namespace.ip("route", "add", other.networks[4], *way)
    made = Two(folder, link, connection, {}, more=(ours, peer))
    stack.callback(made.down)
    return made


def up(made: Two) -> None:
    wait_until(lambda: bool(made.children() and made.peer.children()), 10, "the tunnel")


def ends(made: Two) -> tuple[str, str]:
    """Return our inner address and the peer's."""
    return made.link.ours.inner[4], made.link.peer.inner[4]


def send(source: str, there: str) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender, suppress(OSError):
        sender.bind((source, 0))
        sender.sendto(b"secret", (there, 9))


def keep_sending(made: Two, seconds: float) -> None:
    """Send towards the peer as an application that knows nothing of tunnels."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        made.link.ours.namespace.inside(lambda: send("0.0.0.0", ends(made)[1]))


def clear_ports(made: Two) -> set[int]:
    """Return the ports of the peer with which something passed the cable in clear; 0 is none."""
    made.witness.look()
    peer = bytes(int(part) for part in made.link.peer.inner[4].split("."))
    found = set()
    for packet in map(bytes.fromhex, made.witness.leaks):
        at = 22 if packet[16:20] == peer else 20
        found.add(int.from_bytes(packet[at : at + 2]) if packet[9] in {6, 17} else 0)
    return found


def engine_of(made: Two) -> list[int]:
    """Return the processes of our host's engine."""
    listed = processes(made.link.ours.namespace)
    return [pid for pid in listed if b"engine_process" in _command(pid)]


def _command(pid: int) -> bytes:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    return b""


def kill_engine(made: Two) -> None:
    """End our host's engine as a crash would.

    What follows has no bound of seconds: the daemon hears of it when the kernel has taken the
    interface away, which waits for every namespace that is made or taken down meanwhile.
    """
    there = engine_of(made)
    assert there, "no engine is there to be killed"
    for pid in there:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
