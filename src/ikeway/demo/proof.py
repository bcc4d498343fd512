# SPDX-License-Identifier: Apache-2.0
"""The proof from the wire: what is looked for, where, and how we know that we would have seen it.

Two rings take every frame on the cable: one ESP in UDP, the other all the rest. They are searched
for what must not be there: every octet, but of ESP in the run for speed the beginnings only. That
the search is no blind one is shown by a packet in clear that has all of it, sent before the tunnel
is there and after its use: both times it is found.
"""

import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final

from ikeway.demo import traffic
from ikeway.demo.cable import CABLE, GATEWAY, SERVER, World
from ikeway.demo.capture import Ring
from ikeway.model.address import OUTER_MARK
from ikeway.model.errors import HostError
from ikeway.model.time import Seconds

MARKER: Final = f"ikeway-demo-{secrets.token_hex(8)}".encode()
"""Stands in every payload that goes through the tunnel."""

HEAD_OCTETS: Final = 512
"""What is searched of ESP in the run for speed; headers and marker would stand there."""
_ESP_MEBIBYTES: Final = 48
_REST_MEBIBYTES: Final = 8
_PATIENCE: Final[Seconds] = 1.0
_SETTLING: Final[Seconds] = 0.02
"""How long the kernel takes to hand over a block that is not full."""


@dataclass(slots=True)
class Findings:
    """What the wire showed. Missed are frames for which a ring had no room."""

    esp_packets: int = 0
    other_packets: int = 0
    searched: int = 0
    plaintext: int = 0
    esp_missed: int = 0
    other_missed: int = 0

    @property
    def is_all_searched(self) -> bool:
        """Whether nothing that a ring had room for is still to be searched."""
        seen = self.esp_packets + self.other_packets
        return self.searched >= seen - self.esp_missed - self.other_missed


class Watcher:
    """Both rings, and what they showed so far."""

    def __init__(self, world: World, esp: Ring, rest: Ring) -> None:
        self.findings = Findings()
        self._world = world
        self._esp = esp
        self._rest = rest
        self._needles: dict[str, bytes] = {"the marker": MARKER}

    def look_for(self, virtual_ips: list[str]) -> None:
        """Look for HTTP, too, and for packets between these addresses and the server."""
        self._needles["HTTP"] = b"HTTP/1.1"
        for lent, server in zip(map(ip_address, virtual_ips), map(ip_address, SERVER), strict=True):
            for one, other in ((lent, server), (server, lent)):
                self._needles[f"{one} to {other}"] = one.packed + other.packed

    def check_sight(self) -> int:
        """Send all that we look for in clear; return how many things that are.

        Raises:
            HostError: one was not found, so that finding none elsewhere means nothing.
        """
        self.examine()
        octets = b"".join(self._needles.values())
        self._world.laptop.inside(lambda: traffic.send_in_clear(GATEWAY, octets, OUTER_MARK))
        self.examine(control=octets)
        return len(self._needles)

    def examine(self, control: bytes | None = None) -> None:
        """Search all frames since the last time; `control` has to be in one of them.

        Raises:
            HostError: the control was not found, or not as what it is.
        """
        controls = []
        until = time.monotonic() + _PATIENCE
        while time.monotonic() < until:
            time.sleep(_SETTLING)
            for frame in (*self._esp.frames(), *self._rest.frames()):
                if control is not None and control in frame:
                    controls.append(frame)
                self._search(frame, is_control=control is not None and control in frame)
            self._count()
            if self.findings.is_all_searched and (control is None or controls):
                break
        blind = set(self._needles) - {name for frame in controls for name in self._found(frame)}
        if control is not None and blind:
            raise HostError(f"the capture missed a packet in clear with {', '.join(blind)}")

    def skim(self) -> None:
        """Search only the beginning of ESP from now on: there are going to be gigabytes of it."""
        self._esp.shorten(HEAD_OCTETS)

    def expect_all_seen(self) -> None:
        """Check that nothing passed unsearched so far.

        Raises:
            HostError: a ring was too small for what passed.
        """
        findings = self.findings
        missed = findings.esp_missed + findings.other_missed
        if missed or not findings.is_all_searched:
            raise HostError(f"the capture lost {missed} frames, so that it proves nothing")

    def _search(self, frame: bytes, *, is_control: bool) -> None:
        self.findings.searched += 1
        if not is_control:
            self.findings.plaintext += bool(self._found(frame))

    def _found(self, frame: bytes) -> list[str]:
        return [name for name, needle in self._needles.items() if needle in frame]

    def _count(self) -> None:
        esp, rest = self._esp.seen(), self._rest.seen()
        self.findings.esp_packets += esp.frames
        self.findings.esp_missed += esp.missed
        self.findings.other_packets += rest.frames
        self.findings.other_missed += rest.missed


@contextmanager
def watch(world: World) -> Iterator[Watcher]:
    """Watch the cable from the gateway's end.

    Raises:
        HostError: the kernel gives us no ring.
    """
    with ExitStack() as stack:
        try:
            esp, rest = world.gateway.inside(
                lambda: (
                    stack.enter_context(Ring(CABLE, is_esp=True, mebibytes=_ESP_MEBIBYTES)),
                    stack.enter_context(Ring(CABLE, is_esp=False, mebibytes=_REST_MEBIBYTES)),
                )
            )
        except OSError as error:
            raise HostError(f"watching the wire: {error.strerror}") from error
        yield Watcher(world, esp, rest)
