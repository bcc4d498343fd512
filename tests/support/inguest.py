# SPDX-License-Identifier: Apache-2.0
"""Libreswan or OpenIKED in a guest, whose kernel does ESP, started by the lab's `peer-inguest`."""

import os
import subprocess
from abc import abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Final, Protocol

from typing_extensions import override

from support.guest import Guest, GuestPair
from support.link import SECOND
from support.pair import INITIATOR, RESPONDER, Case
from support.peer import Peer
from support.strongswan import FLAG, PeerChild, PeerSa, wait_until
from support.xfrm import children, parse

CACHE: Final = Path("/var/cache/ikeway-lab")
KERNEL: Final = "ip -s xfrm state"


class InGuest(Peer):
    """One daemon. Options are those of `peer-inguest up`, with `_` for `-`; an empty one is none.

    `newer` is that of Debian testing, in a root of its own.
    """

    KIND: ClassVar[str]
    IKE: ClassVar[str]
    ESP: ClassVar[str]
    LOG: ClassVar[str]

    def __init__(self, guest: Guest, *, newer: bool = False) -> None:
        self.guest = guest
        self.newer = newer
        self._is_up = False

    @classmethod
    def install(cls, lab: Path, *, newer: bool = False) -> bool:
        """Fetch what the peer needs, if it is not here; whether it is here now."""
        tool = [str(lab / "peer-inguest"), *(["--newer"] if newer else []), cls.KIND, "install"]
        done = subprocess.run(tool, check=False, capture_output=True, timeout=600)
        return done.returncode == 0

    @override
    def up(self, **options: str) -> None:
        self._is_up = True
        words = [(f"--{key.replace('_', '-')}", value) for key, value in options.items()]
        flags = [word if value == FLAG else f"{word}={value}" for word, value in words]
        self._tool("up", self.guest.name, *flags)

    @override
    def sas(self) -> list[PeerSa]:
        said = self.run(f"{self.states()}; echo ---; {KERNEL}")
        states, _, kernel = said.partition("---\n")
        sas = parse(kernel)
        found = (*children(sas, SECOND[4]), *children(sas, SECOND[6]))
        names = self.read_states(states) or (["GONE"] if found else [])
        return [_sa(name, () if number else found) for number, name in enumerate(names)]

    @abstractmethod
    def states(self) -> str:
        """Return the command that lists IKE SAs."""

    @abstractmethod
    def read_states(self, said: str) -> list[str]:
        """Return a state for each IKE SA; one that is set up is ESTABLISHED."""

    @override
    def log(self) -> str:
        path = self.guest.folder / self.LOG
        return path.read_text(errors="replace") if path.exists() else ""

    @override
    def down(self) -> None:
        if self._is_up:
            self._is_up = False
            self.kill()

    def kill(self) -> None:
        """End the process as a crash would: nothing is said to the peer, and the kernel forgets."""
        name = self.LOG.partition(".")[0]
        left = f"/run/{name}/{name}.*"
        root = CACHE / f"forky-{self.KIND}"
        killed = f"pkill -KILL -x {name}; rm -f {left} {root}{left}"
        self.guest.run("sh", "-c", f"{killed}; ip xfrm state flush; ip xfrm policy flush; true")

    def run(self, script: str) -> str:
        """Run a shell script where the daemon is; what it returns does not matter."""
        command = ["sh", "-c", f"{script}; true"]
        if self.newer:
            command = ["chroot", str(CACHE / f"forky-{self.KIND}"), *command]
        return self.guest.run(*command)

    def _tool(self, *arguments: str) -> str:
        tool = [str(self.guest.lab / "peer-inguest"), *(["--newer"] if self.newer else [])]
        done = subprocess.run(
            [*tool, self.KIND, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=120,
            env=os.environ | {"LAB_RUN": str(self.guest.folder.parents[1])},
        )
        assert done.returncode == 0, f"{self.KIND} {arguments}: {done.stdout}{done.stderr}"
        return done.stdout


def _sa(state: str, found: tuple[PeerChild, ...]) -> PeerSa:
    """Return an IKE SA of which only the state is known; the kernel does not say whose each is."""
    return PeerSa(state, "", "", ("", 0), "", (False, False), (), found)


class InGuestPair(GuestPair):
    """ikeway in a namespace, another peer in a guest, configured to fit each other."""

    PATIENCE: float = 5.0
    """A guest has one processor, without its own instructions; to ask it takes up to a second."""

    def __init__(self, peer: InGuest, folder: Path, role: str, case: Case) -> None:
        super().__init__(peer.guest, folder, role, case)
        self.peer: InGuest = peer

    @override
    def options(self) -> dict[str, str]:
        """Return the options of `peer-inguest up`; suites are written as each peer writes them."""
        case = self.case
        options = {
            "role": RESPONDER if self.is_initiator else INITIATOR,
            "auth": case.auth,
            "local": self.link.peer.outer[case.outside],
            "peer": self.link.seen_as["ours"][case.outside],
            "local_ts": self.link.peer.networks[case.inside[0]],
            "remote_ts": self.link.ours.networks[case.inside[0]],
        }
        return {k: v for k, v in {**options, **case.peer}.items() if v}


class Meeting(Protocol):
    """Makes a pair of running daemons, the peer's in the guest; `case` is the fields of a Case."""

    def __call__(self, kind: type[InGuest], *, newer: bool = False, **case: Any) -> InGuestPair: ...


def name_of(pair: InGuestPair, what: str) -> str:
    """Return what names the IKE SA or the Child SA that is up now, or nothing if none is."""
    sas = pair.ikeway.established()
    if not sas or not sas[-1].child_sas:
        return ""
    return sas[-1].id if what == "ike" else ",".join(sorted(c.spi_in for c in sas[-1].child_sas))


def changes(pair: InGuestPair, what: str, patience: float) -> None:
    """Wait until another IKE SA, or Child SA, is up than now."""
    before = name_of(pair, what)
    wait_until(lambda: name_of(pair, what) not in {before, ""}, patience, f"the rekey of {what}")
