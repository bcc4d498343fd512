# SPDX-License-Identifier: Apache-2.0
"""`ikeway demo`: two hosts in namespaces and a real tunnel between them."""

from typing import Annotated, Final

import typer

from ikeway.cli.options import JsonOption

EXAMPLE: Final = "Example: ikeway demo --json | jq .handshake_ms"


def demo(
    *,
    json: JsonOption = False,
    record: Annotated[
        str | None, typer.Option("--record", metavar="FILE", hidden=True, help="Save as SVG.")
    ] = None,
) -> None:
    """Show a tunnel between two hosts on this machine, with traffic and a proof from the wire.

    It makes its own network namespaces and takes them away again.
    """
    from rich.console import Console

    from ikeway.demo.story import run

    out = Console(record=record is not None)
    code = run(as_json=json, console=out)
    if record is not None:
        out.save_svg(record, title="ikeway demo")
    raise typer.Exit(code)
