# SPDX-License-Identifier: Apache-2.0
"""`[policies.NAME]` and what connections protect, from TOML to values."""

from pathlib import Path

import pytest

from ikeway.config.show import show
from ikeway.daemon.guarding import guard_of
from ikeway.model.policies import Action
from support.configured import PSK, errors, loaded

HEAD = f"""\
{PSK}
[pools.staff]
ranges = ["10.66.0.0/16"]
[connections.site]
local_auth = "psk"
peer_auth = ["psk"]
peer_id = "b.example.com"
peer = "203.0.113.8"
local_ts = ["10.1.0.0/16"]
peer_ts = ["10.2.0.0/16", "10.3.0.0/16[tcp/443]"]
"""


def test_policies_keep_the_order_of_the_file(tmp_path: Path) -> None:
    """RFC 4301 §4.4.1: an ordered database."""
    found = loaded(
        tmp_path,
        f"""{HEAD}
[policies.zebra]
action = "bypass"
peer_ts = ["10.2.0.1[udp/53]"]
[policies.ant]
action = "discard"
local_ts = ["10.1.0.0/16[tcp]"]
peer_ts = ["0.0.0.0/0[tcp/25]"]
""",
    )
    assert [(one.name, one.action) for one in found.policies] == [
        ("zebra", Action.BYPASS),
        ("ant", Action.DISCARD),
    ]
    assert [str(each) for each in found.policies[0].local_ts] == ["0.0.0.0/0", "::/0"]
    assert [str(each) for each in found.policies[0].peer_ts] == ["10.2.0.1/32[17/53-53]"]
    assert not found.warnings
    shown = show(found)
    assert '[policies.zebra]\naction = "bypass"' in shown
    assert 'peer_ts = ["0.0.0.0/0[tcp/25]"]' in shown


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('action = "allow"', "'allow' is not known; allowed: bypass, discard, protect"),
        ("", "action"),
        ('action = "bypass"\npeer_ts = ["dynamic"]', "there is no dynamic address"),
        ('action = "bypass"\nlocal_ts = ["::/0[icmpv6/128]"]', "types of ICMP"),
        ('action = "discard"\npeer_ts = ["::/0[tcp/opaque]"]', "opaque ports"),
        ('action = "discard"\nlocal_ts = ["10.0.0.0/8"]\npeer_ts = ["::/0"]', "no packet has this"),
        (
            'action = "discard"\nlocal_ts = ["0.0.0.0/0[udp]"]\npeer_ts = ["0.0.0.0/0[tcp]"]',
            "no packet has this",
        ),
        ('action = "discard"\nports = [25]', "ports"),
    ],
)
def test_what_cannot_be_is_an_error_with_its_line(tmp_path: Path, lines: str, words: str) -> None:
    (found,) = errors(tmp_path, f"{HEAD}\n[policies.one]\n{lines}\n")
    assert words in str(found)
    assert "policies.one" in str(found)


def test_a_policy_that_no_packet_reaches_is_warned_of(tmp_path: Path) -> None:
    found = loaded(
        tmp_path,
        f"""{HEAD}
[policies.all]
action = "protect"
peer_ts = ["10.0.0.0/8"]
[policies.some]
action = "bypass"
peer_ts = ["10.2.0.0/16[tcp/22]"]
""",
    )
    (warning,) = found.warnings
    assert "policies.some: no packet gets here: all stands before it" in warning


def test_more_than_a_plane_looks_up_are_refused(tmp_path: Path) -> None:
    many = ", ".join(f'"10.{number // 250}.{number % 250}.0/24"' for number in range(1025))
    (found,) = errors(tmp_path, f'{HEAD}\n[policies.m]\naction = "bypass"\npeer_ts = [{many}]\n')
    assert "1024 are the most" in str(found)


@pytest.mark.parametrize(
    ("lines", "peer_ts"),
    [
        ("", []),
        ('start = "now"', ["10.2.0.0/16", "10.3.0.0/16[6/443-443]"]),
        ('start = "demand"', ["10.2.0.0/16", "10.3.0.0/16[6/443-443]"]),
        ('start = "now"\nprotect = false', []),
        ("protect = true", ["10.2.0.0/16", "10.3.0.0/16[6/443-443]"]),
    ],
)
def test_a_connection_that_starts_by_itself_is_guarded(
    tmp_path: Path, lines: str, peer_ts: list[str]
) -> None:
    guard = guard_of(loaded(tmp_path, HEAD + lines))
    assert [str(ts) for entry in guard.connections for ts in entry.peer_ts] == peer_ts
    assert guard.is_asked_for is ("protect = true" in lines)
    assert not guard.open


@pytest.mark.parametrize(
    ("peer", "more", "expected"),
    [
        ("gw.example.com", "", []),
        ("gw.example.com", "protect = true", ["10.2.0.0/16"]),
        ("192.0.2.7", "", ["10.2.0.0/16", "192.0.2.7/32"]),
        ("any", "protect = true\npool = 'staff'", ["10.2.0.0/16", "10.66.0.0/16"]),
        ("any", "protect = true", ["10.2.0.0/16"]),
    ],
)
def test_what_is_known_of_the_peers_side_is_guarded(
    tmp_path: Path, peer: str, more: str, expected: list[str]
) -> None:
    start = "wait" if peer == "any" else "now"
    text = f"""\
{PSK}
[pools.staff]
ranges = ["10.66.0.0/16"]
[connections.road]
local_auth = "psk"
peer_auth = ["psk"]
peer_id = "b.example.com"
peer = "{peer}"
start = "{start}"
peer_ts = ["10.2.0.0/16", "dynamic"]
{more}
"""
    guard = guard_of(loaded(tmp_path, text))
    assert [str(ts) for entry in guard.connections for ts in entry.peer_ts] == expected
    assert guard.open == {entry.name for entry in guard.connections}
