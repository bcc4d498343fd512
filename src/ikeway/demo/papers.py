# SPDX-License-Identifier: Apache-2.0
"""What both sides are given: certificates of an authority of the demo's own, and configurations."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from ikeway.crypto.authority import create_authority, issue, pem
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import generate_key
from ikeway.crypto.profile import Purpose
from ikeway.demo.cable import GATEWAY
from ikeway.model.identity import Identity

GATEWAY_ID: Final = "gateway.example"
LAPTOP_ID: Final = "laptop@example"
CONNECTION: Final = "office"
_DAYS: Final = 1

_COMMON: Final = """\
[host]
identity = "{identity}"

[credentials]
certificate = "own.crt"
key         = "own.key"
authorities = ["ca.crt"]
"""
_GATEWAY: Final = """
[pools.staff]
ranges = ["10.66.0.0/24", "fd66::/112"]

[connections.staff]
role     = "responder"
peer     = "any"
peer_id  = "*@example"
local_ts = ["0.0.0.0/0", "::/0"]
peer_ts  = ["dynamic"]
pool     = "staff"
"""
_LAPTOP: Final = f"""
[connections.{CONNECTION}]
role        = "initiator"
peer        = "{GATEWAY}"
peer_id     = "{GATEWAY_ID}"
virtual_ips = ["0.0.0.0", "::"]
local_ts    = ["dynamic"]
peer_ts     = ["0.0.0.0/0", "::/0"]
"""


@dataclass(frozen=True, slots=True)
class Papers:
    """A folder with `ikeway.toml` and what it names, for each side."""

    gateway: Path
    laptop: Path

    @property
    def gateway_config(self) -> Path:
        """The gateway's configuration."""
        return self.gateway / "ikeway.toml"

    @property
    def laptop_config(self) -> Path:
        """The laptop's configuration."""
        return self.laptop / "ikeway.toml"


def issue_papers(folder: Path) -> Papers:
    """Make an authority and write, below `folder`, what each side needs."""
    now = datetime.now(UTC)
    authority = create_authority("ikeway demo CA", KeyAlgorithm.ECDSA_256, now, _DAYS)
    sides: tuple[tuple[str, str, Purpose, str], ...] = (
        ("gateway", GATEWAY_ID, "server", _GATEWAY),
        ("laptop", LAPTOP_ID, "client", _LAPTOP),
    )
    for name, identity, purpose, connections in sides:
        key = generate_key(KeyAlgorithm.ECDSA_256)
        names = [Identity.parse(identity)]
        certificate = issue(authority, key.public, names, purpose, now, _DAYS)
        side = folder / name
        side.mkdir(mode=0o700)
        _write(side / "own.key", key.pem())
        _write(side / "own.crt", pem(certificate))
        _write(side / "ca.crt", pem(authority.certificate))
        _write(side / "ikeway.toml", (_COMMON.format(identity=identity) + connections).encode())
    return Papers(folder / "gateway", folder / "laptop")


def _write(path: Path, octets: bytes) -> None:
    path.touch(mode=0o600)
    path.write_bytes(octets)
