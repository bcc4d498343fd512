# SPDX-License-Identifier: Apache-2.0
"""`ikeway serve` as a process of its own, in a namespace, with a folder and a log."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from ikeway.control.client import ControlClient
from ikeway.control.errors import NoDaemonError
from ikeway.demo import launch
from ikeway.demo.namespaces import Place
from ikeway.model.errors import HostError
from ikeway.model.time import Seconds

_START: Final[Seconds] = 15.0
_END: Final[Seconds] = 5.0
_TICK: Final[Seconds] = 0.02


class Program:
    """One daemon of the demo."""

    def __init__(self, place: Place, folder: Path, config: Path) -> None:
        self.name = place.name
        self.run_dir = folder / "run"
        self.client = ControlClient(self.run_dir)
        self._log = folder / "log"
        command = [sys.executable, "-P", "-m", "ikeway.cli.main", "serve", "-c", str(config)]
        command += ["--run-dir", str(self.run_dir), "--log-level", "debug"]
        self._process = place.inside(lambda: self._begin(command))

    def ready(self) -> None:
        """Wait until the daemon answers.

        Raises:
            HostError: it ended instead, or takes too long.
        """
        wait_until(self._answers, _START, f"the {self.name}'s daemon to answer")

    def stop(self) -> int:
        """End the daemon as SIGTERM does, by force if it does not; return its exit status."""
        with suppress(ProcessLookupError):
            self._process.terminate()
        try:
            return self._process.wait(_END)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()

    def last_words(self, count: int = 12) -> list[str]:
        """Return the end of the log."""
        try:
            return self._log.read_text(errors="replace").splitlines()[-count:]
        except OSError:
            return []

    def _begin(self, command: list[str]) -> "subprocess.Popen[bytes]":
        isolated = [sys.executable, "-I", "-S", launch.__file__]
        with self._log.open("wb") as log:
            return subprocess.Popen(  # noqa: S603 - our own program
                [*isolated, *command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us, who end the others in order
            )

    def _answers(self) -> bool:
        status = self._process.poll()
        if status is not None:
            raise HostError(f"the {self.name}'s daemon ended at once, with exit status {status}")
        with suppress(NoDaemonError):
            self.client.ping()
            return True
        return False


def wait_until(is_so: Callable[[], bool], patience: Seconds, what: str) -> None:
    """Wait until something is so.

    Raises:
        HostError: it has not come about after `patience`.
    """
    until = time.monotonic() + patience
    while not is_so():
        if time.monotonic() > until:
            raise HostError(f"waited {patience:.0f} s for {what}")
        time.sleep(_TICK)
