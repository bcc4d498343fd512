# SPDX-License-Identifier: Apache-2.0
"""Starts a daemon that goes on without its terminal, and ends it again."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO, Final

from ikeway.control.client import ControlClient
from ikeway.control.rundir import RunDir
from ikeway.model.errors import HostError, IkewayError
from ikeway.model.time import Seconds

READY: Final[Seconds] = 20.0
ENDING: Final[Seconds] = 15.0
TERMINATING: Final[Seconds] = 5.0
_STEP: Final[Seconds] = 0.05
_LINES_SHOWN: Final = 8


class Background:
    """The daemon that `ikeway up` started for one run directory."""

    def __init__(self, config: Path, place: RunDir, keylog: Path | None = None) -> None:
        self._place = place
        place.make()
        # -P: a program run as root does not import from the folder where it happens to be.
        words = [sys.executable, "-P", "-m", "ikeway.cli.main", "serve"]
        words += ["--config", str(config.absolute()), "--run-dir", str(place.path.absolute())]
        if keylog is not None:
            words += ["--keylog", str(keylog.absolute())]
        with _new_log(place.log) as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program and a path
                words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        place.client_mark.write_text(f"{self._process.pid}\n")

    def await_ready(self) -> None:
        """Wait until the daemon answers.

        Raises:
            HostError: it ended, with the last lines of its log, or does not answer.
        """
        client = ControlClient(self._place.path)
        deadline = time.monotonic() + READY
        while time.monotonic() < deadline:
            self.check_alive()
            with suppress(IkewayError):
                client.ping()
                return
            time.sleep(_STEP)
        raise HostError(f"the daemon does not answer; see {self._place.log}")

    def check_alive(self) -> None:
        """Check that the daemon has not ended.

        Raises:
            HostError: it has, with the last lines of its log.
        """
        if self._process.poll() is not None:
            raise HostError(f"the daemon ended:\n{_last_lines(self._place.log)}")

    def end(self) -> None:
        """End the daemon, also one that is not ready yet."""
        if self._process.poll() is None and self._place.running() is None:
            self._process.terminate()
        else:
            end(self._place)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(TERMINATING)
        self._place.client_mark.unlink(missing_ok=True)


def end(place: RunDir) -> None:
    """End the daemon of a run directory and wait until it is gone.

    Raises:
        HostError: it does not end.
    """
    pid = place.running()
    if pid is None:
        return
    with suppress(IkewayError):
        ControlClient(place.path).shutdown()
    if _gone(place, ENDING):
        return
    with suppress(ProcessLookupError):
        _terminate(place, pid)
    if not _gone(place, TERMINATING):
        raise HostError(
            f"the daemon (process {pid}) does not end; `kill -9 {pid}` ends it by force, and the"
            " next start cleans up behind it"
        )


def _terminate(place: RunDir, pid: int) -> None:
    """Send SIGTERM to the daemon, never to a later process of the same number."""
    handle = os.pidfd_open(pid)
    try:
        if place.running() == pid:
            signal.pidfd_send_signal(handle, signal.SIGTERM)
    finally:
        os.close(handle)


def _gone(place: RunDir, patience: Seconds) -> bool:
    deadline = time.monotonic() + patience
    while place.running() is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(_STEP)
    return True


def _new_log(path: Path) -> BinaryIO:
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_NOFOLLOW
    try:
        return os.fdopen(os.open(path, flags, 0o600), "ab")
    except OSError as error:
        raise HostError(f"log {path}: {error.strerror}") from error


def _last_lines(path: Path) -> str:
    lines = path.read_text(errors="replace").splitlines()[-_LINES_SHOWN:]
    return "\n".join(f"  {line}" for line in lines) or "  (its log is empty)"
