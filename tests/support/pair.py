# SPDX-License-Identifier: Apache-2.0
"""ikeway at one end of a cable and a peer at the other, configured to fit each other."""

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Protocol

import pytest

from support.daemon import Daemon
from support.link import OUTER, Link
from support.peer import Peer
from support.strongswan import PeerChild, PeerSa, StrongSwan, wait_until
from support.swanctl import base, merge, render
from support.traffic import PINGS, Witness, overflows, ping, transfer

PSK: Final = "lab-psk-0123456789"
PKI: Final = Path("/var/cache/ikeway-lab/pki")
CERTIFICATES: Final = ("rsa", "ecdsa", "ecdsa384", "ed25519", "big")
IKE: Final = "aes256gcm16-prfsha384-x25519"
ESP: Final = "aes256gcm16"
INITIATOR: Final = "initiator"
RESPONDER: Final = "responder"
NAMES: Final = {INITIATOR: "client", RESPONDER: "server"}
"""Who each role is in the lab's certificates."""

LOG_LINES: Final = 80


@dataclass(frozen=True)
class Case:
    """What a test is about; what it leaves open is plain.

    `ikeway` is merged into the connection of ikeway's configuration, `ikeway_top` into the whole
    file; `strongswan` into the options of `peer-strongswan up`, `peer` into those of
    `peer-inguest up`, for a pair with one of its peers. `swanctl` is merged into a
    swanctl.conf of our own, for what those options cannot say. `faults` are ikeway's.
    """

    auth: str = "psk"
    outside: int = 4
    inside: tuple[int, ...] = (4,)
    ike: str = IKE
    esp: str = ESP
    ikeway: Mapping[str, object] = field(default_factory=dict)
    ikeway_top: Mapping[str, Any] = field(default_factory=dict)
    strongswan: Mapping[str, str] = field(default_factory=dict)
    peer: Mapping[str, str] = field(default_factory=dict)
    swanctl: Mapping[str, Any] | None = None
    faults: tuple[Mapping[str, object], ...] = ()


class Pair:
    """Both ends of one case. `role` is ikeway's."""

    STASH: Final = pytest.StashKey[list["Pair"]]()
    """Where a test keeps its pairs, so that the report of a failure has their logs."""
    PATIENCE: float = 1.0
    """How many times as long as usual to wait for what happens at both ends."""

    def __init__(
        self, lab: Path, folder: Path, link: Link, role: str, case: Case, outer: str = OUTER
    ) -> None:
        self.link = link
        self.role = role
        self.case = case
        self._folder = folder
        self.ikeway = Daemon(folder / "ikeway", link.ours.namespace, self._config(), case.faults)
        self.peer: Peer = StrongSwan(lab, folder, link.peer.namespace, "peer")
        self.witness = Witness(link.ours, outer)

    @property
    def strongswan(self) -> StrongSwan:
        """The peer, which is strongSwan."""
        assert isinstance(self.peer, StrongSwan)
        return self.peer

    @property
    def is_initiator(self) -> bool:
        """Whether ikeway starts the IKE SA."""
        return self.role == INITIATOR

    # Both ends ---------------------------------------------------------------------------------

    def up(self) -> None:
        """Start both daemons."""
        self.ikeway.begin()
        self.peer.up(**self.options())
        self.ikeway.ready()

    def connect(self) -> None:
        """Set up the tunnel from the side whose turn it is, and wait until both ends have it."""
        failure = self.attempt()
        assert failure is None, failure
        wait_until(self.is_up, 6.0 * self.PATIENCE, "the Child SA at both ends")

    def attempt(self) -> str | None:
        """Start the IKE SA from the side whose turn it is; the peer says why it failed."""
        if self.is_initiator:
            self.ikeway.initiate()
            return None
        return self.peer.initiate()

    def fails(self) -> None:
        """Start the IKE SA, which must fail; the peer must say so if it was its turn."""
        failure = self.attempt()
        assert self.is_initiator or failure is not None

    def nothing_is_left(self) -> None:
        """Neither end keeps an SA or a route, no ESP was on the cable, and nothing in clear."""
        wait_until(self.is_down, 6.0 * self.PATIENCE, "both ends to be down")
        self._nothing_goes_through()

    def no_child_is_left(self) -> None:
        """Both ends keep the IKE SA, and neither has a Child SA."""
        wait_until(self._is_childless, 3.0, "an IKE SA without Child SA at both ends")
        self._nothing_goes_through()

    def is_up(self) -> bool:
        """Whether both ends have an established IKE SA with an installed Child SA."""
        ours = [sa for sa in self.ikeway.established() if sa.child_sas]
        return len(ours) == 1 and len(self.peer_children()) == 1

    def is_down(self) -> bool:
        """Whether neither end has an IKE SA, and ikeway no route into a tunnel."""
        return not self.ikeway.sas() and not self.peer.sas() and not self.routes()

    def _is_childless(self) -> bool:
        children = self.ikeway.children() or self.peer_children()
        peers = [sa for sa in self.peer.sas() if sa.state == "ESTABLISHED"]
        return not children and len(self.ikeway.established()) == len(peers) == 1

    def _nothing_goes_through(self) -> None:
        assert not self.routes()
        before = self.witness.look()["esp"]
        ours, peer = self.link.ours, self.link.peer
        for version in self.case.inside:
            assert ping(ours.namespace, ours.inner[version], peer.inner[version], 2, 0.2) == 0
            assert ping(peer.namespace, peer.inner[version], ours.inner[version], 2, 0.2) == 0
        assert self.witness.look()["esp"] == before
        assert not self.witness.leaks

    def peer_sa(self) -> PeerSa:
        """Return the peer's only IKE SA."""
        (sa,) = self.peer.sas()
        return sa

    def peer_children(self) -> list[PeerChild]:
        """Return the peer's installed Child SAs."""
        children = [child for sa in self.peer.sas() for child in sa.children]
        return [child for child in children if child.state == "INSTALLED"]

    def routes(self) -> str:
        """Return the routes into ikeway's tunnel, of all tables."""
        found = []
        for family in ("-4", "-6"):
            table = self.link.ours.namespace.ip(family, "route", "show", "table", "all")
            found += [line for line in table.splitlines() if "ikeway0" in line]
        return "\n".join(line for line in found if "fe80" not in line and "ff00" not in line)

    # Traffic -----------------------------------------------------------------------------------

    def carry(self, ours: dict[int, str] | None = None, peer: dict[int, str] | None = None) -> None:
        """Ping both ways and send a file; both ends count the same packets, none is in clear."""
        before = self._counts()
        for version in self.case.inside:
            self._exchange(
                (ours or self.link.ours.inner)[version], (peer or self.link.peer.inner)[version]
            )
        wait_until(self._agree, 2.0 * self.PATIENCE, self._tally)
        after = self._counts()
        assert all(new > old for new, old in zip(after, before, strict=True)), (before, after)
        seen = self.witness.look()
        assert seen["esp"] + seen["bare esp"] + seen["ah"] >= sum(after) - sum(before)
        assert not self.witness.leaks

    def _exchange(self, ours: str, peer: str) -> None:
        here, there = (self.link.ours.namespace, ours), (self.link.peer.namespace, peer)
        for (source, from_), (_, to) in ((here, there), (there, here)):
            answered = ping(source, from_, to)
            assert answered == PINGS, f"{answered} of {PINGS} pings to {to}; {self._tally()}"
        transfer(here, there)

    def _agree(self) -> bool:
        """Whether each end has what the other sent, less what its own sockets had no room for."""
        (ours_in, ours_out), (peer_in, peer_out) = self._counts(), self._peer_counts()
        lost_in = overflows(self.link.ours.namespace)
        lost_out = overflows(self.link.peer.namespace)
        return 0 <= peer_out - ours_in <= lost_in and 0 <= ours_out - peer_in <= lost_out

    def _tally(self) -> str:
        ours, peer = self._counts(), self._peer_counts()
        return f"equal counts in and out: ikeway {ours}, the peer {peer}"

    def _peer_counts(self) -> tuple[int, int]:
        children = self.peer_children()
        packets_in = sum(child.packets_in for child in children)
        return packets_in, sum(child.packets_out for child in children)

    def _counts(self) -> tuple[int, int]:
        children = self.ikeway.children()
        packets_in = sum(child.packets_in for child in children)
        return packets_in, sum(child.packets_out for child in children)

    # The end -----------------------------------------------------------------------------------

    def down(self) -> None:
        """End both daemons; ikeway must do so in good order, with nothing unforeseen in its log."""
        try:
            status = self.ikeway.stop()
        finally:
            self.peer.down()
            self.witness.look()
            self.witness.close()
        assert status == 0 or not self.ikeway.is_ready, f"ikeway ended with {status}"
        assert not self.ikeway.faults(), self.ikeway.faults()
        assert not self.witness.leaks, "packets in clear"

    def logs(self) -> str:
        """Return the ends of both logs."""
        parts = {"ikeway": self.ikeway.log(), "peer": self.peer.log()}
        return "\n".join(
            "\n".join((f"--- {name}", *_last(text.splitlines()))) for name, text in parts.items()
        )

    # Configuration -----------------------------------------------------------------------------

    def _config(self) -> dict[str, object]:
        case = self.case
        us = NAMES[self.role]
        them = NAMES[RESPONDER if self.is_initiator else INITIATOR]
        method = "psk" if case.auth == "psk" else "certificate"
        credentials: dict[str, object] = {}
        if case.auth in CERTIFICATES:
            credentials = {
                "certificate": str(PKI / f"{case.auth}-{us}.crt"),
                "key": str(PKI / f"{case.auth}-{us}.key"),
                "authorities": [str(PKI / f"{case.auth}-ca.crt")],
            }
        secret = self._folder / "psk"
        secret.write_text(PSK)
        secret.chmod(0o600)
        credentials["secrets"] = [{"id": "*", "psk": f"file:{secret}"}]
        connection: dict[str, object] = {
            "role": self.role,
            "peer": self._seen("peer"),
            "local_auth": method,
            "peer_auth": [method],
            "peer_id": f"{them}.lab",
            "local_ts": [self.link.ours.networks[version] for version in case.inside],
            "peer_ts": [self.link.peer.networks[version] for version in case.inside],
            "ike": [case.ike],
            "esp": [case.esp],
            **case.ikeway,
        }
        return {
            "host": {"identity": f"{us}.lab"},
            "credentials": {**credentials, **case.ikeway_top.get("credentials", {})},
            **{k: v for k, v in case.ikeway_top.items() if k not in {"credentials", "connections"}},
            "connections": {
                "lab": {key: value for key, value in connection.items() if value is not None},
                **case.ikeway_top.get("connections", {}),
            },
        }

    def options(self) -> dict[str, str]:
        """Return the options of `peer-strongswan up`."""
        case = self.case
        options = {
            "role": RESPONDER if self.is_initiator else INITIATOR,
            "auth": case.auth,
            "log_groups": "esp=1",
            "cas": case.auth if case.auth in CERTIFICATES else "none",
            "local": self.link.peer.outer[case.outside],
            "ike": case.ike,
            "esp": case.esp,
            "local_ts": ",".join(self.link.peer.networks[version] for version in case.inside),
            "remote_ts": ",".join(self.link.ours.networks[version] for version in case.inside),
        }
        if not self.is_initiator:
            options["remote"] = self._seen("ours")
        merged = {k: v for k, v in {**options, **case.strongswan}.items() if v}
        if case.swanctl is not None:
            conf = self._folder / "swanctl.conf"
            conf.write_text(render(merge(base(merged, PSK), case.swanctl)))
            merged["conf"] = str(conf)
        return merged

    def _seen(self, side: str) -> str:
        return self.link.seen_as[side][self.case.outside]


def _last(lines: list[str]) -> list[str]:
    """Return the end of a log, without strongSwan's listing of its own configuration."""
    noise = ("[CFG]   ", "vici client", " 00[")
    return [line for line in lines if not any(part in line for part in noise)][-LOG_LINES:]


class Tunnel(Protocol):
    """Makes a pair of running daemons for a case, over a plain cable unless a link is given."""

    def __call__(self, case: Case, link: AbstractContextManager[Link] | None = None) -> Pair: ...
