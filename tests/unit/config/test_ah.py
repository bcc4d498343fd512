# SPDX-License-Identifier: Apache-2.0
"""`ah` of connections and children: in place of `esp`, and where it cannot be."""

from pathlib import Path

import pytest

from ikeway.config.show import show
from ikeway.policy.connection import Encapsulate
from ikeway.policy.proposals import parse_ah
from ikeway.wire.registry import ProtocolId
from support.configured import PSK, errors, loaded

WORDS = 'ah = ["sha256-esn", "aes256gmac-sha512"]'


def test_what_is_written_is_what_is_offered_and_shown(tmp_path: Path) -> None:
    found = loaded(tmp_path, f"{PSK}\n{WORDS}")
    (connection,) = found.connections
    assert connection.esp == (parse_ah("sha256-esn"), parse_ah("aes256gmac-sha512"))
    assert connection.child_policies[0].protocol is ProtocolId.AH
    assert connection.encapsulate is Encapsulate.NAT
    assert any("nothing is encrypted" in str(each) for each in found.warnings)
    (line,) = [each for each in show(found).splitlines() if each.startswith("ah = ")]
    (again,) = loaded(tmp_path, f"{PSK}\n{line}").connections
    assert again.esp == connection.esp


def test_each_child_has_one_of_both(tmp_path: Path) -> None:
    text = f"""{PSK}
    [connections.b.children.one]
    ah = ["sha384"]
    [connections.b.children.two]
    esp = ["aes256gcm16"]
    """
    (connection,) = loaded(tmp_path, text).connections
    found = [child.protocol for child in connection.child_policies]
    assert found == [ProtocolId.AH, ProtocolId.ESP]


@pytest.mark.parametrize(
    ("more", "why"),
    [
        (f'{WORDS}\nesp = ["aes256gcm16"]', "leave out `ah` or `esp`"),
        (f'{WORDS}\nencapsulation = "always"', 'set encapsulation = "nat"'),
        (f"{WORDS}\ntraffic_flow = {{ padding = 600 }}", "AH hides nothing"),
        ('ah = ["aes256-sha256"]', "'aes256' cannot be used for AH"),
        ('ah = ["sha1"]', "sha1: weak"),
        ("ah = []", "at least one item"),
    ],
)
def test_what_cannot_be(tmp_path: Path, more: str, why: str) -> None:
    (found,) = errors(tmp_path, f"{PSK}\n{more}")
    assert why in found
