# SPDX-License-Identifier: Apache-2.0
"""`ikeway down`: disconnect what `ikeway up` connected."""

from typing import Final

from ikeway.cli.options import RunDirOption
from ikeway.control.errors import NoDaemonError
from ikeway.control.rundir import DEFAULT, RunDir
from ikeway.model.errors import UsageError

EXAMPLE: Final = "Example: ikeway down --run-dir /run/ikeway-office"


def down(run_dir: RunDirOption = DEFAULT) -> None:
    """Disconnect: tell the peer, undo routes and addresses, end the daemon that `up` started."""
    from ikeway.cli.background import end

    place = RunDir(run_dir)
    pid = place.running()
    if pid is None:
        raise NoDaemonError(f"no ikeway runs at {run_dir}; there is nothing to take down")
    if not place.is_client:
        raise UsageError(
            f"the daemon at {run_dir} (process {pid}) was not started by `ikeway up`; end it where"
            " it was started, or use `ikeway disconnect`"
        )
    end(place)
    print("down")
