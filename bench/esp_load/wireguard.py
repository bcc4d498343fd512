# SPDX-License-Identifier: Apache-2.0
"""WireGuard in user space: any program that speaks its cross-platform configuration protocol."""

import secrets
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from esp_load.tunnels import (
    FAR,
    NEAR,
    Maker,
    Tunnel,
    UnavailableError,
    address_ends,
    cable,
    running,
)
from support.netns import Namespace
from support.tunnel import OUTER

PORT: Final = 51820
MTU: Final = 1420
START: Final = 5.0
SOCKETS: Final = Path("/var/run/wireguard")


@dataclass(frozen=True)
class _End:
    namespace: Namespace
    interface: str
    key: X25519PrivateKey
    outer: str
    inner: str


def wireguard(find: Callable[[], str], *options: str) -> Maker:
    """Return what makes a tunnel of two processes of a program; `options` come before the name."""

    @contextmanager
    def make(_folder: Path) -> Iterator[Tunnel]:
        program, tag = find(), secrets.token_hex(3)
        with cable() as (near, far):
            ends = (
                _End(near, f"wga{tag}", X25519PrivateKey.generate(), OUTER[0][0], NEAR),
                _End(far, f"wgb{tag}", X25519PrivateKey.generate(), OUTER[1][0], FAR),
            )
            with (
                running(near, program, *options, ends[0].interface) as one,
                running(far, program, *options, ends[1].interface) as two,
            ):
                for end, other in (ends, ends[::-1]):
                    _configure(end, other)
                address_ends(near, far, (ends[0].interface, ends[1].interface), MTU)
                yield Tunnel(near, far, FAR, ends[0].interface, (one, two))

    return make


def _configure(end: _End, other: _End) -> None:
    answer = _ask(
        end.interface,
        "set=1",
        f"private_key={end.key.private_bytes_raw().hex()}",
        f"listen_port={PORT}",
        f"public_key={other.key.public_key().public_bytes_raw().hex()}",
        f"endpoint={other.outer}:{PORT}",
        f"allowed_ip={other.inner}/32",
    )
    if "errno=0" not in answer:
        raise UnavailableError(f"{end.interface} refused its configuration: {answer!r}")


def _ask(interface: str, *lines: str) -> str:
    path = SOCKETS / f"{interface}.sock"
    until = time.monotonic() + START
    while True:
        with closing(socket.socket(socket.AF_UNIX)) as connection:
            try:
                connection.connect(str(path))
            except OSError as error:
                if time.monotonic() > until:
                    raise UnavailableError(f"{path}: {error}") from error
                time.sleep(0.05)
                continue
            connection.settimeout(START)
            connection.sendall("\n".join((*lines, "", "")).encode())
            return connection.recv(4096).decode()
