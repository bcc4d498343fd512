# SPDX-License-Identifier: Apache-2.0
"""Network namespaces for tests: each with a name of its own, and gone afterwards."""

import ctypes
import json
import os
import secrets
import shutil
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")

_CLONE_NEWNET = 0x40000000
_IP = shutil.which("ip", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or "ip"


class Namespace:
    """One network namespace."""

    def __init__(self, name: str) -> None:
        self.name = name

    def run(self, *command: str, **options: Any) -> str:
        """Run a command in the namespace and return its output; it must succeed."""
        done = subprocess.run(
            [_IP, "netns", "exec", self.name, *command],
            check=False,
            capture_output=True,
            text=True,
            timeout=options.pop("timeout", 60),
            **options,
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout

    def start(self, *command: str, **options: Any) -> "subprocess.Popen[str]":
        """Start a command in the namespace; the caller ends it."""
        arguments = [_IP, "netns", "exec", self.name, *command]
        return subprocess.Popen(arguments, text=True, **options)

    def inside(self, work: Callable[[], T]) -> T:
        """Call `work` on a thread of this process that is in the namespace."""

        def enter() -> T:
            with Path(f"/run/netns/{self.name}").open("rb") as file:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(file.fileno(), _CLONE_NEWNET) != 0:
                    raise OSError(ctypes.get_errno(), "setns")
            return work()

        with ThreadPoolExecutor(max_workers=1) as executor:
            return executor.submit(enter).result()

    def ip(self, *arguments: str) -> str:
        """Run `ip` in the namespace."""
        return _ip("-n", self.name, *arguments)

    def add_address(self, interface: str, address: str) -> None:
        """Give the interface an address that can be used at once."""
        nodad = ["nodad"] if ":" in address else []
        self.ip("address", "add", address, "dev", interface, *nodad)

    def sent(self, interface: str) -> int:
        """Return how many packets left through the interface."""
        found = json.loads(self.ip("-j", "-s", "link", "show", interface))
        packets = found[0]["stats64"]["tx"]["packets"]
        assert isinstance(packets, int)
        return packets


@contextmanager
def namespaces(count: int) -> Iterator[list[Namespace]]:
    """Make namespaces with only a loopback interface."""
    made: list[Namespace] = []
    try:
        for _ in range(count):
            namespace = Namespace(f"ikt-{secrets.token_hex(4)}")
            _ip("netns", "add", namespace.name)
            made.append(namespace)
            namespace.ip("link", "set", "lo", "up")
        yield made
    finally:
        for namespace in made:
            subprocess.run([_IP, "netns", "delete", namespace.name], check=False)


def connect(one: Namespace, other: Namespace, interface: str = "outer0") -> None:
    """Lay a cable between two namespaces: an interface of that name in each."""
    peer = ["peer", "name", interface, "netns", other.name]
    one.ip("link", "add", interface, "type", "veth", *peer)
    for end in (one, other):
        end.ip("link", "set", interface, "up")


def _ip(*arguments: str) -> str:
    done = subprocess.run([_IP, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"ip {' '.join(arguments)}: {done.stderr}"
    return done.stdout
