# SPDX-License-Identifier: Apache-2.0
"""What `ikeway config show` prints is TOML, means the same, and holds no secret."""

import tomllib
from pathlib import Path

import pytest

from ikeway.config.load import load
from ikeway.config.show import show
from support.configured import CERTIFICATE, PSK, loaded, write

MANY = (
    PSK
    + """
role = "both"
local_address = "192.0.2.9"
local_ts = ["10.1.0.0/16[tcp/443]", "dynamic[icmp/8.0]", "::/0[udp/1-2]"]
peer_ts = ["10.2.0.0/16", "dynamic[tcp/opaque]", "10.3.0.0/16[47]"]
pool = "p"
virtual_ips = ["0.0.0.0", "::"]
ike = ["aes256-sha256-prfsha384-x25519-ecp384", "chacha20poly1305-x448"]
esp = ["aes256gcm16-esn", "aes128-sha512-noesn-modp4096"]
start = "now"
lifetimes = { ike = "90m", child_bytes = "none" }
retransmission = { first = "250ms", factor = 1.5, longest = "4s", give_up = "1m30s" }
[pools.p]
ranges = ["10.66.0.0/24"]
dns = ["10.66.0.1"]
domains = ["corp.example.com"]
"""
)
SEVERAL = (
    PSK
    + """
esp = ["aes256gcm16"]
[connections.b.children.lan]
local_ts = ["10.1.0.0/16"]
start = "now"
[connections.b.children.host]
local_ts = ["dynamic"]
peer_ts = ["dynamic[tcp/443]"]
mode = "transport"
start = "demand"
idle = "5m"
lifetimes = { child = "20m", child_bytes = "none" }
"""
)


@pytest.mark.parametrize("text", [PSK, CERTIFICATE, MANY, SEVERAL])
def test_what_is_shown_means_the_same_when_it_is_read_again(tmp_path: Path, text: str) -> None:
    found = loaded(tmp_path, text)
    shown = show(found)
    files = {
        "# psk: 32 octets": 'psk = "file:site.psk"',
        "# authority: CN=Test CA": 'authorities = ["ca.crt"]',
        "# our certificate: ": 'certificate = "server.crt" # ',
    }
    for comment, line in files.items():
        shown = shown.replace(comment, line)
    again = load(write(tmp_path, shown))
    assert again.connections == found.connections
    assert (again.host, again.pools, again.dataplane) == (found.host, found.pools, found.dataplane)


def test_nothing_that_is_shown_is_a_secret(tmp_path: Path) -> None:
    shown = show(loaded(tmp_path, PSK.replace('"file:site.psk"', '"hunter2 and more"')))
    assert "hunter2" not in shown
    assert tomllib.loads(shown)["connections"]["b"]["lifetimes"]["child_bytes"] == "68719476736B"
