# SPDX-License-Identifier: Apache-2.0
"""A connection has what it refers to and can work, or the configuration is refused."""

from pathlib import Path

import pytest

from ikeway.crypto.certificate import distinguished_name
from ikeway.model.identity import Identity, IdType
from ikeway.policy.connection import Proof, Start
from support.configured import CERTIFICATE, PSK, errors, loaded


def only(found: list[str]) -> str:
    assert len(found) == 1, found
    return found[0]


def test_our_id_is_that_of_the_connection_else_of_the_host_else_of_the_certificate(
    tmp_path: Path,
) -> None:
    text = CERTIFICATE.replace("[credentials]", '[host]\nidentity = "192.0.2.1"\n[credentials]')
    assert loaded(tmp_path, PSK).connections[0].local_id == Identity.parse("a.example.com")
    assert loaded(tmp_path, text).connections[0].local_id == Identity.parse("192.0.2.1")
    own = text + 'local_id = "vpn.example.com"'
    assert loaded(tmp_path, own).connections[0].local_id == Identity.parse("vpn.example.com")
    certificate = loaded(tmp_path, CERTIFICATE)
    assert certificate.connections[0].local_id == Identity.parse("vpn.example.com")
    assert certificate.warnings == ()


def test_without_any_of_these_the_error_asks_who_we_are(tmp_path: Path) -> None:
    text = PSK.replace('identity = "a.example.com"', "")
    assert "connections.b.local_id: who are we?" in only(errors(tmp_path, text))


@pytest.mark.conformance("CF-I18")
@pytest.mark.parametrize(
    "text",
    ["192.0.2.1", "2001:db8::1", "a.example.com", "me@example.com", "@#00ff", "C=CH, O=Ex, CN=vpn"],
)
def test_every_type_of_identity_can_be_ours_and_the_peers(tmp_path: Path, text: str) -> None:
    wanted = distinguished_name(text) if "=" in text else Identity.parse(text)
    config = PSK.replace("a.example.com", text).replace("b.example.com", text)
    (connection,) = loaded(tmp_path, config).connections
    assert connection.local_id == wanted
    assert connection.peer_id.exact == wanted


@pytest.mark.parametrize(
    ("settings", "key", "words"),
    [
        ('peer = "any"\nstart = "now"', "peer", "must be one address or a host name"),
        ('peer = "192.0.2.0/24"\nrole = "initiator"', "peer", "must be one address"),
        ('peer = "192.0.2.1"\nstart = "now"\nrole = "responder"', "start", "does not start"),
        ('role = "responder"\nvirtual_ips = ["::"]', "virtual_ips", "only an initiator asks"),
        ('peer = "h"\nrole = "initiator"\npool = "p"', "pool", "only a responder lends"),
        ('peer = "192.0.2.1"\nlocal_address = "::1"', "local_address", "IPv4 and IPv6"),
        ('pool = "pq"', "pool", "no pool 'pq'; did you mean 'p'? known here: p"),
        ("require_address_request = true", "require_address_request", "no pool to lend from"),
        ("ipcomp = true\ntraffic_flow = { padding = 800 }", "ipcomp", "traffic_flow is to hide"),
        ("replay_window = 31", "replay_window", "allowed are 0 and 32 to 65536"),
        ('retransmission = { give_up = "400ms" }', "retransmission", "longer than give_up"),
        ('mode = "transport"\npool = "p"', "mode", "transport mode has no virtual addresses"),
        (
            'mode = "transport"\nlocal_ts = ["10.0.0.0/8"]',
            "local_ts",
            "write dynamic, with protocol and ports",
        ),
        ('peer = "h"\nidle = "5m"', "idle", "only what starts on demand is closed when idle"),
        ('peer = "any"\nstart = "demand"', "peer", "must be one address or a host name"),
        (
            'peer = "h"\nstart = "demand"\nvirtual_ips = ["::"]',
            "start",
            "needs its addresses before",
        ),
        (
            'peer = "h"\n[connections.staff.children.a]\nesp = ["aes128gcm16-modp1024"]',
            "children.a.esp[0]",
            "weak; only with `legacy",
        ),
        (
            'peer = "h"\n[connections.staff.children.a]\nreplay_window = 9',
            "children.a.replay_window",
            "allowed are 0 and 32",
        ),
        (
            'role = "responder"\n[connections.staff.children.a]\nstart = "demand"',
            "children.a.start",
            "a responder does not start",
        ),
        ('ike = ["aes128-sha1-modp1024"]', "ike[0]", "sha1, modp1024: weak; only with `legacy"),
        ('ike = ["aes128-sha256-x25519", "x"]', "ike[1]", "'x' is not known; allowed are"),
        ('esp = ["aes128gcm16-sha256"]', "esp[0]", "takes no integrity algorithm"),
    ],
)
def test_a_connection_that_cannot_work_is_refused(
    tmp_path: Path, settings: str, key: str, words: str
) -> None:
    pools = '[pools.p]\nranges = ["10.66.0.0/24"]\n'
    text = pools + CERTIFICATE.replace('role = "responder"', settings)
    found = only(errors(tmp_path, text))
    assert f"connections.staff.{key}: " in found
    assert words in found


@pytest.mark.parametrize("child", ["", "[connections.staff.children.a]\n"])
def test_children_are_compressed_where_that_is_asked_for(tmp_path: Path, child: str) -> None:
    text = CERTIFICATE + f"{child}ipcomp = true\n"
    (connection,) = loaded(tmp_path, text).connections
    assert [policy.ipcomp for policy in connection.child_policies] == [True]


def test_fragments_are_followed_where_the_data_plane_can(tmp_path: Path) -> None:
    kernel = '[dataplane]\nbackend = "xfrm"\n'

    def later_fragments(text: str) -> bool:
        (connection,) = loaded(tmp_path, text).connections
        return connection.child_policies[0].later_fragments

    assert later_fragments(CERTIFICATE)
    assert not later_fragments(CERTIFICATE + "later_fragments = false\n")
    assert not later_fragments(CERTIFICATE + kernel)
    found = only(errors(tmp_path, CERTIFICATE + "later_fragments = true\n" + kernel))
    assert "connections.staff.later_fragments: the kernel's data plane does not" in found


@pytest.mark.parametrize(
    ("settings", "key", "words"),
    [
        ('mode = "transport"\n', "mode", "carries tunnels only"),
        ('ipcomp = true\nlocal_ts = ["10.1.0.0/16", "fd01::/64"]\n', "ipcomp", "a child for each"),
    ],
)
def test_what_the_kernel_cannot_carry_is_said_before(
    tmp_path: Path, settings: str, key: str, words: str
) -> None:
    plain = CERTIFICATE.replace("local_ts", "# local_ts").replace("pool", "# pool") + settings
    loaded(tmp_path, plain)
    found = only(errors(tmp_path, plain + '[dataplane]\nbackend = "xfrm"\n'))
    assert f"connections.staff.{key}: the kernel" in found
    assert words in found


def test_a_connection_that_encrypts_nothing_is_warned_of(tmp_path: Path) -> None:
    text = CERTIFICATE + 'esp = ["aes256gcm16", "null-sha256", "aes128gmac"]'
    warnings = [str(one) for one in loaded(tmp_path, text).warnings]
    assert [one.partition("esp")[2] for one in warnings] == [
        "[1]: null: nothing is encrypted",
        "[2]: aes128gmac: nothing is encrypted",
    ]


def test_a_child_has_what_its_connection_says_unless_it_says_otherwise(tmp_path: Path) -> None:
    text = (
        PSK
        + """
peer_ts = ["10.9.0.0/16"]
start = "now"
esp = ["aes256gcm16"]
lifetimes = { child = "50m" }
[connections.b.children.lan]
[connections.b.children.web]
peer_ts = ["10.8.0.0/16[tcp/443]"]
esp = ["aes128gcm16"]
start = "demand"
idle = "5m"
replay_window = 64
lifetimes = { child_bytes = "1GiB" }
"""
    )
    (connection,) = loaded(tmp_path, text).connections
    lan, web = connection.child_policies
    assert (lan.name, lan.start, lan.esp) == ("lan", Start.NOW, connection.esp)
    assert (lan.local_ts, lan.peer_ts) == (connection.local_ts, connection.peer_ts)
    assert (web.name, web.start, web.idle, web.replay_window) == ("web", Start.DEMAND, 300, 64)
    assert [ts.ports for ts in web.peer_ts] == [(443, 443)]
    assert (web.lifetimes.child, web.lifetimes.child_octets) == (3000, 1 << 30)
    assert [each.name for each in connection.wanted()] == ["lan"]
    assert [each.name for each in connection.wanted("web")] == ["web"]


@pytest.mark.conformance("CF-N08")
def test_sha_1_needs_its_named_opt_in(tmp_path: Path) -> None:
    assert not loaded(tmp_path, CERTIFICATE).connections[0].allow_sha1_signatures
    text = CERTIFICATE + 'legacy = true\nike = ["aes128-sha1-modp1024"]'
    found = loaded(tmp_path, text)
    assert found.connections[0].allow_sha1_signatures
    assert "connections.staff.legacy: old and weak algorithms are allowed here" in found.warnings[0]


def test_a_secret_must_fit_the_identities_of_the_connection(tmp_path: Path) -> None:
    other = PSK.replace('id = "b.example.com"\n', 'id = "c.example.com"\n', 1)
    assert "no secret for a.example.com with b.example.com" in only(errors(tmp_path, other))
    local = PSK.replace("psk =", 'local = "z.example.com"\npsk =', 1)
    assert "no secret for a.example.com with b.example.com" in only(errors(tmp_path, local))
    anybody = other.replace('peer_id = "b.example.com"', 'peer_id = "*.example.com"')
    assert len(loaded(tmp_path, anybody).connections) == 1
    nobody = 'local_id = "x"\nlocal_auth = "psk"\npeer_auth = ["psk"]\n'
    assert "with any peer" in only(errors(tmp_path, f"[connections.a]\n{nobody}"))


def test_each_side_may_prove_itself_in_its_own_way(tmp_path: Path) -> None:
    text = PSK.replace('peer_auth = ["psk"]', 'peer_auth = ["certificate"]')
    assert "set authorities in [credentials]" in only(errors(tmp_path, text))
    text = text.replace(
        "[[credentials", '[credentials]\nauthorities = ["ca.crt"]\n[[credentials', 1
    )
    (connection,) = loaded(tmp_path, text).connections
    assert (connection.local_auth, connection.peer_auth) == (Proof.PSK, (Proof.CERTIFICATE,))


def test_a_certificate_that_is_not_for_our_id_is_warned_about(tmp_path: Path) -> None:
    found = loaded(tmp_path, CERTIFICATE + 'local_id = "other.example.com"')
    assert len(found.warnings) == 1
    assert "not for other.example.com" in found.warnings[0]
    assert "it is for: vpn.example.com, 192.0.2.1" in found.warnings[0]


def test_a_certificate_is_needed_to_prove_our_id_by_one(tmp_path: Path) -> None:
    text = PSK.replace('local_auth = "psk"', "")
    assert "local_auth: we have no certificate" in only(errors(tmp_path, text))


CLIENT = PSK.replace('psk = "file', 'password = "file').replace('["psk"]', '["certificate"]')
CLIENT = CLIENT.replace('"psk"', '"eap-mschapv2"\nrole = "initiator"').replace(
    "[[cred", '[credentials]\nauthorities = ["ca.crt"]\n[[cred', 1
)


def test_who_we_are_in_eap_is_our_id_where_nothing_else_is_said(tmp_path: Path) -> None:
    (connection,) = loaded(tmp_path, CLIENT + 'eap_identity = "b.example.com"').connections
    assert connection.local_id == Identity(IdType.KEY_ID, b"b.example.com")
    text = CLIENT + 'eap_identity = "b.example.com"\nlocal_id = "phone"'
    assert loaded(tmp_path, text).connections[0].local_id == Identity.parse("phone")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (('"initiator"', '"both"'), "a responder needs a certificate"),
        (('["certificate"]', '["psk"]'), "the peer has to prove itself by certificate"),
        (('["certificate"]', '["eap-mschapv2"]'), "the peer has to prove itself by certificate"),
        (('id = "b.example.com"', 'id = "c"'), "no password for 'a.example.com'"),
        (('"eap-mschapv2"', '"certificate"\neap_identity = "x"'), "only with local_auth by EAP"),
    ],
)
def test_eap_that_cannot_work_is_refused(
    tmp_path: Path, change: tuple[str, str], words: str
) -> None:
    found = errors(tmp_path, CLIENT.replace(*change))
    assert any(words in error for error in found), found


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ('role = "initiator"\npeer = "h"', "a responder does not prove itself by EAP"),
        ('local_auth = "psk"', "by certificate, not by a shared key"),
    ],
)
def test_only_initiators_prove_themselves_by_eap(tmp_path: Path, settings: str, words: str) -> None:
    plain = CERTIFICATE.replace('role = "responder"\n', "")
    found = errors(tmp_path, f'{plain}{settings}\npeer_auth = ["eap-mschapv2"]')
    assert any(words in error for error in found), found
