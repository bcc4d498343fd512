# SPDX-License-Identifier: Apache-2.0
"""The key log has what both sides derived, in files that nobody else reads, each SA once."""

import os
from dataclasses import replace
from pathlib import Path

import pytest

from ikeway.ike.io import Action
from ikeway.model.errors import HostError
from ikeway.runtime.keylog import KeyLog
from ikeway.trace.keyfile import load_keys
from ikeway.trace.tables import ESP_TABLE, IKE_TABLE
from support.hosts import GCM, ROWS, Row
from support.ladder import Ladder
from support.shell import Host


def logged(ladder: Ladder, folder: Path) -> dict[str, KeyLog]:
    """Give each host of a ladder a key log, as the driver does."""
    logs = {host.name: KeyLog(folder / host.name) for host in (ladder.left, ladder.right)}
    perform = ladder.perform

    def and_log(host: Host, actions: tuple[Action, ...]) -> None:
        logs[host.name].look(host.endpoint, actions, complain)
        perform(host, actions)

    ladder.perform = and_log  # type: ignore[method-assign]
    return logs


def complain(text: str) -> None:
    raise AssertionError(text)


@pytest.mark.parametrize("row", [*ROWS, replace(GCM, ike="chacha20poly1305-prfsha256-x25519")])
def test_both_sides_write_the_same_keys(tmp_path: Path, row: Row) -> None:
    ladder = row.psk()
    logs = logged(ladder, tmp_path)
    ladder.connect()
    ladder.check_liveness(ladder.left)
    ladder.settle()
    left, right = (load_keys(log.folder) for log in logs.values())
    assert left.ike == right.ike
    assert left.esp == right.esp
    state = ladder.left.established[0]
    keys = state.session.keyring.keys
    link = state.session.link
    (row_of_ike,) = left.ike_keys(link.spi_i, link.spi_r)
    assert (row_of_ike.encr_i, row_of_ike.encr_r) == (keys.sk_ei, keys.sk_er)
    child = ladder.left.child
    assert left.esp[child.spi_in][0].encr == child.keys_in.encr
    assert left.esp[child.spi_out][0].integ == child.keys_out.integ


def test_each_sa_has_one_line_and_the_next_one_another(tmp_path: Path) -> None:
    ladder = GCM.psk()
    logged(ladder, tmp_path)
    for _ in range(2):
        ladder.connect()
        ladder.disconnect(ladder.left)
        ladder.settle()
        ladder.wait(200.0)
    for name in ("left", "right"):
        assert len((tmp_path / name / IKE_TABLE).read_text().splitlines()) == 2
        assert len((tmp_path / name / ESP_TABLE).read_text().splitlines()) == 4


def test_what_was_written_is_forgotten_with_the_sa(tmp_path: Path) -> None:
    ladder = GCM.psk()
    logs = logged(ladder, tmp_path)
    ladder.connect()
    ladder.disconnect(ladder.left)
    ladder.settle()
    ladder.wait(200.0)
    assert not any(log._written for log in logs.values())


def test_a_key_log_is_for_this_user_alone_and_goes_on_where_it_ended(tmp_path: Path) -> None:
    folder = tmp_path / "new" / "keys"
    KeyLog(folder).close()
    assert folder.stat().st_mode & 0o777 == 0o700
    (folder / IKE_TABLE).write_text("# before\n")
    (folder / IKE_TABLE).chmod(0o644)
    KeyLog(folder).close()
    for name in (IKE_TABLE, ESP_TABLE):
        assert (folder / name).stat().st_mode & 0o777 == 0o600
    assert (folder / IKE_TABLE).read_text() == "# before\n"


def test_what_somebody_else_laid_there_is_refused(tmp_path: Path) -> None:
    table = tmp_path / IKE_TABLE
    table.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(HostError, match="key log"):
        KeyLog(tmp_path)
    table.unlink()
    (tmp_path / "other").touch()
    table.hardlink_to(tmp_path / "other")
    with pytest.raises(HostError, match="no file of ours alone"):
        KeyLog(tmp_path)
    table.unlink()
    os.mkfifo(table)
    with pytest.raises(HostError, match="key log"):
        KeyLog(tmp_path)
    with pytest.raises(HostError, match="Not a directory"):
        KeyLog(tmp_path / "other" / "keys")


def test_a_log_that_cannot_be_written_is_complained_of_and_stops_nothing(tmp_path: Path) -> None:
    ladder = GCM.psk()
    ladder.connect()
    log = KeyLog(tmp_path / "keys")
    log.close()
    heard: list[str] = []
    endpoint = ladder.left.endpoint
    log.look(endpoint, (ladder.left.installs[0],), heard.append)
    assert len(heard) == 2
    assert all("Bad file descriptor" in text for text in heard)
