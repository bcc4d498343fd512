# SPDX-License-Identifier: Apache-2.0
"""RFC 6290 §5.1: the secret is made once, outlives us, and is nobody else's."""

from pathlib import Path

import pytest

from ikeway.model.errors import HostError
from ikeway.runtime.crash_key import load


def test_the_secret_is_made_once(tmp_path: Path) -> None:
    file = tmp_path / "crash.key"
    first = load(file)
    assert len(first) == 32
    assert load(file) == first
    assert file.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["crash.key"]
    assert load(tmp_path / "other.key") != first


def test_a_secret_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "crash.key"
    load(file)
    file.chmod(0o644)
    with pytest.raises(HostError, match="0644"):
        load(file)


@pytest.mark.parametrize("octets", [b"", bytes(31), bytes(33)])
def test_a_file_that_is_something_else_is_refused(tmp_path: Path, octets: bytes) -> None:
    file = tmp_path / "crash.key"
    file.touch(mode=0o600)
    file.write_bytes(octets)
    with pytest.raises(HostError, match="32 octets"):
        load(file)


def test_a_folder_that_is_not_there_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(HostError, match="No such file"):
        load(tmp_path / "nowhere" / "crash.key")
