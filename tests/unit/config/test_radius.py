# SPDX-License-Identifier: Apache-2.0
"""`[radius]` of the configuration."""

from pathlib import Path

import pytest

from ikeway.config.show import show
from support.configured import CERTIFICATE, errors, loaded

SERVER = '[[radius.servers]]\nhost = "10.0.0.5"\nsecret = "env:RADIUS_SECRET"\n'
CONNECTION = CERTIFICATE + 'peer_auth = ["eap-radius"]\n'


@pytest.fixture(autouse=True)
def secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RADIUS_SECRET", "a secret of 20 octets")


def test_a_server_has_its_ports_and_we_have_a_name(tmp_path: Path) -> None:
    found = loaded(tmp_path, '[host]\nidentity = "vpn.example"\n' + SERVER + CONNECTION)
    assert found.radius is not None
    assert found.radius.name == "vpn.example"
    (place,) = found.radius.servers
    assert (place.host, place.port, place.accounting_port) == ("10.0.0.5", 1812, 1813)
    assert place.secret.octets == b"a secret of 20 octets"
    assert place.tls is None
    assert found.radius.accounting
    assert found.radius.orders is None


def test_radsec_has_its_port_and_secret(tmp_path: Path) -> None:
    server = '[[radius.servers]]\nhost = "radius.example"\nauthorities = ["server.crt"]\n'
    found = loaded(tmp_path, server + CONNECTION)
    assert found.radius is not None
    (place,) = found.radius.servers
    assert (place.port, place.accounting_port, place.secret.octets) == (2083, 2083, b"radsec")
    assert place.tls is not None
    assert place.tls.name == "radius.example"


def test_what_is_in_force_is_shown_without_the_secret(tmp_path: Path) -> None:
    orders = '[radius]\norders = "10.0.0.1"\n'
    text = show(loaded(tmp_path, orders + SERVER + CONNECTION))
    assert 'host = "10.0.0.5"' in text
    assert 'orders = "10.0.0.1"' in text
    assert "a secret" not in text


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CONNECTION, "there is no RADIUS server; add [[radius.servers]]"),
        (
            '[[radius.servers]]\nhost = "a"\n' + CONNECTION,
            "the secret with this server is missing",
        ),
        (
            SERVER + 'server_name = "a"\n' + CONNECTION,
            "server_name is for TLS only; set authorities too",
        ),
        (
            SERVER + 'authorities = ["server.crt"]\ncertificate = "server.crt"\n' + CONNECTION,
            "certificate and key go together",
        ),
        (
            SERVER + CONNECTION.replace('["eap-radius"]', '["eap-radius", "eap-md5"]'),
            "eap-radius stands for every method of EAP",
        ),
        (
            CONNECTION.replace('["eap-radius"]', '["certificate"]') + 'groups = ["a"]\n',
            "groups: only with EAP",
        ),
        (
            SERVER + CONNECTION + "resumption = true\n",
            "a ticket would let users in without asking",
        ),
        (
            SERVER + CONNECTION + 'local_auth = "eap-radius"\n',
            "eap-radius proves peers",
        ),
    ],
)
def test_what_cannot_work_is_refused(tmp_path: Path, text: str, words: str) -> None:
    assert any(words in one for one in errors(tmp_path, text))
