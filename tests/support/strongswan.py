# SPDX-License-Identifier: Apache-2.0
"""A real strongSwan in a namespace, started by the lab's `peer-strongswan` and asked over VICI."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from support.netns import Namespace
from support.vici import Message, Vici

INITIATE_MS: Final = 6000
FETCHING: Final = (
    "random nonce x509 revocation constraints pubkey pkcs1 pkcs8 pem openssl kdf drbg curve25519"
    " sha1 sha2 mgf1 hmac gcm curl kernel-libipsec kernel-netlink socket-default vici"
)
"""Plugins for the `load` of its charon.conf: what a tunnel needs, and one that fetches."""
FLAG: Final = "<flag>"
"""The value of options that take none."""


@dataclass(frozen=True, slots=True)
class PeerChild:
    """A Child SA as strongSwan sees it."""

    state: str
    spi_in: int
    spi_out: int
    suite: str
    local_ts: frozenset[str]
    remote_ts: frozenset[str]
    packets_in: int
    packets_out: int
    octets_in: int
    octets_out: int
    name: str = ""
    mode: str = ""


@dataclass(frozen=True, slots=True)
class PeerSa:
    """An IKE SA as strongSwan sees it."""

    state: str
    local_id: str
    remote_id: str
    remote: tuple[str, int]
    suite: str
    nat: tuple[bool, bool]
    virtual_ips: tuple[str, ...]
    children: tuple[PeerChild, ...]


class StrongSwan:
    """One daemon. Options are those of `peer-strongswan up`, with `_` for `-`."""

    def __init__(self, lab: Path, folder: Path, namespace: Namespace, name: str) -> None:
        self._tool = str(lab / "peer-strongswan")
        self._where = ["--netns", namespace.name]
        self._name = name
        self._folder = folder / f"ss-{name}"
        self._env = os.environ | {"LAB_RUN": str(folder)}
        self.pid = 0

    def up(self, **options: str) -> None:
        """Start the daemon with this configuration."""
        words = [(f"--{key.replace('_', '-')}", value) for key, value in options.items()]
        arguments = [word if value == FLAG else f"{word}={value}" for word, value in words]
        try:
            self._run("up", self._name, *self._where, *arguments)
        except AssertionError as error:
            # On a busy machine the control socket is there a moment before somebody listens.
            if "Connection refused" not in str(error):
                raise
            self._run("swanctl", self._name, "--load-all", "--noprompt")
        self.pid = int(json.loads((self._folder / "state.json").read_text())["pid"])

    def initiate(
        self, patience_ms: int = INITIATE_MS, *, childless: bool = False, child: str = "net"
    ) -> str | None:
        """Set up the Child SA, and the IKE SA if there is none; return why it failed, or None."""
        what = {"ike": "lab"} if childless else {"child": child}
        answer = self._ask("initiate", timeout=str(patience_ms), **what)
        return None if answer["success"] == "yes" else str(answer["errmsg"])

    def terminate(self) -> None:
        """Delete the IKE SA and wait for the peer's answer."""
        self._ask("terminate", ike="lab", timeout="4000")

    def terminate_child(self, child: str = "net") -> None:
        """Delete the Child SA alone."""
        self._ask("terminate", child=child, timeout="4000")

    def half_open(self, address: str, origin: Namespace) -> None:
        """Leave an IKE SA half open at that address, so that it soon demands cookies."""
        self._run("half-open", address, "--netns", origin.name, "--count", "2")

    def rekey(self, what: str, child: str = "net") -> None:
        """Begin to rekey: `ike` or `child`."""
        values = {"ike": "lab"} if what == "ike" else {"child": child}
        self._ask("rekey", **values)

    def redirect(self, gateway: str) -> None:
        """Send the client of the IKE SA to another gateway (RFC 5685 §5)."""
        self._ask("redirect", ike="lab", gateway=gateway)

    def sas(self) -> list[PeerSa]:
        """Return every IKE SA."""
        vici = self._vici()
        try:
            events = vici.stream("list-sas", "list-sa")
        finally:
            vici.close()
        return [_sa(sa) for event in events for sa in event.values() if isinstance(sa, dict)]

    def log(self) -> str:
        """Return the log so far."""
        path = self._folder / "charon.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def wait_for_log(self, words: str, patience: float = 5.0) -> None:
        """Wait until the log has these words."""
        wait_until(lambda: words in self.log(), patience, f"{words!r} in strongSwan's log")

    def kill(self) -> None:
        """End the process as a crash would: nothing is said to the peer."""
        os.kill(self.pid, signal.SIGKILL)

    def down(self) -> None:
        """End the daemon in good order."""
        if self.pid and (self._folder / "state.json").exists():
            self._run("down", self._name)
            self.pid = 0

    def _ask(self, command: str, **values: str) -> Message:
        vici = self._vici()
        try:
            return vici.ask(command, **values)
        finally:
            vici.close()

    def _vici(self) -> Vici:
        return Vici.at(self._folder / "vici")

    def _run(self, *arguments: str) -> str:
        done = subprocess.run(
            [self._tool, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env=self._env,
        )
        assert done.returncode == 0, f"peer-strongswan {arguments}: {done.stdout}{done.stderr}"
        return done.stdout


def wait_until(
    holds: Callable[[], object], patience: float = 5.0, what: str | Callable[[], str] = ""
) -> None:
    """Wait until a condition holds; `what` says what was waited for."""
    end = time.monotonic() + patience
    while not holds():
        if time.monotonic() >= end:
            said = what() if callable(what) else what
            raise AssertionError(f"waited {patience} s in vain for {said}")
        time.sleep(0.03)


def _sa(sa: Message) -> PeerSa:
    children = sa.get("child-sas", {})
    assert isinstance(children, dict)
    nat = _text(sa, "nat-local") == "yes", _text(sa, "nat-remote") == "yes"
    vips = [*_texts(sa, "local-vips"), *_texts(sa, "remote-vips")]
    words = ("encr-alg", "encr-keysize", "integ-alg", "prf-alg", "dh-group")
    return PeerSa(
        state=_text(sa, "state"),
        local_id=_text(sa, "local-id"),
        remote_id=_text(sa, "remote-id"),
        remote=(_text(sa, "remote-host"), int(_text(sa, "remote-port") or "0")),
        suite="/".join(_text(sa, word) for word in words if _text(sa, word)),
        nat=nat,
        virtual_ips=tuple(vips),
        children=tuple(_child(child) for child in children.values() if isinstance(child, dict)),
    )


def _child(child: Message) -> PeerChild:
    words = ("encr-alg", "encr-keysize", "integ-alg", "dh-group", "esn")
    return PeerChild(
        state=_text(child, "state"),
        spi_in=int(_text(child, "spi-in") or "0", 16),
        spi_out=int(_text(child, "spi-out") or "0", 16),
        suite="/".join(_text(child, word) for word in words if _text(child, word)),
        local_ts=frozenset(_texts(child, "local-ts")),
        remote_ts=frozenset(_texts(child, "remote-ts")),
        packets_in=int(_text(child, "packets-in") or "0"),
        packets_out=int(_text(child, "packets-out") or "0"),
        octets_in=int(_text(child, "bytes-in") or "0"),
        octets_out=int(_text(child, "bytes-out") or "0"),
        name=_text(child, "name"),
        mode=_text(child, "mode"),
    )


def _text(message: Message, key: str) -> str:
    value = message.get(key, "")
    assert isinstance(value, str)
    return value


def _texts(message: Message, key: str) -> list[str]:
    value = message.get(key, [])
    assert isinstance(value, list)
    return value
