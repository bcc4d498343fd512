# SPDX-License-Identifier: Apache-2.0
"""The engine's process: `python -m ikeway.dataplane.engine_process --socket PATH`."""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

_READY: Final = b"ready"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the engine, by default in the background; return once it listens."""
    parser = argparse.ArgumentParser(
        prog="ikeway-engine", description="Moves the packets of ikeway."
    )
    parser.add_argument("--socket", type=Path, required=True, help="where the daemon connects to")
    parser.add_argument(
        "--linger", type=float, default=30.0, help="seconds to go on without a daemon (default 30)"
    )
    parser.add_argument("--foreground", action="store_true", help="do not go into the background")
    options = parser.parse_args(arguments)
    if options.foreground:
        return _serve(options.socket, options.linger, sys.stdout.fileno())
    return _detach(options.socket, options.linger)


def _detach(path: Path, linger: float) -> int:
    """Start the engine in a session of its own and wait until it listens or says why it cannot."""
    reader, writer = os.pipe()
    if os.fork() == 0:
        os.close(reader)
        os.setsid()
        _redirect(path.with_suffix(".log"))
        os._exit(_serve(path, linger, writer))
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        words = pipe.read()
    if words == _READY:
        return 0
    sys.stderr.write(words.decode(errors="replace") or "it ended without a word")
    return 1


def _serve(path: Path, linger: float, ready: int) -> int:
    # Imported here, so that a missing extension is told to whoever waits.
    try:
        from ikeway._engine import Engine

        engine = Engine(path)
    except (ImportError, OSError, RuntimeError) as error:
        os.write(ready, str(error).encode())
        return 1
    os.write(ready, _READY)
    os.close(ready)
    engine.run(linger)
    return 0


def _redirect(log: Path) -> None:
    """Give the process a log and nothing of its parent's streams."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
    nothing, file = os.open(os.devnull, os.O_RDWR), os.open(log, flags, 0o600)
    for target, source in ((0, nothing), (1, file), (2, file)):
        os.dup2(source, target)
    os.close(nothing)
    os.close(file)


if __name__ == "__main__":
    sys.exit(main())
