# SPDX-License-Identifier: Apache-2.0
"""Certificates of a small PKI for ikeway and strongSwan, as files where each looks for them."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ikeway.crypto.authority import Authority, create_authority, issue, issue_authority, pem
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import PrivateKey, generate_key
from ikeway.model.identity import Identity
from support.pair import INITIATOR, NAMES, RESPONDER, Case

P256: Final = KeyAlgorithm.ECDSA_256
DAYS: Final = 30


def now() -> datetime:
    """The wall clock, which both ends go by."""
    return datetime.now(UTC)


def tower(height: int, name: str = "Tower") -> list[Authority]:
    """A root and below it so many authorities, each below the one before."""
    found = [create_authority(f"{name} root", P256, now(), DAYS, None)]
    for floor in range(height):
        found.append(issue_authority(found[-1], f"{name} {floor}", P256, now(), DAYS, None))
    return found


@dataclass
class Papers:
    """What both ends of a tunnel prove themselves with; `role` is ikeway's."""

    folder: Path
    role: str
    authorities: Sequence[Authority]
    ours: tuple[Certificate, PrivateKey] = field(init=False)
    peer: tuple[Certificate, PrivateKey] = field(init=False)

    def __post_init__(self) -> None:
        self.us = NAMES[self.role]
        self.them = NAMES[RESPONDER if self.role == INITIATOR else INITIATOR]
        self.ours, self.peer = self.leaf(self.us), self.leaf(self.them)

    def leaf(self, who: str, **more: Any) -> tuple[Certificate, PrivateKey]:
        """Return a certificate of the lowest authority for one end, and its key."""
        key = generate_key(P256)
        purpose = "server" if who == "server" else "client"
        names = more.pop("names", [Identity.parse(f"{who}.lab")])
        issuer = self.authorities[-1]
        return issue(issuer, key.public, names, purpose, now(), DAYS, **more), key

    @property
    def middle(self) -> list[Certificate]:
        """The authorities below the root, the lowest first."""
        return [one.certificate for one in reversed(self.authorities[1:])]

    def credentials(self, *chain: Certificate, **more: object) -> dict[str, object]:
        """Return `[credentials]` of ikeway, which sends this chain behind its certificate."""
        leaf, key = self.ours
        written = {
            "own.crt": pem(leaf, *chain),
            "own.key": key.pem(),
            "root.crt": pem(self.authorities[0].certificate),
        }
        for name, octets in written.items():
            (self.folder / name).write_bytes(octets)
            (self.folder / name).chmod(0o600)
        place = self.folder
        return {
            "certificate": str(place / "own.crt"),
            "key": str(place / "own.key"),
            "authorities": [str(place / "root.crt")],
            **more,
        }

    def swanctl(self, *middle: Certificate) -> Path:
        """Return a folder for strongSwan, which knows the root and these authorities."""
        folder = self.folder / "swanctl"
        leaf, key = self.peer
        files = {
            f"x509/lab-{self.them}.crt": pem(leaf),
            f"private/lab-{self.them}.key": key.pem(),
            "x509ca/root.crt": pem(self.authorities[0].certificate),
            **{f"x509ca/m{number}.crt": pem(one) for number, one in enumerate(middle)},
        }
        for name, octets in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(octets)
        return folder

    def case(
        self,
        credentials: dict[str, object],
        swanctl: Path,
        ikeway: dict[str, object] | None = None,
        **strongswan: str,
    ) -> Case:
        """Return the case in which both ends use these papers."""
        settings = {"auth": "cert", "cert": "lab", "cas": "none", "swanctl_dir": str(swanctl)}
        return Case(
            auth="cert",
            ikeway=ikeway or {},
            ikeway_top={"credentials": credentials},
            strongswan={**settings, **strongswan},
        )
