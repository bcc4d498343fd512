# SPDX-License-Identifier: Apache-2.0
"""What is compared: two namespaces on one cable, and a tunnel between them made by some program."""

import os
import subprocess
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from support.netns import Namespace, connect, namespaces
from support.suites import SUITES
from support.tunnel import INNER, OUTER, child_pair, two_hosts, without_udp


@dataclass(frozen=True)
class Tunnel:
    """A tunnel that is up: its ends, the far inner address, and the processes that carry it."""

    near: Namespace
    far: Namespace
    address: str
    interface: str
    processes: tuple[int, ...] = ()


Maker = Callable[[Path], AbstractContextManager[Tunnel]]


class UnavailableError(Exception):
    """A program that cannot be had on this machine; the message says why."""


@contextmanager
def running(namespace: Namespace, *command: str, **options: Any) -> Iterator[int]:
    """Run a program in a namespace; yield its number.

    It has a session of its own, as our engine has: the kernel's scheduler may divide processors
    between sessions first (sched_autogroup), and a load beside the tunnel must not tip that.
    """
    quiet = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.DEVNULL)
    # `ip netns exec` becomes the program, so the number is the program's.
    process = namespace.start(*command, start_new_session=True, **quiet, **options)
    try:
        yield process.pid
    finally:
        process.terminate()
        process.wait(10)


NEAR: Final = "10.1.0.1"
FAR: Final = "10.2.0.1"


@contextmanager
def cable() -> Iterator[tuple[Namespace, Namespace]]:
    """Lay a cable between two namespaces; both ends have their outer address."""
    with namespaces(2) as (near, far):
        connect(near, far)
        for namespace, (address, _) in zip((near, far), OUTER, strict=True):
            namespace.add_address("outer0", f"{address}/24")
        yield near, far


def address_ends(near: Namespace, far: Namespace, names: tuple[str, str], mtu: int | None) -> None:
    """Give interfaces that a program made their inner addresses, and bring them up."""
    ends = (near, names[0], NEAR, FAR), (far, names[1], FAR, NEAR)
    for namespace, interface, own, other in ends:
        namespace.ip("address", "add", own, "peer", other, "dev", interface)
        size = ["mtu", str(mtu)] if mtu else []
        namespace.ip("link", "set", interface, *size, "up")


@contextmanager
def veth(_folder: Path) -> Iterator[Tunnel]:
    """The cable alone, in clear: the ceiling."""
    with cable() as (near, far):
        yield Tunnel(near, far, OUTER[1][0], "outer0")


@contextmanager
def environment(words: Mapping[str, str]) -> Iterator[None]:
    """Have the programs that are started meanwhile see these variables, too."""
    before = dict(os.environ)
    os.environ.update(words)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


WITHOUT: Final = "IKEWAY_ENGINE_WITHOUT"


def ikeway(suite: str, *, bare: bool = False, busy_poll: int = 0, without: str = "") -> Maker:
    """Return what makes a tunnel of two of our engines with a suite; `bare` is ESP in no UDP.

    `without` names techniques that both engines leave out.
    """

    @contextmanager
    def make(folder: Path) -> Iterator[Tunnel]:
        chosen = next(one for one in SUITES if one.name == suite)
        words = {WITHOUT: without} if without else {}
        with environment(words), two_hosts(folder, busy_poll=busy_poll) as hosts:
            for host, child in zip(hosts, child_pair(chosen), strict=True):
                host.install(without_udp(child) if bare else child)
            engines = tuple(host.call(host.plane.process_id) for host in hosts)
            near, far = (host.namespace for host in hosts)
            yield Tunnel(near, far, INNER[1][0], "ikeway0", engines)

    return make
