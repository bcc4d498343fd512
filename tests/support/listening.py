# SPDX-License-Identifier: Apache-2.0
"""Servers of other makers that a test runs beside a peer."""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support.netns import Namespace
from support.strongswan import wait_until


@contextmanager
def listening(
    namespace: Namespace, command: Sequence[str], folder: Path, port: int
) -> Iterator[None]:
    """Run a command in a folder and a namespace, from when it listens on a TCP port."""

    def start() -> "subprocess.Popen[bytes]":
        quiet = subprocess.DEVNULL
        return subprocess.Popen(command, cwd=folder, stdin=quiet, stdout=quiet, stderr=quiet)

    process = namespace.inside(start)
    try:
        wait_until(lambda: f":{port}" in namespace.run("ss", "-ltn"), 10.0, f"{command[0]}")
        yield
    finally:
        process.terminate()
        process.wait(5)
