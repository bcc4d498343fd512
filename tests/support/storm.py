# SPDX-License-Identifier: Apache-2.0
"""Bad weather on a cable, and traffic that notices each packet that something else lost."""

import json
import re
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from support.link import OUTER, Link
from support.netns import Namespace

PING_OCTETS: Final = 300
PING_LENGTH: Final = 392
"""The IPv4 length of such a ping in ESP in UDP: no other packet has it, so that losses are told."""
INTERVAL: Final = 0.02
CHUNK: Final = b"\x5a" * 1000
CHUNK_INTERVAL: Final = 0.01

_RTO_MIN: Final = Path("/proc/sys/net/ipv4/tcp_rto_min_us")
_RTO_MICROSECONDS: Final = 20_000
"""With the kernel's own 200 ms TCP stalls for up to 1.5 s on such a cable, without any tunnel; so
it stalls for 0.2 s at most."""

_RULES: Final = """
table inet weather {{
  counter pings {{ }}
  counter lost_pings {{ }}
  counter lost_esp {{ }}
  counter lost_ike {{ }}
  chain ping {{
    counter name pings
    numgen random mod 100 < {percent} counter name lost_pings drop
    accept
  }}
  chain arriving {{
    type filter hook prerouting priority -300;
    iifname "{interface}" udp dport 4500 ip length {length} goto ping
    iifname "{interface}" udp dport 4500 @th,64,32 0 numgen random mod 100 < {percent} \
counter name lost_ike drop
    iifname "{interface}" udp dport 4500 @th,64,32 != 0 numgen random mod 100 < {percent} \
counter name lost_esp drop
    iifname "{interface}" udp dport 500 numgen random mod 100 < {percent} counter name lost_ike drop
  }}
}}
"""


class Weather:
    """Loses some of what arrives at either end of a cable, once it begins, and counts that.

    Only sockets that are made after it let TCP repeat soon what is lost.
    """

    def __init__(self, link: Link, percent: int) -> None:
        self._ends = (link.ours.namespace, link.peer.namespace)
        self._rules = _RULES.format(percent=percent, interface=OUTER, length=PING_LENGTH)
        for end in self._ends:
            # A batch that leaves as one frame would be lost as one, and counted as one.
            end.ip("link", "set", OUTER, "gso_max_segs", "1")
            end.inside(_hasten)

    def begin(self) -> None:
        """Lose something from now on."""
        for end in self._ends:
            end.run("nft", "-f", "-", input=self._rules)

    def count(self, name: str) -> int:
        """Return a counter, of both ends together: pings, lost_pings, lost_esp or lost_ike."""
        total = 0
        for end in self._ends:
            said = json.loads(end.run("nft", "-j", "list", "counter", "inet", "weather", name))
            total += next(e["counter"]["packets"] for e in said["nftables"] if "counter" in e)
        return total

    def calm(self) -> None:
        """Lose nothing more."""
        for end in self._ends:
            end.run("nft", "flush", "chain", "inet", "weather", "arriving")


def _hasten() -> None:
    """Let TCP repeat what is lost soon: what stalls it for long is not the cable."""
    _RTO_MIN.write_text(str(_RTO_MICROSECONDS))


class Pinger:
    """Echo requests at a steady pace from one end to the other."""

    def __init__(self, source: Namespace, from_: str, to: str, seconds: float) -> None:
        command = ["ping", "-q", "-n", "-I", from_, "-i", str(INTERVAL), "-W", "2"]
        command += ["-s", str(PING_OCTETS), "-c", str(round(seconds / INTERVAL)), to]
        self._process = source.start(*command, stdout=subprocess.PIPE)

    def is_going(self) -> bool:
        """Whether there is more to come; takes a moment."""
        time.sleep(0.2)
        return self._process.poll() is None

    def lost(self) -> tuple[int, int]:
        """Wait for the end; return how many were sent and how many of them were not answered."""
        summary = self._process.communicate()[0]
        found = re.search(r"(\d+) packets transmitted, (\d+) received", summary)
        assert found is not None, summary
        sent, received = int(found[1]), int(found[2])
        return sent, sent - received


@dataclass
class Stream:
    """A steady stream over TCP, and the longest time for which nothing of it arrived."""

    client: tuple[Namespace, str]
    server: tuple[Namespace, str]
    longest: float = 0.0
    received: int = 0
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Self:
        address = (self.server[1], 0)
        self._listener = self.server[0].inside(lambda: socket.create_server(address))
        self._sender = self.client[0].inside(socket.socket)
        self._sender.bind((self.client[1], 0))
        self._sender.settimeout(20)
        self._sender.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sender.connect(self._listener.getsockname())
        self._threads = [threading.Thread(target=work) for work in (self._receive, self._send)]
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join(30)
        self._sender.close()
        self._listener.close()

    def _send(self) -> None:
        while not self._over.is_set():
            self._sender.sendall(CHUNK)
            time.sleep(CHUNK_INTERVAL)
        self._sender.shutdown(socket.SHUT_WR)

    def _receive(self) -> None:
        connection = self._listener.accept()[0]
        connection.settimeout(20)
        last = time.monotonic()
        with connection:
            while got := connection.recv(1 << 16):
                now = time.monotonic()
                self.received += len(got)
                self.longest = max(self.longest, now - last)
                last = now
