# SPDX-License-Identifier: Apache-2.0
"""`ikeway watch`: what happens, as it happens."""

from typing import Final

from ikeway.cli.options import JsonOption, RunDirOption, console
from ikeway.control.rundir import DEFAULT
from ikeway.runtime.log import plain

EXAMPLE: Final = "Example: ikeway watch --json | jq .text"
_STYLES: Final = {"debug": "dim", "warning": "yellow", "error": "red"}


def watch(*, run_dir: RunDirOption = DEFAULT, json: JsonOption = False) -> None:
    """Show what the daemon does until it ends or you press Ctrl-C."""
    from datetime import datetime

    from ikeway.control.client import ControlClient

    out = console()
    with ControlClient(run_dir).watch() as events:
        for event in events:
            if json:
                print(event.model_dump_json(), flush=True)
                continue
            at = datetime.fromtimestamp(event.at).astimezone()
            facts = "".join(f"  {key}={plain(value)}" for key, value in event.facts.items())
            out.print(f"{at:%H:%M:%S} {plain(event.text)}{facts}", style=_STYLES.get(event.level))
