# SPDX-License-Identifier: Apache-2.0
"""Real peers beside ikeway: each test gets namespaces and daemons of its own, gone when it ends."""

import shutil
import subprocess
import tomllib
from collections.abc import Generator, Iterator
from contextlib import AbstractContextManager, ExitStack
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest

from support.guest import Guest, GuestPair, GuestTunnel, booted
from support.inguest import InGuest, InGuestPair, Meeting
from support.link import Link, cable, hosts, sweep
from support.pair import INITIATOR, RESPONDER, Case, Pair, Tunnel

FOLDER = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what skips.toml lists, with the reason that it gives."""
    skips = tomllib.loads((FOLDER / "skips.toml").read_text())["skip"]
    for item in items:
        for skip in skips:
            if fnmatchcase(item.name, skip["test"]) and item.path.parent == FOLDER:
                item.add_marker(pytest.mark.skip(reason=skip["reason"]))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Add both ends' logs to the report of a failure."""
    report = yield
    if report.failed:
        for pair in item.stash.get(Pair.STASH, []):
            report.sections.append(("logs of both ends", pair.logs()))
    return report


@pytest.fixture(scope="session", autouse=True)
def _swept() -> None:
    sweep()


@pytest.fixture(params=[INITIATOR, RESPONDER])
def role(request: pytest.FixtureRequest) -> str:
    """Which role ikeway plays; a test that is about one role names it by `parametrize`."""
    found: str = request.param
    return found


@pytest.fixture
def tunnel(
    request: pytest.FixtureRequest,
    lab: Path,
    tmp_path_factory: pytest.TempPathFactory,
    role: str,
) -> Iterator[Tunnel]:
    """Makes a pair of running daemons for a case; `link` is a plain cable unless given."""
    with ExitStack() as stack:

        def make(case: Case, link: AbstractContextManager[Link] | None = None) -> Pair:
            ends = stack.enter_context(link or cable())
            pair = Pair(lab, tmp_path_factory.mktemp("t"), ends, role, case)
            stack.callback(pair.down)
            request.node.stash.setdefault(Pair.STASH, []).append(pair)
            pair.up()
            return pair

        yield make


@pytest.fixture(scope="module")
def guest(lab: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """One guest for all tests of a module: it takes seconds to boot."""
    if shutil.which("linux.uml") is None:
        done = subprocess.run([str(lab / "labguest"), "install"], check=False, capture_output=True)
        if done.returncode != 0:
            pytest.skip("needs Debian's user-mode-linux, which cannot be installed here")
    with hosts("ours") as (namespace,), booted(lab, tmp_path_factory.mktemp("g"), namespace) as it:
        yield it


@pytest.fixture
def guest_tunnel(
    request: pytest.FixtureRequest,
    guest: Guest,
    tmp_path_factory: pytest.TempPathFactory,
    role: str,
) -> Iterator[GuestTunnel]:
    """Makes a pair of running daemons for a case, strongSwan's in the guest."""
    made: list[GuestPair] = []

    def make(case: Case) -> GuestPair:
        pair = GuestPair(guest, tmp_path_factory.mktemp("t"), role, case)
        made.append(pair)
        request.node.stash[pair.STASH] = [pair]
        pair.up()
        return pair

    yield make
    for pair in made:
        pair.down()


@pytest.fixture
def meet(
    request: pytest.FixtureRequest,
    guest: Guest,
    tmp_path_factory: pytest.TempPathFactory,
    role: str,
) -> Iterator[Meeting]:
    """ikeway beside Libreswan or OpenIKED, with suites that both have unless the case says."""
    with ExitStack() as stack:

        def make(kind: type[InGuest], *, newer: bool = False, **case: Any) -> InGuestPair:
            if not kind.install(guest.lab, newer=newer):
                pytest.skip(f"needs {kind.KIND}, which cannot be installed here")
            known = {"ike": kind.IKE, "esp": kind.ESP} | case
            peer = kind(guest, newer=newer)
            pair = InGuestPair(peer, tmp_path_factory.mktemp("t"), role, Case(**known))
            stack.callback(pair.down)
            request.node.stash.setdefault(Pair.STASH, []).append(pair)
            pair.up()
            return pair

        yield make
