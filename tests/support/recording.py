# SPDX-License-Identifier: Apache-2.0
"""Records what two daemons of ours send each other, with their key logs, as tests of `trace` want.

`python tests/support/recording.py FOLDER` makes the captures of tests/vectors/captures/own-* again.
"""

import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Thread
from typing import Final

from ikeway.control.client import ControlClient
from ikeway.demo.papers import CONNECTION, issue_papers
from ikeway.model.errors import IkewayError
from support.netns import Namespace, connect, namespaces

IKEWAY: Final = str(Path(sys.executable).with_name("ikeway"))
LAPTOP, GATEWAY = "192.0.2.2", "192.0.2.1"
SERVERS: Final = ("10.1.0.1", "fd01::1")
PINGS: Final = 3
SUITES: Final = {
    "own-gcm": ("aes256gcm16-prfsha384-x25519", "aes256gcm16-esn"),
    "own-cbc": ("aes256-sha384-prfsha512-ecp256", "aes128-sha256"),
    "own-chacha": ("chacha20poly1305-prfsha256-x25519", "chacha20poly1305"),
}
"""IKE and ESP of each stored capture."""

_ETH_P_ALL: Final = 3
_ETHERNET: Final = 1
_READY: Final = 15.0


@dataclass(frozen=True)
class Recording:
    """A capture, the key log of the gateway and that of the laptop."""

    pcap: Path
    gateway_keys: Path
    laptop_keys: Path


@dataclass
class Tap:
    """Takes every frame of an interface, until it is closed."""

    socket: socket.socket
    frames: list[tuple[float, bytes]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.socket.settimeout(0.1)
        self.is_open = True
        self._thread = Thread(target=self._take)
        self._thread.start()

    def close(self, path: Path) -> None:
        """Stop, and write what came as a pcap file."""
        time.sleep(0.2)
        self.is_open = False
        self._thread.join()
        self.socket.close()
        write(path, self.frames)

    def _take(self) -> None:
        while self.is_open:
            with suppress(TimeoutError):
                frame = self.socket.recv(1 << 16)
                self.frames.append((time.time(), frame))


def write(path: Path, frames: list[tuple[float, bytes]], link: int = _ETHERNET) -> None:
    """Write a pcap file."""
    octets = [struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 1 << 18, link)]
    for at, frame in frames:
        fraction = int(at % 1 * 1_000_000)
        octets += [struct.pack("<IIII", int(at), fraction, len(frame), len(frame)), frame]
    path.write_bytes(b"".join(octets))


def record(folder: Path, ike: str, esp: str) -> Recording:
    """Connect, ping over IPv4 and IPv6, disconnect; all of it is recorded at the laptop."""
    papers = issue_papers(folder)
    for config in (papers.gateway_config, papers.laptop_config):
        config.write_text(config.read_text() + f'ike = ["{ike}"]\nesp = ["{esp}"]\n')
    made = Recording(folder / "tunnel.pcap", folder / "gateway-keys", folder / "laptop-keys")
    with namespaces(2) as (laptop, gateway):
        _cable(laptop, gateway)
        tap = Tap(laptop.inside(lambda: _listen("outer0")))
        try:
            with _gateway(gateway, papers.gateway_config, made.gateway_keys):
                _use(laptop, papers.laptop_config, made.laptop_keys)
        finally:
            tap.close(made.pcap)
    return made


def _cable(laptop: Namespace, gateway: Namespace) -> None:
    connect(laptop, gateway)
    laptop.add_address("outer0", f"{LAPTOP}/24")
    gateway.add_address("outer0", f"{GATEWAY}/24")
    gateway.add_address("lo", f"{SERVERS[0]}/32")
    gateway.add_address("lo", f"{SERVERS[1]}/128")


def _listen(interface: str) -> socket.socket:
    tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    tap.bind((interface, _ETH_P_ALL))
    return tap


@contextmanager
def _gateway(namespace: Namespace, config: Path, keys: Path) -> Iterator[None]:
    run_dir = config.parent / "run"
    words = [IKEWAY, "serve", "-c", str(config), "--run-dir", str(run_dir), "--keylog", str(keys)]
    with (config.parent / "log").open("w") as log:
        process = namespace.start(*words, stderr=log)
    try:
        _await(run_dir)
        yield
    finally:
        process.terminate()
        process.wait(_READY)


def _await(run_dir: Path) -> None:
    until = time.monotonic() + _READY
    while time.monotonic() < until:
        with suppress(IkewayError):
            ControlClient(run_dir).ping()
            return
        time.sleep(0.05)
    raise AssertionError("the gateway is not ready")


def _use(laptop: Namespace, config: Path, keys: Path) -> None:
    where = ["--run-dir", str(config.parent / "run")]
    laptop.run(IKEWAY, "up", str(config), "--connection", CONNECTION, "--keylog", str(keys), *where)
    try:
        for address in SERVERS:
            laptop.run("ping", "-c", str(PINGS), "-i", "0.05", "-W", "2", address)
    finally:
        with suppress(subprocess.SubprocessError):
            laptop.run(IKEWAY, "down", *where)


def main(folder: Path) -> None:
    """Make the stored captures again."""
    for name, suites in SUITES.items():
        with tempfile.TemporaryDirectory() as scratch:
            made = record(Path(scratch), *suites)
            shutil.copy(made.pcap, folder / f"{name}.pcap")
            shutil.rmtree(folder / f"{name}.keys", ignore_errors=True)
            shutil.copytree(made.gateway_keys, folder / f"{name}.keys")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
