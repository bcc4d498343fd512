# SPDX-License-Identifier: Apache-2.0
"""Configuration files of the test's making, with a small authority beside them."""

from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import pytest

from ikeway.config.findings import InvalidConfigError
from ikeway.config.load import Loaded, load
from ikeway.crypto.authority import Authority, create_authority, issue, pem
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import PrivateKey, generate_key
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret

PSK = """
[host]
identity = "a.example.com"
[[credentials.secrets]]
id = "b.example.com"
psk = "file:site.psk"
[connections.b]
peer = "203.0.113.7"
local_auth = "psk"
peer_auth = ["psk"]
peer_id = "b.example.com"
"""
CERTIFICATE = """
[credentials]
certificate = "server.crt"
key = "server.key"
authorities = ["ca.crt"]
[connections.staff]
role = "responder"
"""


@cache
def authority() -> Authority:
    """A root that stays the same through the session."""
    return create_authority("Test CA", KeyAlgorithm.ED25519, datetime.now(UTC), 365)


@cache
def server(name: str = "vpn.example.com") -> tuple[Certificate, PrivateKey]:
    """A certificate of that root, with its key."""
    key = generate_key(KeyAlgorithm.ED25519)
    names = [Identity.parse(name), Identity.parse("192.0.2.1")]
    leaf = issue(authority(), key.public, names, "server", datetime.now(UTC), 90)
    return leaf, key


def write(folder: Path, text: str, password: bytes | None = None) -> Path:
    """Write a configuration and all that it may refer to; return its path."""
    leaf, key = server()
    secret(folder / "site.psk", b"0123456789abcdef0123456789abcdef\n")
    (folder / "server.crt").write_bytes(pem(leaf))
    secret(folder / "server.key", key.pem(Secret(password) if password else None))
    (folder / "ca.crt").write_bytes(pem(authority().certificate))
    file = folder / "ikeway.toml"
    file.write_text(text)
    return file


def secret(file: Path, octets: bytes) -> None:
    """Write a file for its owner only."""
    file.touch(mode=0o600)
    file.write_bytes(octets)


def loaded(folder: Path, text: str) -> Loaded:
    """Load a configuration that is right."""
    return load(write(folder, text))


def errors(folder: Path, text: str) -> list[str]:
    """Return the errors of a configuration that is wrong, as `LINE: KEY: TEXT`."""
    file = write(folder, text)
    with pytest.raises(InvalidConfigError) as caught:
        load(file)
    found = [f"{each.line}: {each.key}: {each.text}" for each in caught.value.findings]
    assert str(caught.value).splitlines() == [f"{file}:{each}" for each in found]
    return found
