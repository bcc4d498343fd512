# SPDX-License-Identifier: Apache-2.0
"""The undo journal survives anything, and speaks only of this machine and this namespace."""

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from ikeway.client import journal


def test_what_was_saved_is_loaded_and_only_its_owner_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    undo = journal.undo_of("ikeway0", 7, 450_007)
    journal.save(path, undo)
    assert journal.load(path) == undo
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["network.json"]


def test_a_cleared_journal_is_gone_and_may_be_cleared_again(tmp_path: Path) -> None:
    path = tmp_path / "network.json"
    journal.save(path, journal.undo_of("ikeway0", 7, 450_007))
    journal.clear(path)
    journal.clear(path)
    assert journal.load(path) is None


@pytest.mark.parametrize("octets", [b"", b"{", b"[]", b'{"interface": 1}', b"\xff\xfe"])
def test_a_journal_that_nobody_wrote_is_none(tmp_path: Path, octets: bytes) -> None:
    path = tmp_path / "network.json"
    path.write_bytes(octets)
    assert journal.load(path) is None


def test_a_journal_is_not_written_through_a_link(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "network.new").symlink_to(victim)
    with pytest.raises(OSError, match="symbolic"):
        journal.save(tmp_path / "network.json", journal.undo_of("ikeway0", 7, 450_007))
    assert victim.read_text() == "precious"


def test_after_a_reboot_or_elsewhere_it_means_nothing() -> None:
    undo = journal.undo_of("ikeway0", 7, 450_007)
    assert undo.is_here
    assert not replace(undo, boot="another").is_here
    assert not replace(undo, namespace="net:[1]").is_here
