# SPDX-License-Identifier: Apache-2.0
"""ikeway with a Linux kernel as its data plane, and ikeway with its own engine as the peer."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.daemon import PROGRAM, Daemon, toml
from support.guest import Guest, booted
from support.link import FIRST, SECOND, hosts, linked
from support.strongswan import wait_until
from support.traffic import ping
from support.two import Table, config, networks

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]

ROOT = Path(__file__).parents[2]
MODULES = ("xfrm_interface", "ccm", "cmac", "xcbc", "ipcomp", "ipcomp6", "deflate")
SUITES = ("planes", "carrying", "kernel_moves", "kernel_compression")
MOVED, AWAY = "10.77.0.77", "10.77.0.78"
NOWHERE = 8002
CONNECT = "import socket,sys; socket.create_connection((sys.argv[1], int(sys.argv[2])), 5)"
DISCARDED = "Error"
OFTEN = {"ike": "1h", "child": "10s", "jitter": 0.0}
PATIENCE = 90.0
"""The guest's processor is interpreted."""


@pytest.fixture(scope="module")
def kernel(lab: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guest]:
    """A guest whose kernel has XFRM interfaces."""
    if shutil.which("qemu-system-x86_64") is None:
        install = [str(lab / "labguest"), "install", "qemu"]
        if subprocess.run(install, check=False, capture_output=True).returncode != 0:
            pytest.skip("needs QEMU and Debian's kernel, which cannot be installed here")
    folder = tmp_path_factory.mktemp("k")
    with hosts("ours") as (namespace,), booted(lab, folder, namespace, "tcg") as guest:
        for module in MODULES:
            guest.run("modprobe", module)
        yield guest


def test_the_adapter_does_what_every_data_plane_does(kernel: Guest) -> None:
    """The suites of all adapters, and one of its own, where there is a kernel for this one."""
    run = f"cd {ROOT} && {sys.executable} -m pytest -q -p no:cacheprovider -p no:xdist"
    files = " ".join(f"tests/unit/dataplane/test_{suite}.py" for suite in SUITES)
    said = kernel.run("sh", "-c", f"{run} {files} -k 'xfrm or kernel' 2>&1 || true")
    assert " passed" in said, said
    assert "failed" not in said, said


@pytest.fixture(params=[False])
def ours(kernel: Guest, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Daemon]:
    """Our daemon with the engine; that of the guest, with the kernel, runs too.

    The parameter is whether both compress, from the start.
    """
    link = linked(kernel.namespace, kernel.namespace)
    secrets = tmp_path / "psk", kernel.folder / "psk"
    for secret in secrets:
        secret.write_text("0123456789abcdef0123")
        secret.chmod(0o600)
    both, start = {"ipcomp": request.param}, "now" if request.param else "demand"
    wanted: Table = {"role": "both", "peer": FIRST[4], "start": start} | both
    theirs = config("peer", FIRST[4], Path("/out/psk"), networks(link, "peer") | wanted)
    theirs["dataplane"] = {"backend": "xfrm"}
    nowhere = {"action": "discard", "peer_ts": [f"{link.ours.networks[4]}[tcp/{NOWHERE}]"]}
    theirs["policies"] = {"nowhere": nowhere}
    (kernel.folder / "ikeway.toml").write_text(toml(theirs))
    command = [PROGRAM, "serve", "-c", "/out/ikeway.toml", "--run-dir", "/run/ikeway"]
    log = ["--log-format", "json", "--log-level", "debug"]
    kernel.start("ikeway", *command, *log)
    table = networks(link, "ours") | {"role": "responder", "lifetimes": OFTEN} | both
    daemon = Daemon(tmp_path / "ours", kernel.namespace, config("ours", "any", secrets[0], table))
    daemon.begin()
    daemon.ready()
    try:
        yield daemon
    finally:
        daemon.stop()
        kernel.run("pkill", "-f", "ikeway serve")


def test_a_packet_starts_a_tunnel_that_is_rekeyed_and_moves(kernel: Guest, ours: Daemon) -> None:
    """Acquire, ESP in UDP, a rekey under traffic, a move by MOBIKE, and the end."""
    link = linked(kernel.namespace, kernel.namespace)
    here, there = link.ours.inner[4], link.peer.inner[4]
    wait_until(lambda: "dir out" in kernel.run("ip", "xfrm", "policy"), PATIENCE, "the trap")
    pinged = kernel.run("ping", "-n", "-q", "-c", "20", "-i", "1", "-I", there, here)
    assert "0 received" not in pinged
    wait_until(lambda: bool(ours.children()), PATIENCE, "the Child SA")
    assert ping(kernel.namespace, here, there, 5, 5.0) == 5
    for port, end in ((NOWHERE, DISCARDED), (NOWHERE + 1, "ConnectionRefusedError")):
        tried = f"python3 -c '{CONNECT}' {here} {port} 2>&1 || true"
        assert end in kernel.run("sh", "-c", tried), "RFC 4301 §4.4.1"
    first = {child.spi_in for child in ours.children()}
    wait_until(lambda: not first & {child.spi_in for child in ours.children()}, PATIENCE, "a rekey")
    assert ping(kernel.namespace, here, there, 5, 5.0) == 5
    move(kernel, ours, SECOND[4], MOVED)
    wait_until(lambda: ping(kernel.namespace, here, there, 1) == 1, PATIENCE, "both data planes")
    assert ping(kernel.namespace, here, there, 5, 5.0) == 5
    for child in ours.children():
        assert child.packets_in
    ours.disconnect()
    wait_until(lambda: "spi" not in kernel.run("ip", "xfrm", "state"), PATIENCE, "the end")
    assert "action block" in kernel.run("ip", "xfrm", "policy")
    assert "Traceback" not in (kernel.folder / "ikeway").read_text()


def move(kernel: Guest, ours: Daemon, old: str, new: str) -> None:
    """Give the guest another address, and wait until we know it."""
    where = "dev eth0; ip address add"
    kernel.run("sh", "-c", f"ip address del {old}/24 {where} {new}/24 dev eth0")
    wait_until(lambda: ours.established()[0].peer.address == new, PATIENCE, "the move")


@pytest.mark.conformance("CF-J16")
@pytest.mark.parametrize("ours", [True], indirect=True)
def test_the_kernel_compresses_and_takes_what_did_not_get_smaller(
    kernel: Guest, ours: Daemon
) -> None:
    """RFC 3173: both ways, after a rekey and after a move; small packets go as they are."""
    link = linked(kernel.namespace, kernel.namespace)
    here, there = link.ours.inner[4], link.peer.inner[4]
    wait_until(lambda: bool(ours.children()), PATIENCE, "the Child SA")
    squeezes(kernel, ours, here, there)
    first = {child.spi_in for child in ours.children()}
    wait_until(lambda: not first & {child.spi_in for child in ours.children()}, PATIENCE, "a rekey")
    squeezes(kernel, ours, here, there)
    both = "proto comp"
    wait_until(lambda: kernel.run("ip", "xfrm", "state").count(both) == 2, PATIENCE, "the old ones")
    now = MOVED if MOVED in kernel.run("ip", "address", "show", "eth0") else SECOND[4]
    move(kernel, ours, now, AWAY)
    squeezes(kernel, ours, here, there)
    assert "Traceback" not in (kernel.folder / "ikeway").read_text()


def squeezes(kernel: Guest, ours: Daemon, here: str, there: str) -> None:
    """Ping with what repeats and with what is short, and look at what became of it."""
    wait_until(lambda: ping(kernel.namespace, here, there, 1) == 1, PATIENCE, "both data planes")
    assert ping(kernel.namespace, here, there, 3, 5.0) == 3
    how = ("-n", "-q", "-c", "5", "-i", "0.2", "-w", "30", "-s", "1000", "-p", "41")
    said = kernel.namespace.run("ping", *how, "-I", here, there)
    assert "5 received" in said
    child = max(ours.children(), key=lambda one: one.packets_in)
    done = child.compression
    assert done is not None
    assert min(done.packets_in, done.packets_out) >= 1, done
    assert done.packed_bytes_in * 5 < done.plain_bytes_in
