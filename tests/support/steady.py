# SPDX-License-Identifier: Apache-2.0
"""Steady traffic between two hosts, which notices what is lost and how long nothing arrived."""

import re
import socket
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from itertools import pairwise
from types import TracebackType
from typing import Final, Self

from support.netns import Namespace

PING_OCTETS: Final = 300
INTERVAL: Final = 0.02
CHUNK: Final = b"\x5a" * 1000
CHUNK_INTERVAL: Final = 0.01
_TCPI_BACKOFF: Final = 4


class Pinger:
    """Echo requests at a steady pace from one end to the other."""

    def __init__(self, source: Namespace, from_: str, to: str, seconds: float) -> None:
        self._count = round(seconds / INTERVAL)
        command = ["ping", "-n", "-I", from_, "-i", str(INTERVAL), "-W", "2"]
        command += ["-s", str(PING_OCTETS), "-c", str(self._count), to]
        # Not a pipe: that would be full before anybody reads it.
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - closed when all is read
        self._process = source.start(*command, stdout=self._said, stderr=subprocess.STDOUT)
        self._numbers: list[int] | None = None

    def is_going(self) -> bool:
        """Whether there is more to come; takes a moment."""
        time.sleep(0.2)
        return self._process.poll() is None

    def lost(self) -> tuple[int, int]:
        """Wait for the end; return how many were sent and how many of them were not answered."""
        return self._count, self._count - len(set(self._answered()))

    def gap(self) -> float:
        """Wait for the end; return for how long, at most, what was sent had no answer."""
        numbers = [0, *sorted(self._answered()), self._count + 1]
        return max(later - sooner - 1 for sooner, later in pairwise(numbers)) * INTERVAL

    def _answered(self) -> list[int]:
        if self._numbers is None:
            self._process.wait()
            with self._said as said:
                said.seek(0)
                text = said.read()
            assert f"{self._count} packets transmitted" in text, text
            self._numbers = [int(number) for number in re.findall(r"icmp_seq=(\d+) ttl", text)]
        return self._numbers


class Stillness:
    """The longest time for which this machine ran nothing of ours, while it is looked at."""

    def __init__(self) -> None:
        self.longest = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def _look(self) -> None:
        last = time.monotonic()
        while not self._over.wait(INTERVAL):
            now = time.monotonic()
            self.longest = max(self.longest, now - last - INTERVAL)
            last = now


@dataclass
class Stream:
    """A steady stream over TCP, and the longest time for which nothing of it arrived.

    `tries` is how many in a row of TCP's timeouts brought no answer, at most.
    """

    client: tuple[Namespace, str]
    server: tuple[Namespace, str]
    longest: float = 0.0
    tries: int = 0
    sent: int = 0
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
            self.sent += len(CHUNK)
            info = self._sender.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 8)
            self.tries = max(self.tries, info[_TCPI_BACKOFF])
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
