# SPDX-License-Identifier: Apache-2.0
"""`ppk`: what the configuration makes of it, and what it says of mistakes (RFC 8784)."""

from pathlib import Path

import pytest

from ikeway.policy.connection import UsePpk
from support.configured import PSK, errors, loaded

KEY = '[[credentials.secrets]]\nid = "blue"\nppk = "file:site.psk"\n'
TEXT = PSK.replace("[connections.b]", f"{KEY}[connections.b]")


def test_a_key_and_a_connection_that_uses_it(tmp_path: Path) -> None:
    found = loaded(tmp_path, f'{TEXT}ppk = "require"\nppk_id = "blue"\n')
    (connection,) = found.connections
    assert (connection.ppk, connection.ppk_id) == (UsePpk.REQUIRE, "blue")
    (key,) = found.credentials.ppks
    assert (key.name, key.secret.octets) == (b"blue", b"0123456789abcdef0123456789abcdef")
    assert found.warnings == ()


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (f'{PSK}ppk = "prefer"\nppk_id = "blue"\n', "there is no ppk in [[credentials.secrets]]"),
        (f'{TEXT}ppk = "prefer"\n', "which ppk do we start with? there are: blue"),
        (f'{TEXT}ppk = "always"\n', "allowed"),
        (TEXT.replace(KEY, KEY * 2), "a second ppk with the id blue"),
        (
            TEXT.replace('ppk = "file', 'psk = "x"\nppk = "file'),
            "one of psk, ppk, password and usim has to be there",
        ),
    ],
)
def test_a_mistake_is_explained(tmp_path: Path, text: str, problem: str) -> None:
    assert any(problem in each for each in errors(tmp_path, text)), errors(tmp_path, text)


def test_a_short_key_draws_a_warning(tmp_path: Path) -> None:
    """RFC 8784 §6: 256 bits."""
    text = TEXT.replace('ppk = "file:site.psk"', 'ppk = "short"')
    found = loaded(tmp_path, f'{text}ppk = "prefer"\nppk_id = "blue"\n')
    assert any("a ppk of 5 octets" in str(each) for each in found.warnings)
