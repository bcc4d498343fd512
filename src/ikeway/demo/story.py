# SPDX-License-Identifier: Apache-2.0
"""The demo from beginning to end: each step is real, and shown when it has happened."""

import hashlib
import json
import os
import signal
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Final

from rich.console import Console

from ikeway.control.status import IkeStatus
from ikeway.demo import namespaces, traffic
from ikeway.demo.cable import SERVER, World, leftovers, world
from ikeway.demo.handshake import Done, shake_hands
from ikeway.demo.papers import CONNECTION, Papers, issue_papers
from ikeway.demo.programs import Program
from ikeway.demo.proof import HEAD_OCTETS, MARKER, Watcher, watch
from ikeway.demo.screen import Screen
from ikeway.model.errors import HostError, IkewayError
from ikeway.model.time import Seconds

_PINGS: Final = 10
_FILE_OCTETS: Final = 16 << 20
_FOLDER_LENGTH: Final = 50
_RATE_TIME: Final[Seconds] = 2.0
_FAILED, _INTERRUPTED = 1, 130

Facts = dict[str, object]


def run(*, as_json: bool, console: Console) -> int:
    """Run the demo and return its exit status; with `as_json` print one object and nothing else."""
    facts: Facts = {"ok": False}
    screen = Screen(Console(quiet=True) if as_json else console)
    status = _FAILED
    started = time.perf_counter()
    try:
        with _interruptible():
            _tell(screen, facts)
        facts |= {"ok": True, "took_s": round(time.perf_counter() - started, 2)}
        status = 0
    except IkewayError as error:
        facts["error"] = str(error)
    except KeyboardInterrupt:
        facts["error"] = "interrupted"
        screen.note("interrupted; everything is taken down")
        status = _INTERRUPTED
    if as_json:
        console.out(json.dumps(facts), highlight=False)
    return status


def _tell(screen: Screen, facts: Facts) -> None:
    screen.open()
    with ExitStack() as stack:
        programs: list[Program] = []
        try:
            namespaces.become_able()
            folder = stack.enter_context(_short_folder())
            stack.enter_context(_no_orphans())  # before the folder goes that they write to
            hosts, watcher = _prepare(screen, stack)
            papers = _issue(screen, Path(folder))
            stack.callback(lambda: [program.stop() for program in reversed(programs)])
            _start(screen, programs, hosts, papers)
            _use(screen, facts, programs, hosts, watcher)
        except IkewayError as error:
            screen.fail(str(error), {program.name: program.last_words() for program in programs})
            raise


def _prepare(screen: Screen, stack: ExitStack) -> tuple[World, Watcher]:
    with screen.step("Two hosts", "making network namespaces") as step:
        hosts = stack.enter_context(world())
        step.detail = "namespaces of their own, joined by a cable"
    with screen.step("The wire", "watching the cable") as step:
        watcher = stack.enter_context(watch(hosts))
        watcher.check_sight()
        step.detail = "every frame is captured; a packet in clear was seen"
    return hosts, watcher


def _issue(screen: Screen, folder: Path) -> Papers:
    with screen.step("Certificates", "making an authority") as step:
        step.detail = "from an authority of the demo's own, ECDSA P-256"
        return issue_papers(folder)


def _start(screen: Screen, programs: list[Program], hosts: World, papers: Papers) -> None:
    with screen.step("Daemons", "ikeway serve, on both hosts") as step:
        programs.append(Program(hosts.gateway, papers.gateway, papers.gateway_config))
        programs.append(Program(hosts.laptop, papers.laptop, papers.laptop_config))
        for program in programs:
            program.ready()
        step.detail = "ikeway serve on both hosts, each with its engine"


def _use(
    screen: Screen, facts: Facts, programs: list[Program], hosts: World, watcher: Watcher
) -> None:
    sa = _connect(screen, facts, programs[1])
    watcher.look_for(sa.virtual_ips)
    _ping(screen, facts, hosts, watcher)
    _download(screen, facts, hosts, watcher)
    watcher.expect_all_seen()
    whole = watcher.findings.esp_packets
    watcher.skim()
    _throughput(screen, facts, hosts)
    _prove(screen, facts, watcher, whole)
    _leave(screen, programs, hosts)
    screen.close(
        f"{facts['esp_packets']:,} ESP packets on the wire, {facts['plaintext_packets']} in clear",
        "docs/guide/quickstart.md joins two real hosts with the same program",
    )


def _connect(screen: Screen, facts: Facts, laptop: Program) -> IkeStatus:
    screen.ladder()
    with screen.step("Handshake", "IKEv2") as step:
        for event in shake_hands(laptop.client):
            if isinstance(event, Done):
                facts["handshake_ms"] = round(event.took * 1000, 1)
                break
            screen.message(event)
        sa = _status(laptop)
        step.detail = f"IKEv2 with certificates in {facts['handshake_ms']} ms"
    child = sa.child_sas[0]
    facts |= {"suite": sa.suite, "esp_suite": child.suite, "virtual_ips": sa.virtual_ips}
    screen.note(f"IKE: {sa.suite}")
    screen.note(f"ESP: {child.suite}, SPIs {child.spi_in} and {child.spi_out}")
    screen.note(f"the laptop got {' and '.join(sa.virtual_ips)};")
    screen.note("all that it sends goes into the tunnel")
    return sa


def _status(program: Program) -> IkeStatus:
    for sa in program.client.status().ike_sas:
        if sa.connection == CONNECTION and sa.child_sas and len(sa.virtual_ips) == len(SERVER):
            return sa
    raise HostError("the tunnel is up, but `ikeway status` does not show it whole")


def _ping(screen: Screen, facts: Facts, hosts: World, watcher: Watcher) -> None:
    with screen.step("Ping", "through the tunnel") as step:
        work = [partial(traffic.ping, server, _PINGS, MARKER) for server in SERVER]
        times = [min(hosts.laptop.inside(each)) for each in work]
        watcher.examine()
        facts["ping_ms"], facts["ping6_ms"] = (round(seconds * 1000, 3) for seconds in times)
        step.detail = f"{SERVER[0]} {facts['ping_ms']} ms, {SERVER[1]} {facts['ping6_ms']} ms"


def _download(screen: Screen, facts: Facts, hosts: World, watcher: Watcher) -> None:
    with screen.step("HTTP", "downloading a file") as step:
        block = MARKER + os.urandom(4096 - len(MARKER))
        file = block * (_FILE_OCTETS // len(block))
        with traffic.web_server(hosts.gateway, SERVER[0], file):
            got = hosts.laptop.inside(lambda: traffic.download(SERVER[0]))
        watcher.examine()
        facts["http_octets"], facts["http_s"] = got.octets, round(got.took, 3)
        if got.digest != hashlib.sha256(file).hexdigest():
            raise HostError("the file that came is not the file that was sent")
        step.detail = (
            f"{got.octets >> 20} MiB in {got.took:.2f} s; SHA-256 {got.digest[:8]}… is right"
        )


def _throughput(screen: Screen, facts: Facts, hosts: World) -> None:
    with screen.step("TCP", "as fast as it goes") as step:
        rate = traffic.throughput(hosts.gateway, hosts.laptop, SERVER[0], _RATE_TIME)
        facts["tcp_gbps"] = round(rate * 8 / 1e9, 2)
        step.detail = f"{facts['tcp_gbps']} Gbit/s in one connection"


def _prove(screen: Screen, facts: Facts, watcher: Watcher, whole: int) -> None:
    with screen.step("The proof", "searching the wire") as step:
        things = watcher.check_sight()
        found = watcher.findings
        facts |= {
            "esp_packets": found.esp_packets,
            "other_packets": found.other_packets,
            "searched_packets": found.searched,
            "plaintext_packets": found.plaintext,
        }
        if found.plaintext or found.other_missed or whole < _PINGS:
            raise HostError(
                f"{found.plaintext} packets in clear, {found.other_missed} not searched"
            )
        step.detail = f"{found.plaintext} of {found.searched:,} frames on the wire are in clear"
    screen.note(f"{found.other_packets} of them are not ESP: IKE, ARP and our tests in clear")
    screen.note(f"searched whole; of ESP in the TCP run the first {HEAD_OCTETS} octets")
    screen.note(f"for {things} things: a marker in all payloads, HTTP, inner addresses")
    screen.note("each was found when sent in clear on purpose, before and after")


def _leave(screen: Screen, programs: list[Program], hosts: World) -> None:
    with screen.step("Good-bye", "taking it all down") as step:
        codes = [program.stop() for program in reversed(programs)]
        left = [place.inside(leftovers) for place in (hosts.laptop, hosts.gateway)]
        if any(codes) or any(left):
            raise HostError(f"not taken down cleanly: exit statuses {codes}, left over: {left}")
        step.detail = "all ended; no interface, route or rule is left"


def _short_folder() -> "tempfile.TemporaryDirectory[str]":
    """Return a folder for the run directories, whose sockets cannot have long paths."""
    usual = tempfile.gettempdir()
    chosen = usual if len(usual) <= _FOLDER_LENGTH else "/tmp"  # noqa: S108 - a fresh one in it
    return tempfile.TemporaryDirectory(prefix="ikeway-demo-", dir=chosen)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end us as Ctrl-C does, so that everything is taken down."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {
        number: signal.signal(number, interrupt) for number in (signal.SIGTERM, signal.SIGHUP)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _no_orphans() -> Iterator[None]:
    """End every process that was started here, also one whose parent ended before it."""
    namespaces.adopt_orphans()
    before = namespaces.children()
    try:
        yield
    finally:
        while started := namespaces.children() - before:
            for pid in started:  # whose own children are ours from then on
                with suppress(ProcessLookupError, ChildProcessError):
                    os.kill(pid, signal.SIGKILL)
                    os.waitpid(pid, 0)
