# SPDX-License-Identifier: Apache-2.0
"""strongSwan on a kernel that has ESP: a small guest, started by the lab's `labguest`."""

import os
import socket
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

from typing_extensions import override

from support.link import FIRST, OURS_INNER, PEER_INNER, SECOND, linked
from support.netns import Namespace
from support.pair import Case, Pair
from support.strongswan import StrongSwan
from support.traffic import PINGS, ping
from support.vici import Vici

NAMES: Final = {"uml": "g", "tcg": "k"}
"""By kind: user-mode Linux starts in seconds, QEMU's interpreter has all of Linux."""
OUTER: Final = f"lg{NAMES['uml']}0"
RELAY_PORT: Final = 4502
MODULES: Final = ("esp4", "esp6", "xfrm_user", "authenc", "gcm", "chacha20poly1305", "seqiv")
FILE_OCTETS: Final = 300_000
FILE_PORT: Final = 8080
HELP: Final = """
import pathlib, socket, sys, threading
def copy(source, target):
    while octets := source.recv(65536):
        target.sendall(octets)
    target.shutdown(socket.SHUT_WR)
def relay(there):
    here = socket.socket(socket.AF_UNIX)
    here.connect(sys.argv[1])
    threading.Thread(target=copy, args=(here, there), daemon=True).start()
    copy(there, here)
def give(there):
    with there:
        there.sendall(pathlib.Path(sys.argv[2]).read_bytes())
def serve(port, answer):
    listener = socket.create_server(("::", port), family=socket.AF_INET6, dualstack_ipv6=True)
    while True:
        there, _ = listener.accept()
        threading.Thread(target=answer, args=(there,), daemon=True).start()
threading.Thread(target=serve, args=(int(sys.argv[3]), relay), daemon=True).start()
serve(int(sys.argv[4]), give)
"""
"""Lets us reach strongSwan's control socket, which no socket of ours can, and gives out a file."""


class Guest:
    """A running guest. It sees this machine's files, and has `/out` in common with `folder`."""

    def __init__(self, lab: Path, run: Path, namespace: Namespace, kind: str = "uml") -> None:
        self._kind, self.name = kind, NAMES[kind]
        self.outer = f"lg{self.name}0"
        self.lab = lab
        self.namespace = namespace
        self.folder = run / f"guest-{self.name}" / "out"
        self._env = os.environ | {"LAB_RUN": str(run)}

    def up(self) -> None:
        """Boot, with a cable to the namespace that has the outer addresses."""
        cable = f"{FIRST[4]}/24,{SECOND[4]}/24"
        where = ["--kind", self._kind, "--netns", self.namespace.name]
        self._labguest("up", self.name, *where, "--nic", cable)
        self.namespace.add_address(self.outer, f"{FIRST[6]}/64")
        for module in MODULES:
            self.run("modprobe", module)
        self.run("ip", "address", "add", f"{SECOND[6]}/64", "dev", "eth0", "nodad")
        for address in PEER_INNER.values():
            self.run("ip", "address", "add", address, "dev", "lo")
        (self.folder / "file").write_bytes(os.urandom(FILE_OCTETS))
        where = ("/out/ss-peer/vici", "/out/file", str(RELAY_PORT), str(FILE_PORT))
        self.start("help", "python3", "-c", HELP, *where)

    def run(self, *command: str) -> str:
        """Run a command in the guest; it must succeed."""
        return self._labguest("exec", "--env", "LAB_RUN=/out", self.name, "--", *command)

    def start(self, log: str, *command: str) -> None:
        """Start a command in the guest, which ends with it."""
        self._labguest("exec", "--bg", log, self.name, "--", *command)

    def down(self) -> None:
        """Switch the guest off."""
        self._labguest("down", self.name)

    def _labguest(self, *arguments: str) -> str:
        tool = str(self.lab / "labguest")
        done = subprocess.run(
            [tool, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=600,
            env=self._env,
        )
        assert done.returncode == 0, f"labguest {arguments}: {done.stdout}{done.stderr}"
        return done.stdout


class GuestStrongSwan(StrongSwan):
    """strongSwan in a guest, whose kernel does ESP."""

    def __init__(self, guest: Guest) -> None:
        super().__init__(guest.lab, guest.folder, guest.namespace, "peer")
        self._guest = guest
        self._where = ["--kernel", "netlink"]

    @override
    def _run(self, *arguments: str) -> str:
        return self._guest.run(self._tool, *arguments)

    @override
    def _vici(self) -> Vici:
        # Over IPv6, so that no query is in a Child SA whose packets a test counts.
        where = (SECOND[6], RELAY_PORT)
        return Vici(self._guest.namespace.inside(lambda: socket.create_connection(where)))


class GuestPair(Pair):
    """ikeway in a namespace, strongSwan in a guest."""

    def __init__(self, guest: Guest, folder: Path, role: str, case: Case) -> None:
        super().__init__(
            guest.lab, folder, linked(guest.namespace, guest.namespace), role, case, outer=OUTER
        )
        self._guest = guest
        self.peer = GuestStrongSwan(guest)

    @override
    def _exchange(self, ours: str, peer: str) -> None:
        here = self.link.ours.namespace
        assert ping(here, ours, peer) == PINGS, self._tally()
        self._guest.run(
            "ping", "-n", "-q", "-c", str(PINGS), "-i", "0.01", "-w", "10", "-I", peer, ours
        )
        fetched = here.inside(lambda: _fetch(ours, peer))
        assert fetched == (self._guest.folder / "file").read_bytes()


GuestTunnel: TypeAlias = Callable[[Case], GuestPair]


@contextmanager
def booted(lab: Path, folder: Path, namespace: Namespace, kind: str = "uml") -> Iterator[Guest]:
    """A guest with a cable to a namespace, which gets the inner addresses of our end."""
    guest = Guest(lab, folder, namespace, kind)
    for address in OURS_INNER.values():
        namespace.add_address("lo", address)
    guest.up()
    try:
        yield guest
    finally:
        guest.down()


def _fetch(source: str, server: str) -> bytes:
    with socket.create_connection((server, FILE_PORT), 10, (source, 0)) as stream:
        return b"".join(iter(lambda: stream.recv(65536), b""))
