# SPDX-License-Identifier: Apache-2.0
"""One daemon a run directory; what a crash leaves behind hinders nobody."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ikeway.control.rundir import RunDir
from ikeway.model.errors import HostError, UsageError


def test_a_claimed_directory_names_its_daemon_until_it_is_given_up(tmp_path: Path) -> None:
    place = RunDir(tmp_path / "run")
    assert place.running() is None
    with place.claim():
        assert place.running() == os.getpid()
        assert place.pid_file.read_text() == f"{os.getpid()}\n"
    assert place.running() is None
    assert not place.pid_file.exists()


def test_a_new_run_directory_is_for_its_owner_only(tmp_path: Path) -> None:
    place = RunDir(tmp_path / "run")
    place.make()
    assert place.path.stat().st_mode & 0o777 == 0o700


def test_two_daemons_in_one_directory_are_refused_with_the_process_of_the_first(
    tmp_path: Path,
) -> None:
    place = RunDir(tmp_path)
    with (
        place.claim(),
        pytest.raises(UsageError, match=rf"process {os.getpid()}\).*--run-dir"),
        place.claim(),
    ):
        pass


def test_the_pid_file_of_a_killed_daemon_is_known_to_be_stale(tmp_path: Path) -> None:
    place = RunDir(tmp_path)
    killed = subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "import os, sys, signal; from pathlib import Path\n"
                "from ikeway.control.rundir import RunDir\n"
                "with RunDir(Path(sys.argv[1])).claim(): os.kill(os.getpid(), signal.SIGKILL)"
            ),
            str(tmp_path),
        ],
        check=False,
    )
    assert killed.returncode < 0
    assert place.pid_file.exists()
    assert place.running() is None
    with place.claim():
        assert place.running() == os.getpid()


def test_a_stale_pid_file_that_names_a_living_process_is_still_stale(tmp_path: Path) -> None:
    place = RunDir(tmp_path)
    place.pid_file.write_text(f"{os.getppid()}\n")
    assert place.running() is None


def test_only_a_daemon_that_up_started_counts_as_a_client(tmp_path: Path) -> None:
    place = RunDir(tmp_path)
    place.client_mark.write_text("1\n")
    with place.claim():
        assert not place.is_client
        place.client_mark.write_text(f"{os.getpid()}\n")
        assert place.is_client
    assert not place.client_mark.exists()


def test_a_run_directory_that_cannot_be_made_is_an_error_of_the_host(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="choose another with --run-dir"):
        RunDir(tmp_path / "file" / "run").make()


def test_a_pid_file_that_is_a_symbolic_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "precious"
    target.write_text("data")
    RunDir(tmp_path).pid_file.symlink_to(target)
    with pytest.raises(HostError), RunDir(tmp_path).claim():
        pass
    assert target.read_text() == "data"


@pytest.mark.parametrize("mode", [0o777, 0o1777, 0o770])
def test_a_run_directory_that_others_can_change_is_refused(tmp_path: Path, mode: int) -> None:
    place = RunDir(tmp_path / "run")
    place.path.mkdir()
    place.path.chmod(mode)
    with pytest.raises(HostError, match=rf"can be changed by others.*mode {mode:04o}"):
        place.make()
