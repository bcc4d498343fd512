# SPDX-License-Identifier: Apache-2.0
"""`ikeway`: the list of commands, and what becomes of their errors."""

import os
import sys
from typing import Annotated, Final

import typer

from ikeway.cli.commands import (
    ca,
    cert,
    config,
    demo,
    down,
    drain,
    probe,
    reload,
    serve,
    status,
    trace,
    up,
    user,
    watch,
)
from ikeway.cli.options import complain
from ikeway.control.errors import NoDaemonError
from ikeway.model.errors import IkewayError

FAILED: Final = 1
NO_DAEMON: Final = 3
INTERRUPTED: Final = 130

app = typer.Typer(
    name="ikeway",
    help="An IKEv2/IPsec VPN: gateway, client and library.",
    epilog="Exit status: 0 done, 1 failed, 2 wrong usage, 3 no daemon runs there.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("demo", epilog=demo.EXAMPLE)(demo.demo)
app.command("serve", epilog=serve.EXAMPLE)(serve.serve)
app.command("up", epilog=up.EXAMPLE)(up.up)
app.command("down", epilog=down.EXAMPLE)(down.down)
app.command("status", epilog=status.EXAMPLE)(status.status)
app.command("disconnect", epilog=status.DISCONNECT_EXAMPLE)(status.disconnect)
app.command("drain", epilog=drain.EXAMPLE)(drain.drain)
app.command("reload", epilog=reload.EXAMPLE)(reload.reload)
app.command("watch", epilog=watch.EXAMPLE)(watch.watch)
app.command("trace", epilog=trace.EXAMPLE)(trace.trace)
app.command("probe", epilog=probe.EXAMPLE)(probe.probe)
app.add_typer(user.app, name="user")
app.add_typer(config.app, name="config")
app.add_typer(ca.app, name="ca")
app.add_typer(cert.app, name="cert")


def main() -> None:
    """Run the command line and exit with its status."""
    try:
        app()
    except IkewayError as error:
        complain(str(error))
        sys.exit(NO_DAEMON if isinstance(error, NoDaemonError) else FAILED)
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        # Whoever reads our output went away; nothing more can be said there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(FAILED)


@app.callback(invoke_without_command=True)
def _ikeway(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        from ikeway.control.release import release

        print(f"ikeway {release()}")
        raise typer.Exit


if __name__ == "__main__":
    main()
