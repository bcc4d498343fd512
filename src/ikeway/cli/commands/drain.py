# SPDX-License-Identifier: Apache-2.0
"""`ikeway drain`: send the clients of a gateway to another one."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ikeway.cli.options import JsonOption, RunDirOption, console
from ikeway.control.rundir import DEFAULT
from ikeway.runtime.log import plain

if TYPE_CHECKING:
    from ikeway.control.schema import Drained

EXAMPLE: Final = "Example: ikeway drain --to vpn2.example.com staff && ikeway drain --stop"
_STYLES: Final = {"sent": "green", "stays": "yellow", "disconnected": "red"}


def drain(  # noqa: PLR0913 - the options of the command
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", help="A connection; all that clients come by without it."),
    ] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="GATEWAY", help="Where to: an address or a host name."),
    ] = None,
    grace: Annotated[
        float | None,
        typer.Option(
            min=0,
            max=86400,
            metavar="SECONDS",
            help="How long they may take, instead of redirect_grace.",
        ),
    ] = None,
    run_dir: RunDirOption = DEFAULT,
    *,
    stop: Annotated[bool, typer.Option("--stop", help="Serve clients here again.")] = False,
    disconnect: Annotated[
        bool, typer.Option("--disconnect", help="Cut off those who do not follow redirects.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Send clients to another gateway (RFC 5685): those that are connected, and those that come.

    Each keeps its tunnel until it is up there. Who does not follow redirects stays and is named.
    It holds until `--stop` or the end of the daemon.
    """
    from ikeway.control.client import ControlClient
    from ikeway.control.schema import Drain

    if stop == (to is not None):
        raise typer.BadParameter("say where to, with --to GATEWAY, or --stop; one of both")
    if stop and (grace is not None or disconnect):
        raise typer.BadParameter("--grace and --disconnect are for --to")
    order = Drain(to=to, connection=name, grace=grace, disconnect=disconnect)
    found = ControlClient(run_dir).drain(order)
    if json:
        print(found.model_dump_json())
    else:
        _tell(found, to)


def _tell(found: "Drained", to: str | None) -> None:
    out = console()
    for sa in found.ike_sas:
        why = f": {sa.reason}" if sa.reason else ""
        line = f"{sa.connection}: {sa.peer} ({sa.id}) {sa.outcome}{why}"
        out.print(plain(line), style=_STYLES[sa.outcome])
    text = f"new clients are sent to {to}" if to else "new clients are served here"
    out.print(plain(text))
