# SPDX-License-Identifier: Apache-2.0
"""`ikeway probe`: which suites and authentication methods a peer offers, with a grade."""

import asyncio
import json as json_format
from typing import TYPE_CHECKING, Annotated, Final

import typer

from ikeway.cli.options import JsonOption, console
from ikeway.runtime.log import plain

if TYPE_CHECKING:
    from rich.console import Console

    from ikeway.client.probe.findings import Findings
    from ikeway.client.probe.greeting import Greeting
    from ikeway.model.identity import Identity

EXAMPLE: Final = "Example: ikeway probe vpn.example.com"
_COLOURS: Final = {"BROKEN": "bold red", "WEAK": "yellow", "FAIR": "", "STRONG": "green"}
_MARK_COLOURS: Final = {"A": "bold green", "B": "bold", "C": "bold yellow", "F": "bold red"}


def probe(
    host: Annotated[str, typer.Argument(metavar="HOST", help="A name or an address.")],
    port: Annotated[int, typer.Option(metavar="N", min=1, max=65535, help="UDP port.")] = 500,
    identity: Annotated[
        str, typer.Option("--id", metavar="ID", help="Who we say we are.")
    ] = "probe@ikeway.invalid",
    server_id: Annotated[
        str | None, typer.Option(metavar="ID", help="Whom we ask for, where a host has several.")
    ] = None,
    *,
    json: JsonOption = False,
) -> None:
    """Ask a peer which suites and authentication methods it offers, and grade it.

    Sends about 80 small IKE_SA_INIT requests, four at a time, and one IKE_AUTH without a proof. Ask
    only hosts of yours, or of who agrees: the peer's log will show it.
    """
    from ikeway.client.probe.look import Target, look
    from ikeway.runtime.entropy import SystemRandom

    err = console(stderr=True)
    target = Target(
        host,
        port,
        _identity(identity, "--id"),
        _identity(server_id, "--server-id") if server_id else None,
    )
    findings = asyncio.run(look(target, SystemRandom(), lambda line: err.print(line, style="dim")))
    if json:
        print(json_format.dumps(findings.to_json(), indent=2))
    else:
        _show(findings)


def _identity(text: str, option: str) -> "Identity":
    from ikeway.model.identity import Identity

    try:
        return Identity.parse(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from None


def _show(findings: "Findings") -> None:
    out = console()
    kind = ""
    for one in findings.found:
        if one.kind != kind:
            kind = one.kind
            out.print(f"\n{kind}", style="bold")
        judgement = one.judgement
        line = f"  {judgement.grade.name.lower():7} {one.name:24} {judgement.why}"
        out.print(line.rstrip(), style=_COLOURS[judgement.grade.name])
    out.print("\nauthentication", style="bold")
    _show_greeting(out, findings.greeting, findings.silence)
    if findings.extensions:
        out.print("\nextensions", style="bold")
        out.print("  " + ", ".join(findings.extensions))
    if findings.vendors:
        out.print("\nvendor IDs", style="bold")
        out.print("  " + ", ".join(plain(one) for one in findings.vendors))
    style = _MARK_COLOURS.get(findings.mark[0], "bold")
    out.print(f"\n{plain(findings.host)} port {findings.port}: grade {findings.mark}", style=style)
    for reason in findings.reasons:
        out.print(f"  {plain(reason)}")


def _show_greeting(out: "Console", greeting: "Greeting | None", silence: str) -> None:
    if greeting is None:
        out.print(f"  not seen: {plain(silence)}")
        return
    if greeting.refused:
        out.print(f"  wants a key or a certificate of ours at once ({greeting.refused})")
    if greeting.offers_eap:
        out.print("  asks for EAP: a password, a certificate or a SIM, without saying which yet")
    if greeting.identity:
        out.print(f"  says it is {plain(greeting.identity)}, proven by {greeting.method or 'EAP'}")
    shown = greeting.certificate
    if shown is not None:
        out.print(f"  certificate of {plain(shown.subject)}, from {plain(shown.issuer)}")
        names = ", ".join(plain(one) for one in shown.names)
        out.print(f"  {shown.key}, until {shown.not_after:%Y-%m-%d}, for {names or 'no name'}")
        if shown.weakness:
            out.print(f"  {plain(shown.weakness)}", style="bold red")
