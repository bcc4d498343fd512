# SPDX-License-Identifier: Apache-2.0
"""The run directory: one daemon's sockets, pid file and log, so that several share a host."""

import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ikeway.model.errors import HostError, UsageError

DEFAULT: Final = Path("/run/ikeway")
VARIABLE: Final = "IKEWAY_RUN_DIR"
TRIES: Final = 5


@dataclass(frozen=True, slots=True)
class RunDir:
    """A run directory by its path. The pid file is locked while its daemon lives.

    The kernel drops the lock with the process, so a pid file that a crash left behind is known to
    be stale, even when its number belongs to another process by now.
    """

    path: Path

    @property
    def socket(self) -> Path:
        """The control socket."""
        return self.path / "control.sock"

    @property
    def pid_file(self) -> Path:
        """The daemon's process id, in decimal."""
        return self.path / "ikeway.pid"

    @property
    def crash_key(self) -> Path:
        """The secret of our crash tokens (RFC 6290), which outlives the daemon."""
        return self.path / "crash.key"

    @property
    def log(self) -> Path:
        """Where a daemon that `ikeway up` started writes its log."""
        return self.path / "ikeway.log"

    @property
    def client_mark(self) -> Path:
        """The process id of the daemon that `ikeway up` started: `down` ends only that one."""
        return self.path / "up.pid"

    @property
    def is_client(self) -> bool:
        """Whether the daemon that lives here was started by `ikeway up`."""
        pid = self.running()
        return pid is not None and _number(self.client_mark) == pid

    def make(self) -> None:
        """Make the directory, for its owner only.

        Raises:
            HostError: it cannot be made, or it belongs to somebody else.
        """
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            facts = self.path.stat()
        except OSError as error:
            raise HostError(
                f"run directory {self.path}: {error.strerror}; choose another with --run-dir"
            ) from error
        if facts.st_uid not in {0, os.geteuid()} or facts.st_mode & 0o022:
            raise HostError(
                f"run directory {self.path} can be changed by others, who could stand in for us"
                f" (user {facts.st_uid}, mode {stat.S_IMODE(facts.st_mode):04o}); make it yours,"
                " or choose another with --run-dir"
            )

    def running(self) -> int | None:
        """Return the process id of the daemon that lives here, or None."""
        try:
            descriptor = os.open(self.pid_file, os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return _number(self.pid_file)
        finally:
            os.close(descriptor)
        return None

    @contextmanager
    def claim(self) -> Iterator[None]:
        """Be the daemon of this directory while the context lasts.

        Raises:
            UsageError: another daemon is.
            HostError: the directory cannot be used.
        """
        self.make()
        descriptor = self._lock()
        try:
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, b"%d\n" % os.getpid(), 0)
            yield
        finally:
            # Removed before the lock is dropped, so that nobody's new pid file is taken away.
            self.pid_file.unlink(missing_ok=True)
            self._clear_mark()
            os.close(descriptor)

    def _lock(self) -> int:
        for _ in range(TRIES):
            descriptor = self._open()
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_current(descriptor):
                    return descriptor
            except BlockingIOError:
                time.sleep(0.02)  # it may just be somebody who looks whether we run
            os.close(descriptor)
        raise UsageError(self._taken())

    def _open(self) -> int:
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        try:
            return os.open(self.pid_file, flags, 0o644)
        except OSError as error:
            raise HostError(f"{self.pid_file}: {error.strerror}") from error

    def _is_current(self, descriptor: int) -> bool:
        """Whether the file that we locked is still the one with that name."""
        try:
            named = self.pid_file.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(os.fstat(descriptor), named)

    def _taken(self) -> str:
        return (
            f"an ikeway already runs at {self.path} (process {_number(self.pid_file)});"
            " end it first, or give this one another --run-dir"
        )

    def _clear_mark(self) -> None:
        if _number(self.client_mark) == os.getpid():
            with suppress(OSError):
                self.client_mark.unlink()


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None
