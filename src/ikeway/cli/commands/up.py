# SPDX-License-Identifier: Apache-2.0
"""`ikeway up`: start a connection as a client and wait until it carries traffic."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ikeway.cli.options import (
    DEFAULT_CONFIG,
    JsonOption,
    KeyLogOption,
    RunDirOption,
    complain,
    console,
)
from ikeway.control.rundir import DEFAULT, RunDir
from ikeway.model.errors import UsageError
from ikeway.runtime.log import plain

if TYPE_CHECKING:
    from ikeway.config.load import Loaded
    from ikeway.control.status import IkeStatus
    from ikeway.policy.connection import Connection

EXAMPLE: Final = "Example: ikeway up office.toml && ikeway status && ikeway down"
PATIENCE: Final = 60.0


def up(
    target: Annotated[
        str,
        typer.Argument(
            metavar="FILE|NAME",
            help="A configuration file (with .toml or a slash), or a connection of the default.",
        ),
    ],
    connection: Annotated[
        str | None,
        typer.Option("--connection", metavar="NAME", help="Which connection, if FILE has several."),
    ] = None,
    run_dir: RunDirOption = DEFAULT,
    wait: Annotated[float, typer.Option(metavar="SECONDS", help="How long to wait.")] = PATIENCE,
    keylog: KeyLogOption = None,
    *,
    json: JsonOption = False,
) -> None:
    """Connect: start the daemon in the background and wait until the connection is up.

    If it does not come up, the reason is told and the daemon is ended again.
    """
    place = RunDir(run_dir)
    # A plain name is never a file: it must not mean another thing in another folder.
    is_file = target.endswith(".toml") or "/" in target
    if place.running() is not None:
        if keylog is not None:
            raise UsageError("a daemon already runs; --keylog is for the one that `up` starts")
        sa = _join(place, target, wait, is_file=is_file)
    else:
        config, name = (Path(target), connection) if is_file else (DEFAULT_CONFIG, target)
        sa = _begin(place, config, name, wait, keylog)
    if json:
        print(sa.model_dump_json())
    else:
        _tell(sa)
        if place.is_client:
            print(f"`ikeway down` ends it; its log is {place.log}")


def _begin(
    place: RunDir, config: Path, name: str | None, wait: float, keylog: Path | None
) -> "IkeStatus":
    """Start a daemon for the connection, and end it if the connection fails."""
    from ikeway.cli.ascent import ascend
    from ikeway.cli.background import Background
    from ikeway.config.load import load

    loaded = load(config)
    for warning in loaded.warnings:
        complain(f"warning: {warning}")
    chosen = _choose(loaded, name)
    if keylog is not None:
        complain(f"warning: the keys of all SAs are written to {keylog}: they reveal the traffic")
    daemon = Background(config, place, keylog)
    try:
        daemon.await_ready()
        return ascend(place, chosen.name, wait, starts_itself=_starts(chosen), daemon=daemon)
    except BaseException:
        daemon.end()
        raise


def _join(place: RunDir, target: str, wait: float, *, is_file: bool) -> "IkeStatus":
    """Start a connection of a daemon that runs already."""
    from ikeway.cli.ascent import ascend

    if is_file:
        raise UsageError(
            f"an ikeway already runs at {place.path} (process {place.running()}); end it with"
            " `ikeway down`, or give this one another --run-dir"
        )
    return ascend(place, target, wait, starts_itself=False, daemon=None)


def _choose(loaded: "Loaded", name: str | None) -> "Connection":
    usable = [each for each in loaded.connections if each.may_initiate]
    names = ", ".join(each.name for each in usable) or "none"
    chosen = [each for each in usable if name in {None, each.name}]
    if name is not None and not chosen:
        raise UsageError(f"{loaded.file} has no connection {name!r} to start; it has: {names}")
    if len(chosen) != 1:
        raise UsageError(
            f"{loaded.file} has {len(usable)} connections to start ({names}); choose one with"
            " --connection NAME"
        )
    return chosen[0]


def _starts(connection: "Connection") -> bool:
    return connection.start.value == "now"


def _tell(sa: "IkeStatus") -> None:
    out = console()
    out.print(f"{plain(sa.connection)} is up", style="bold green")
    children = sa.child_sas
    facts = {
        "peer": f"{sa.peer.id} at {sa.peer.address}",
        "we are": sa.local.id,
        "addresses": ", ".join(sa.virtual_ips),
        "routed": ", ".join(ts for child in children for ts in child.peer_ts),
        "suite": sa.suite,
        "ESP": ", ".join(child.suite for child in children),
    }
    for word, text in facts.items():
        if text:
            out.print(f"  {word:9} {plain(text)}")
