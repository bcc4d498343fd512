# SPDX-License-Identifier: Apache-2.0
"""How a connection says what its outer headers are like (RFC 4301 §5.1.2)."""

from pathlib import Path

import pytest

from ikeway.config.load import load
from ikeway.config.show import show
from ikeway.model.outer import DontFragment, OuterHeader
from support.configured import PSK, errors, loaded, write


@pytest.mark.parametrize(
    ("table", "wanted"),
    [
        ("", OuterHeader()),
        ('outer = { dscp = "zero", df = "clear" }', OuterHeader(0, DontFragment.CLEAR)),
        ('outer = { dscp = "af41", path_mtu = 1300 }', OuterHeader(34, None, 1300)),
        ('outer = { dscp = "cs6", df = "copy" }', OuterHeader(48, DontFragment.COPY)),
        ('outer = { dscp = "63", df = "set" }', OuterHeader(63, DontFragment.SET)),
        ('outer = { dscp = "copy" }', OuterHeader()),
    ],
)
def test_outer_headers_are_as_the_table_says_and_shown_so(
    tmp_path: Path, table: str, wanted: OuterHeader
) -> None:
    found = loaded(tmp_path, PSK + table)
    (connection,) = found.connections
    assert connection.outer == wanted
    assert connection.child_policies[0].outer == wanted
    shown = show(found).replace("# psk: 32 octets", 'psk = "file:site.psk"')
    assert load(write(tmp_path, shown)).connections == found.connections


def test_children_have_the_outer_headers_of_their_connection(tmp_path: Path) -> None:
    table = 'outer = { dscp = "le" }\n[connections.b.children.web]\nlocal_ts = ["10.1.0.0/16"]\n'
    (connection,) = loaded(tmp_path, PSK + table).connections
    assert connection.child_policies[0].outer == OuterHeader(1)


@pytest.mark.parametrize("word", ["64", "-1", "ef46", "af14", ""])
def test_what_is_no_dscp_is_an_error_that_says_what_is(tmp_path: Path, word: str) -> None:
    (found,) = errors(tmp_path, PSK + f'outer = {{ dscp = "{word}" }}')
    assert "write copy, zero, a number up to 63, ef, af11 or cs1" in found


def test_a_path_carries_at_least_what_every_host_takes(tmp_path: Path) -> None:
    """RFC 791 §3.1: 576 octets."""
    (found,) = errors(tmp_path, PSK + "outer = { path_mtu = 575 }")
    assert "576" in found
