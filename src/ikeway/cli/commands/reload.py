# SPDX-License-Identifier: Apache-2.0
"""`ikeway reload`: have a daemon heed its changed configuration."""

from typing import TYPE_CHECKING, Final

from ikeway.cli.options import JsonOption, RunDirOption, console
from ikeway.control.rundir import DEFAULT
from ikeway.runtime.log import plain

if TYPE_CHECKING:
    from ikeway.control.schema import Reloaded

EXAMPLE: Final = "Example: ikeway reload --run-dir /run/ikeway"


def reload(run_dir: RunDirOption = DEFAULT, *, json: JsonOption = False) -> None:
    """Apply what changed in the configuration: connections, policies and shared secrets.

    What did not change goes on as it is. The IKE SAs of a connection that is another one now, or is
    gone, are deleted. A configuration that is wrong, or that takes a restart, changes nothing.
    """
    from ikeway.control.client import ControlClient

    found = ControlClient(run_dir).reload()
    if json:
        print(found.model_dump_json())
    else:
        _tell(found)


def _tell(found: "Reloaded") -> None:
    out = console()
    for word, names, style in (
        ("added", found.added, "green"),
        ("changed", found.changed, "yellow"),
        ("removed", found.removed, "red"),
    ):
        for name in names:
            out.print(plain(f"{name}: {word}"), style=style)
    if not (found.added or found.changed or found.removed):
        out.print("no connection changed")
