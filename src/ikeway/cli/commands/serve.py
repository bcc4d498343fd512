# SPDX-License-Identifier: Apache-2.0
"""`ikeway serve`: be the daemon of a run directory, in the foreground."""

from typing import Annotated, Final

import typer

from ikeway.cli.options import (
    DEFAULT_CONFIG,
    ConfigOption,
    FaultsOption,
    KeyLogOption,
    RunDirOption,
)
from ikeway.control.rundir import DEFAULT, RunDir
from ikeway.runtime.log import LogFormat, LogLevel, setup

EXAMPLE: Final = "Example: ikeway serve -c /etc/ikeway/ikeway.toml --log-format json"


def serve(
    config: ConfigOption = DEFAULT_CONFIG,
    run_dir: RunDirOption = DEFAULT,
    log_format: Annotated[LogFormat, typer.Option(help="How log lines look.")] = LogFormat.TEXT,
    log_level: Annotated[LogLevel, typer.Option(help="What is logged.")] = LogLevel.INFO,
    keylog: KeyLogOption = None,
    faults: FaultsOption = None,
) -> None:
    """Run the gateway until it is told to end.

    Connections with start = "now" are initiated. The log goes to standard error.
    """
    from ikeway.config.load import load

    loaded = load(config)
    import structlog

    from ikeway.client.network import PyrouteNetwork
    from ikeway.daemon import supervisor
    from ikeway.daemon.instruments import Instruments
    from ikeway.runtime.faults import load as load_faults
    from ikeway.runtime.keylog import KeyLog

    setup(log_format, log_level)
    for warning in loaded.warnings:
        structlog.get_logger("ikeway").warning(warning)
    carries_packets = loaded.dataplane.backend != "null"
    network = PyrouteNetwork(run_dir) if carries_packets else None
    instruments = Instruments(
        None if keylog is None else KeyLog(keylog), () if faults is None else load_faults(faults)
    )
    if loaded.host.workers == 1:
        supervisor.run(loaded, RunDir(run_dir), network, instruments)
    else:
        from ikeway.daemon import crew

        crew.run(loaded, RunDir(run_dir), network, instruments)
