# SPDX-License-Identifier: Apache-2.0
"""Options that several commands take, and how commands speak."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

import typer

from ikeway.control.rundir import VARIABLE
from ikeway.runtime.log import plain

if TYPE_CHECKING:
    from rich.console import Console

DEFAULT_CONFIG: Final = Path("/etc/ikeway/ikeway.toml")

RunDirOption: TypeAlias = Annotated[
    Path,
    typer.Option(
        "--run-dir",
        envvar=VARIABLE,
        help="Folder of the daemon: control socket, pid file, engine socket.",
    ),
]
ConfigOption: TypeAlias = Annotated[
    Path, typer.Option("--config", "-c", metavar="FILE", help="The configuration file.")
]
KeyLogOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--keylog",
        metavar="DIR",
        help="Write all keys into DIR, for `ikeway trace` and Wireshark: this reveals the traffic.",
    ),
]
JsonOption: TypeAlias = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def console(*, stderr: bool = False) -> "Console":
    """Return a console that prints text as it is: peers choose some of it, so nothing is markup."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False, soft_wrap=True)


def complain(text: str) -> None:
    """Say what is wrong, on standard error."""
    for line in text.splitlines():
        print(f"ikeway: {plain(line)}", file=sys.stderr)
