# SPDX-License-Identifier: Apache-2.0
"""Types of the Rust extension."""

from os import PathLike
from typing import final

__all__ = ["Door", "Engine", "EspSa", "Hmac", "RefusedError", "des_encrypt", "md4", "x25519"]

class RefusedError(Exception):
    """A packet went no further; the argument is the reason's name."""

@final
class Door:
    """A socket of IKE that is read with few calls."""

    def __new__(cls, descriptor: int, is_marked: bool) -> Door: ...
    def take(
        self, challenge: tuple[list[tuple[int, bytes]], bytes] | None
    ) -> tuple[list[tuple[bytes, bytes | None, bytes, int]], int, bool]: ...

@final
class Engine:
    """The engine of this process. SIGTERM and SIGINT end `run` from now on."""

    def __new__(cls, socket: str | PathLike[str]) -> Engine: ...
    def run(self, linger: float) -> None: ...

@final
class EspSa:
    """An SA with the same keys both ways, that carries any inner packet."""

    def __new__(
        cls,
        spi: int,
        *,
        encr: int,
        key_bits: int,
        integ: int,
        encr_key: bytes,
        integ_key: bytes,
        esn: bool = False,
        replay_window: int = 64,
        after: int = 0,
        iv_seed: bytes | None = None,
    ) -> EspSa: ...
    def seal(self, inner: bytes) -> bytes: ...
    def open(self, packet: bytes) -> bytes: ...

@final
class Hmac:
    """HMAC by a hash whose digests have `digest_octets`, with a key of any length."""

    def __new__(cls, digest_octets: int, key: bytes) -> Hmac: ...
    def compute(self, *parts: bytes) -> bytes: ...

def x25519(private: bytes, peer: bytes) -> tuple[bytes, bytes]: ...
def md4(octets: bytes) -> bytes: ...
def des_encrypt(key: bytes, block: bytes) -> bytes: ...
