# SPDX-License-Identifier: Apache-2.0
"""`ikeway serve` as a process in a namespace, with a configuration of the test's making."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

from ikeway.control.client import ControlClient, NoDaemonError
from ikeway.control.schema import Reloaded
from ikeway.control.status import ChildStatus, IkeStatus
from support.netns import Namespace
from support.strongswan import wait_until

Table: TypeAlias = Mapping[str, object]

PROGRAM: Final = str(Path(sys.executable).with_name("ikeway"))
START: Final = 60.0
"""A loaded machine takes long to start a daemon, and no test is about that."""
END: Final = 8.0
PATIENCE: Final = 20.0
"""How long the log may lack words: no test is about how soon they are there."""
LINES: Final = 30


class Daemon:
    """One daemon and its run directory."""

    def __init__(
        self, folder: Path, namespace: Namespace, config: Table, faults: Sequence[Table] = ()
    ) -> None:
        self._namespace = namespace
        self._log = folder / "ikeway.log"
        self._file = folder / "ikeway.toml"
        self.run_dir = folder / "run"
        self.client = ControlClient(self.run_dir)
        self._process: subprocess.Popen[bytes] | None = None
        self.is_ready = False
        folder.mkdir(parents=True, exist_ok=True)
        self.write(config)
        self._faults = folder / "faults.toml" if faults else None
        if self._faults is not None:
            self._faults.write_text(toml({"fault": list(faults)}))

    def write(self, config: Table) -> None:
        """Write another configuration, which the daemon does not know yet."""
        self.config = config
        self._file.write_text(toml(config))

    def reload(self, config: Table) -> Reloaded:
        """Have the daemon heed another configuration."""
        self.write(config)
        return self.client.reload()

    def begin(self) -> None:
        """Start the process; it is not ready yet when this returns."""
        arguments = [PROGRAM, "serve", "-c", str(self._file), "--run-dir", str(self.run_dir)]
        arguments += ["--log-format", "json", "--log-level", "debug"]
        arguments += ["--faults", str(self._faults)] if self._faults else []

        def start() -> "subprocess.Popen[bytes]":
            with self._log.open("ab") as log:
                return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stderr=log)

        self._process = self._namespace.inside(start)

    def ready(self) -> None:
        """Wait until the daemon answers."""
        process = self._process
        assert process is not None

        def answers() -> bool:
            assert process.poll() is None, f"ikeway ended with {process.returncode}:\n{self.log()}"
            with suppress(NoDaemonError):
                self.client.ping()
                return True
            return False

        wait_until(answers, START, "ikeway to answer")
        self.is_ready = True

    def command(
        self, *arguments: str, stdin: str | None = None
    ) -> "subprocess.CompletedProcess[str]":
        """Run an ikeway command against this daemon."""
        environment = os.environ | {"IKEWAY_RUN_DIR": str(self.run_dir)}
        return subprocess.run(
            [PROGRAM, *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
            env=environment,
            input=stdin,
        )

    def user(self, *arguments: str, password: str | None = None) -> str:
        """Run `ikeway user` with this daemon's configuration; return what it printed."""
        more = [] if password is None else ["--password-stdin"]
        where = ["-c", str(self._file)]
        done = self.command("user", *arguments, *more, *where, stdin=password)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def initiate(self, connection: str = "lab") -> str:
        """Start a connection."""
        return self.client.initiate(connection)

    def disconnect(self, target: str = "lab") -> None:
        """Delete an IKE SA."""
        self.client.disconnect(target)

    def sas(self) -> list[IkeStatus]:
        """Return every IKE SA that is not just being forgotten."""
        return list(self.client.status().ike_sas)

    def established(self) -> list[IkeStatus]:
        """Return the IKE SAs in which both identities are proven."""
        return [sa for sa in self.sas() if sa.state.lower() == "established"]

    def children(self) -> list[ChildStatus]:
        """Return every Child SA."""
        return [child for sa in self.sas() for child in sa.child_sas]

    def log(self) -> str:
        """Return the log so far."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def said(self, words: str) -> bool:
        """Whether the log has these words."""
        return words in self.log()

    def wait_for_log(self, words: str, patience: float = PATIENCE) -> None:
        """Wait until the log has these words."""

        def missed() -> str:
            end = "\n".join(self.log().splitlines()[-LINES:])
            return f"{words!r} in ikeway's log, whose end is\n{end}"

        wait_until(lambda: self.said(words), patience, missed)

    def faults(self) -> list[str]:
        """Return lines of the log that no peer and no test may cause: exceptions of our own."""
        signs = ("Traceback", "Error:", "Exception", "panicked")
        lines = self.log().splitlines()
        return [line for line in lines if any(sign in line for sign in signs)]

    def stop(self) -> int:
        """End the daemon in good order; return its exit status."""
        process = self._process
        if process is None:
            return 0
        self._process = None
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            return process.wait(END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            return -signal.SIGKILL

    def kill(self) -> None:
        """End the process as a crash would."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None


def toml(config: Table, path: tuple[str, ...] = ()) -> str:
    """Return a table as TOML; JSON writes strings, numbers and arrays as TOML does."""
    plain = {k: v for k, v in config.items() if not isinstance(v, Mapping) and not _is_tables(v)}
    lines = [f"[{'.'.join(path)}]"] if path else []
    lines += [f"{key} = {json.dumps(value)}" for key, value in plain.items()]
    for key, value in config.items():
        if isinstance(value, Mapping):
            lines.append(toml(value, (*path, key)))
        elif _is_tables(value):
            lines += [_item((*path, key), item) for item in value]  # type: ignore[attr-defined]
    return "\n".join(lines) + "\n"


def _is_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and isinstance(value[0], Mapping)


def _item(path: tuple[str, ...], table: Table) -> str:
    return f"[[{'.'.join(path)}]]\n" + toml(table)
