# SPDX-License-Identifier: Apache-2.0
"""`ikeway trace`: a capture as a readable ladder, decrypted where there are keys."""

import json as json_format
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ikeway.cli.options import JsonOption, console
from ikeway.runtime.log import plain

if TYPE_CHECKING:
    from ikeway.trace.events import Event

EXAMPLE: Final = "Example: ikeway trace office.pcap --keys keys"
_TONES: Final = {
    "title": "bold",
    "left": "cyan",
    "right": "green",
    "detail": "",
    "remark": "yellow",
    "bad": "bold red",
}
_WIDEST: Final = 110
_PACKETS: Final = 4


def trace(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="A capture: pcap or pcapng.")],
    keys: Annotated[
        Path | None,
        typer.Option(
            "--keys",
            metavar="PATH",
            help="A key log: the folder of `serve --keylog`, or a file with keys of ikeway,"
            " Wireshark or tcpdump.",
        ),
    ] = None,
    packets: Annotated[
        int,
        typer.Option(metavar="N", min=0, help="How many ESP packets of each SA are shown."),
    ] = _PACKETS,
    *,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show every field, and every ESP packet.")
    ] = False,
    json: JsonOption = False,
) -> None:
    """Show the IKE messages and ESP packets of a capture as a ladder.

    Without keys, only IKE_SA_INIT and the outside of all else can be seen.
    """
    from ikeway.trace.keyfile import load_keys
    from ikeway.trace.keys import KeyStore
    from ikeway.trace.tracer import trace as follow

    store = KeyStore() if keys is None else load_keys(keys)
    events = follow(file, store)
    if json:
        _print_json(events, packets, everything=verbose)
    else:
        _print_ladder(events, packets, verbose=verbose)


def _print_json(events: "Iterable[Event]", packets: int, *, everything: bool) -> None:
    from ikeway.trace.events import EspSeen
    from ikeway.trace.records import record

    for event in events:
        if not isinstance(event, EspSeen) or everything or event.number <= packets:
            print(json_format.dumps(record(event)))


def _print_ladder(events: "Iterable[Event]", packets: int, *, verbose: bool) -> None:
    from rich.text import Text

    from ikeway.trace.ladder import Ladder

    out = console()
    ladder = Ladder(min(out.width, _WIDEST), is_verbose=verbose, packets=packets)
    for event in events:
        for line in ladder.draw(event):
            out.print(Text(plain(line.text), _TONES[line.tone.value]))
