# SPDX-License-Identifier: Apache-2.0
"""`ikeway status` and `ikeway disconnect`."""

from typing import TYPE_CHECKING, Annotated, Final

import typer

from ikeway.cli.options import JsonOption, RunDirOption, console
from ikeway.control.rundir import DEFAULT
from ikeway.runtime.log import plain

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ikeway.control.status import (
        ChildStatus,
        IkeStatus,
        NatStatus,
        PartyStatus,
        RetryStatus,
        StreamStatus,
    )

EXAMPLE: Final = "Example: ikeway status --json | jq '.ike_sas[].peer.id'"
DISCONNECT_EXAMPLE: Final = "Example: ikeway disconnect office"


def status(*, run_dir: RunDirOption = DEFAULT, json: JsonOption = False) -> None:
    """Show the IKE SAs, their Child SAs, addresses, algorithms and counters."""
    from ikeway.control.client import ControlClient

    found = ControlClient(run_dir).status()
    if json:
        print(found.model_dump_json())
        return
    out = console()
    if not found.ike_sas:
        out.print("no IKE SAs")
    for drain in found.draining:
        out.print(f"{plain(drain.connection)}: drained to {plain(drain.to)}", style="bold")
    for policy in found.policies:
        words = f"{plain(policy.name)}: {policy.action}, {policy.dropped} packets dropped"
        out.print(words)
    for retry in found.retries:
        out.print(f"{plain(retry.connection)}: {_next_attempt(retry)}", style="bold")
        out.print(f"  {'reason':9} {plain(retry.reason)}")
    for sa in found.ike_sas:
        out.print(f"{plain(sa.connection or '(unknown)')}: {sa.state}", style="bold")
        for weak in sa.weak:
            out.print(f"  {'WEAK':9} {plain(weak)}", style="bold red")
        for word, text in _lines(sa):
            out.print(f"  {word:9} {plain(text)}")


def disconnect(
    target: Annotated[
        str, typer.Argument(metavar="NAME-OR-ID", help="A connection, or the id of an IKE SA.")
    ],
    run_dir: RunDirOption = DEFAULT,
) -> None:
    """Delete IKE SAs, by connection or by id, and tell the peer."""
    from ikeway.control.client import ControlClient

    for gone in ControlClient(run_dir).disconnect(target):
        print(f"disconnecting {gone}")


def _lines(sa: "IkeStatus") -> "Iterator[tuple[str, str]]":
    since = f", up for {_age(sa.established_at)}" if sa.established_at else ""
    yield "id", f"{sa.id} ({sa.role}{since})"
    yield "local", _party(sa.local)
    yield "peer", _party(sa.peer)
    if words := _nat(sa.nat):
        yield "NAT", words
    if sa.virtual_ips:
        yield "addresses", ", ".join(sa.virtual_ips)
    if sa.suite:
        yield "suite", sa.suite if sa.post_quantum else f"{sa.suite} (not post-quantum)"
    for child in sa.child_sas:
        yield from _child(child)


def _child(child: "ChildStatus") -> "Iterator[tuple[str, str]]":
    yield "Child SA", f"{', '.join(child.local_ts)} === {', '.join(child.peer_ts)}"
    yield "", f"{child.mode}, {child.suite}, SPI {child.spi_in} in, {child.spi_out} out"
    yield from (("WEAK", weak) for weak in child.weak)
    yield "", f"in  {_amount(child.bytes_in)}, {child.packets_in} packets"
    yield "", f"out {_amount(child.bytes_out)}, {child.packets_out} packets"
    if child.path_mtu:
        yield "", f"the path carries packets of {child.path_mtu} octets"
    if child.stream:
        yield "", ", ".join(_stream(child.stream))
    if done := child.compression:
        yield "", f"IPComp in  {_share(done.packets_in, done.plain_bytes_in, done.packed_bytes_in)}"
        out = done.packets_out, done.plain_bytes_out, done.packed_bytes_out
        yield "", f"IPComp out {_share(*out)}"


def _stream(stream: "StreamStatus") -> "Iterator[str]":
    """Yield what is known of a stream of ours."""
    yield f"stream of {stream.per_second:.4g} packets a second"
    if stream.rtt is not None:
        yield f"round trip {1000 * stream.rtt:.3g} ms"
    if stream.loss_event_rate is not None:
        yield f"loss event rate {stream.loss_event_rate:.2%}"
    if stream.breaker:
        yield f"breaker {stream.breaker}"


def _share(packets: int, plain: int, packed: int) -> str:
    """Return what compression made of the packets that it was used on."""
    if not packets:
        return "nothing compressed"
    share = round(100 * packed / plain)
    return f"{packets} packets compressed, {_amount(plain)} to {_amount(packed)} ({share} %)"


def _nat(nat: "NatStatus") -> str:
    """Return what NAT detection found; who forces encapsulation looks like one behind a NAT."""
    found = [side for side, is_there in (("us", nat.local), ("the peer", nat.peer)) if is_there]
    forced = ["UDP encapsulation forced"] if nat.forced else []
    return ", ".join(([f"detected in front of {' and '.join(found)}"] if found else []) + forced)


def _party(party: "PartyStatus") -> str:
    host = f"[{party.address}]" if ":" in party.address else party.address
    name = f"{party.id} at " if party.id else ""
    return f"{name}{host}:{party.port}"


def _next_attempt(retry: "RetryStatus") -> str:
    from time import time

    wait = max(0, round(retry.next_attempt_at - time()))
    said = f"down, next attempt in {wait} s"
    if not retry.failures:
        return said
    times = "once" if retry.failures == 1 else f"{retry.failures} times"
    return f"{said}; failed {times} in a row"


def _age(since: float) -> str:
    from time import time

    seconds = max(0, int(time() - since))
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _amount(count: int) -> str:
    size = float(count)
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"
