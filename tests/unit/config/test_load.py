# SPDX-License-Identifier: Apache-2.0
"""From TOML to policy: defaults, every kind of error, and all errors at once."""

from ipaddress import ip_address, ip_network
from pathlib import Path

import pytest

from ikeway.config.findings import InvalidConfigError
from ikeway.config.load import DataPlaneSettings, load, load_book
from ikeway.model.errors import ConfigError
from ikeway.model.identity import Identity, IdType
from ikeway.policy.connection import Connection, PeerAddress, Proof, Role, Start
from ikeway.policy.credentials import IdPattern
from ikeway.policy.limits import Limits
from support.configured import CERTIFICATE, PSK, errors, loaded, write

DESIGN = """\
[host]
identity = "vpn.example.com"
listen   = ["0.0.0.0", "::"]
[credentials]
certificate = "server.crt"
key         = "server.key"
authorities = ["ca.crt"]
[[credentials.secrets]]
id = "site-b.example.com"
psk = "file:site.psk"
[pools.staff]
ranges = ["10.66.0.0/16", "fd66::/64"]
dns    = ["10.66.0.1"]
domains = ["corp.example.com"]
[connections.staff]
role = "responder"
peer = "any"
local_auth = "certificate"
peer_auth  = ["eap-mschapv2", "certificate"]
peer_id    = "*"
local_ts   = ["0.0.0.0/0", "::/0"]
peer_ts    = ["dynamic"]
pool       = "staff"
[connections.site-b]
role = "both"
peer = "203.0.113.7"
local_auth = "psk"
peer_auth = ["psk"]
peer_id = "site-b.example.com"
local_ts = ["10.1.0.0/16"]
peer_ts = ["10.2.0.0/16"]
ike = ["aes256gcm16-prfsha384-x25519-ke1_mlkem768", "aes256gcm16-prfsha384-ecp384"]
esp = ["aes256gcm16-esn"]
start = "now"
mode = "tunnel"
lifetimes = { ike = "4h", child = "1h", child_bytes = "64GiB" }
liveness = "30s"
[dataplane]
backend = "engine"
[store]
url = "sqlite:///var/lib/ikeway/ikeway.db"
"""


def test_a_connection_with_defaults_is_the_policy_with_its_defaults(tmp_path: Path) -> None:
    (connection,) = loaded(tmp_path, PSK).connections
    assert connection == Connection(
        name="b",
        local_id=Identity(IdType.FQDN, b"a.example.com"),
        peer=PeerAddress((ip_network("203.0.113.7/32"),)),
        local_auth=Proof.PSK,
        peer_auth=(Proof.PSK,),
        peer_id=IdPattern("b.example.com"),
    )


def test_what_the_design_has_and_this_release_lacks_is_named_with_what_it_waits_for(
    tmp_path: Path,
) -> None:
    (eap,) = errors(tmp_path, DESIGN.replace('"eap-mschapv2"', '"eap-fast"'))
    assert eap == (
        "19: connections.staff.peer_auth[0]: 'eap-fast' is not in this release, it waits for"
        " the part on EAP; allowed now: psk, certificate, pubkey, eap-tls, eap-ttls,"
        " eap-peap, eap-aka-prime, eap-aka, eap-mschapv2, eap-md5, eap-gtc, eap-radius,"
        " null"
    )


def test_the_configuration_of_the_design_is_understood_whole(tmp_path: Path) -> None:
    found = loaded(tmp_path, DESIGN)
    staff, site_b = found.connections
    assert [warning.split(": ")[-1] for warning in found.warnings] == [
        "no user has a password yet; make one with `ikeway user add`"
    ]
    assert found.host.listen == (ip_address("0.0.0.0"), ip_address("::"))
    assert found.pools["staff"].domains == ("corp.example.com",)
    assert found.pools["staff"].ranges[1] == ip_network("fd66::/64")
    assert found.dataplane == DataPlaneSettings("engine", "ikeway0", 1400)
    assert (staff.role, staff.pool) == (Role.RESPONDER, "staff")
    assert (site_b.start, len(site_b.ike), site_b.lifetimes.ike) == (Start.NOW, 2, 4 * 3600)


@pytest.mark.parametrize(
    ("line", "value", "part"),
    [
        ("local_auth", '"eap-fast"', "EAP"),
    ],
)
def test_a_setting_of_a_later_release_says_so(
    tmp_path: Path, line: str, value: str, part: str
) -> None:
    kept = [each for each in PSK.splitlines() if not each.startswith(line)]
    found = errors(tmp_path, "\n".join([*kept, f"{line} = {value}"]))
    assert any("not in this release, it waits for" in each and part in each for each in found)


def test_other_stores_are_of_later_releases(tmp_path: Path) -> None:
    (store,) = errors(tmp_path, PSK + '[store]\nurl = "postgresql://db/ikeway"')
    assert "waits for the part on fleets; write sqlite:///PATH" in store


@pytest.mark.parametrize("backend", ["engine", "null", "xfrm"])
def test_bare_esp_is_allowed(tmp_path: Path, backend: str) -> None:
    text = PSK + f'encapsulation = "nat"\n[dataplane]\nbackend = "{backend}"'
    assert loaded(tmp_path, text).connections[0].encapsulate.value == "nat"


@pytest.mark.parametrize(
    ("url", "file"),
    [
        ("sqlite:///var/lib/x.db", "/var/lib/x.db"),
        ("sqlite:////var/lib/x.db", "/var/lib/x.db"),
        ("sqlite:/var/lib/x.db", "/var/lib/x.db"),
        ("sqlite:users.db", "{folder}/users.db"),
    ],
)
def test_the_store_is_an_sqlite_file_with_its_key_beside_it(
    tmp_path: Path, url: str, file: str
) -> None:
    found = loaded(tmp_path, f'{PSK}[store]\nurl = "{url}"').store
    assert str(found.file) == file.format(folder=tmp_path)
    assert found.key == found.file.with_suffix(".key")


def test_the_key_of_the_store_may_be_elsewhere(tmp_path: Path) -> None:
    found = loaded(tmp_path, PSK + '[store]\nurl = "sqlite:users.db"\nkey = "secret/key"')
    assert found.store.key == tmp_path / "secret/key"


@pytest.mark.parametrize(
    "url",
    ["sqlite://users.db", "sqlite://host/x.db", "sqlite:", "sqlite:///", "sqlite:///x.db?m=1"],
)
def test_a_store_that_is_no_file_is_refused(tmp_path: Path, url: str) -> None:
    (store,) = errors(tmp_path, f'{PSK}[store]\nurl = "{url}"')
    assert "store.url: " in store
    assert "write sqlite:///PATH" in store


def test_users_are_found_whatever_else_is_wrong_with_a_configuration(tmp_path: Path) -> None:
    file = tmp_path / "ikeway.toml"
    file.write_text(
        """
connections = 7
[store]
url = "sqlite:users.db"
[[credentials.secrets]]
id = "Carol"
password = "file:gone"
[[credentials.secrets]]
id = "site-b"
psk = "file:gone"
"""
    )
    found = load_book(file)
    assert found.settings.file == tmp_path / "users.db"
    assert found.taken == {"carol"}


def test_a_store_that_is_wrong_is_refused_where_only_users_are_wanted(tmp_path: Path) -> None:
    file = tmp_path / "ikeway.toml"
    file.write_text("[store]\nurl = 5\nuri = 'x'")
    with pytest.raises(InvalidConfigError, match=r"store\.uri: .*") as caught:
        load_book(file)
    assert "ikeway.toml:2: store.url: " in str(caught.value)


def test_a_literal_password_is_said_where_to_go(tmp_path: Path) -> None:
    found = loaded(
        tmp_path, PSK + '[[credentials.secrets]]\nid = "carol"\npassword = "correct horse"'
    )
    (warning,) = found.warnings
    assert "the secret itself stands in this file" in warning
    assert "(`ikeway user import`)" in warning


def test_all_errors_are_told_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    found = errors(
        tmp_path,
        """
[host]
identit = "a"
listen = ["0.0.0.0", "300.1.1.1"]
[pools.staff]
dns = "10.0.0.1"
ranges = []
[pools.empty]
[connections."b c"]
[connections.b]
role = "listener"
local_ts = [
  "10.1.0.0/16",
  "10.1.0.5/16",
]
replay_window = 70000
liveness = 30
lifetimes = { ike = "4 h" }
retransmission = { factor = 0.5 }
initial_contact = "yes"
peer_id = ""
[dataplane]
interface = "far-too-long-for-linux"
mtu = 1400.5
[connection.x]
""",
    )
    assert [each.split(": ")[:2] for each in found] == [
        ["3", "host.identit"],
        ["4", "host.listen[1]"],
        ["6", "pools.staff.dns"],
        ["7", "pools.staff.ranges"],
        ["8", "pools.empty.ranges"],
        ["9", "connections.b c"],
        ["11", "connections.b.role"],
        ["14", "connections.b.local_ts[1]"],
        ["16", "connections.b.replay_window"],
        ["17", "connections.b.liveness"],
        ["18", "connections.b.lifetimes.ike"],
        ["19", "connections.b.retransmission.factor"],
        ["20", "connections.b.initial_contact"],
        ["21", "connections.b.peer_id"],
        ["23", "dataplane.interface"],
        ["24", "dataplane.mtu"],
        ["25", "connection"],
    ]
    assert found[0].endswith(
        "did you mean 'identity'? known here: identity, listen, workers, crash_detection, crash_key"
    )
    assert found[6].endswith("'listener' is not known; allowed: initiator, responder, both")
    assert found[9].endswith("30 is not a string; write a time in quotes")


def test_a_table_in_the_place_of_a_value_and_a_value_in_the_place_of_a_table(
    tmp_path: Path,
) -> None:
    found = errors(tmp_path, "[host.identity]\nx = 1\n[connections]\nb = 5\n")
    assert found[0].startswith("1: host.identity: {'x': 1} is not a string")
    assert found[1] == "4: connections.b: 5 is not a table"


@pytest.mark.parametrize(
    ("octets", "words"),
    [
        (b"a = 1\nb = \n", ":2: not TOML: Invalid value"),
        (b"a = 1\na = 2\n", ":2: not TOML: Cannot overwrite a value"),
        (b"a = 1\n\xff\n", ":2: this is not UTF-8"),
        (b"a = [" + b"[" * 5000, ": not TOML"),
    ],
)
def test_what_is_no_toml_is_refused_with_its_line(
    tmp_path: Path, octets: bytes, words: str
) -> None:
    file = tmp_path / "ikeway.toml"
    file.write_bytes(octets)
    with pytest.raises(InvalidConfigError) as caught:
        load(file)
    assert words in str(caught.value)


def test_a_file_with_the_line_ends_of_windows_is_read(tmp_path: Path) -> None:
    file = write(tmp_path, "")
    file.write_bytes(PSK.replace("\n", "\r\n").encode())
    assert len(load(file).connections) == 1


def test_a_missing_file_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file or directory; name a configuration file"):
        load(tmp_path / "none.toml")


def test_an_empty_file_is_a_configuration_without_connections(tmp_path: Path) -> None:
    found = loaded(tmp_path, "")
    assert found.connections == ()
    assert "there are no connections" in found.warnings[0]


def test_addresses_that_stand_twice_and_ranges_that_overlap_are_refused(tmp_path: Path) -> None:
    pool = '[pools.a]\nranges = ["10.0.0.0/8", "fd00::/8", "10.1.0.0/16"]'
    text = f'{CERTIFICATE}[host]\nlisten = ["::", "::"]\n{pool}'
    twice, overlap = errors(tmp_path, text)
    assert "host.listen[1]: :: stands there twice" in twice
    assert "pools.a.ranges[2]: 10.1.0.0/16 overlaps 10.0.0.0/8" in overlap


def test_limits_are_what_the_file_says_and_else_the_defaults(tmp_path: Path) -> None:
    config = loaded(tmp_path, f"{PSK}\n[limits]\ncookies_from = 0\npuzzle_bits = 20\n")
    assert config.limits == Limits(cookies_from=0, puzzle_bits=20)
    assert loaded(tmp_path, PSK).limits == Limits()


def test_a_puzzle_that_is_too_easy_is_an_error(tmp_path: Path) -> None:
    """RFC 8019 §4.4: 1 to 8 bits are excluded."""
    (complaint,) = errors(tmp_path, f"{PSK}\n[limits]\npuzzle_bits = 8\n")
    assert "limits.puzzle_bits" in complaint


def test_workers_are_a_number_that_a_machine_may_have(tmp_path: Path) -> None:
    assert loaded(tmp_path, PSK).host.workers == 1
    assert loaded(tmp_path, PSK.replace("[host]", "[host]\nworkers = 4")).host.workers == 4
    for wrong, words in ((0, "at least 1"), (99, "at most 16")):
        (complaint,) = errors(tmp_path, PSK.replace("[host]", f"[host]\nworkers = {wrong}"))
        assert "host.workers" in complaint
        assert words in complaint
