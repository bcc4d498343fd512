# SPDX-License-Identifier: Apache-2.0
"""Initiators that do no more than a responder demands, so that the responder is what is measured.

They share one Diffie-Hellman key and are sure of the answers' form; they check that each answer
opens and grants a Child SA. One handshake costs them a fraction of what any responder spends.
"""

import hashlib
import hmac
import os
import selectors
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from time import monotonic
from typing import Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ike_load.papers import PSK, SERVER, Papers, inner_address, name_of

SA, KE, IDI, IDR, CERT, AUTH, NONCE, NOTIFY, TSI, TSR, SK = (
    33,
    34,
    35,
    36,
    37,
    39,
    40,
    41,
    44,
    45,
    46,
)
IKE_SA_INIT, IKE_AUTH = 34, 35
SOCKETS: Final = 32
"""Several, because a responder of several processes may spread strangers by their source."""
ANSWERS: Final = 64
WINDOW: Final = 32
"""How many handshakes are on their way at once."""
PATIENCE: Final = 1.0

_HEADER: Final = struct.Struct("!8s8sBBBBII")
_GENERIC: Final = struct.Struct("!BBH")
_PAD: Final = b"Key Pad for IKEv2"
_ECDSA_SHA256: Final = bytes.fromhex("0c300a06082a8648ce3d040302")  # RFC 7427 A.3.2
_IKE_SUITE: Final = bytes.fromhex(
    "00000024 01010003 0300000c 01000014 800e0100 03000008 02000005 00000008 0400001f"
)
_ESP_SUITE: Final = (
    bytes.fromhex("00000020 01030402")
    + bytes(4)
    + bytes.fromhex("0300000c 01000014 800e0100 00000008 05000000")
)
_PUBLIC_AT: Final = 28 + 4 + len(_IKE_SUITE) + 8


class RefusedError(Exception):
    """A responder did not do what it was asked."""


@dataclass(slots=True)
class Half:
    """A handshake on its way: what was sent last, and the keys once there are some."""

    number: int
    sock: socket.socket
    request: bytes
    nonce: bytes
    sent_at: float
    first: bytes = b""
    key_r: bytes = b""


class Load:
    """Handshakes against one responder. Each has a number, from which it has its name."""

    def __init__(self, address: str, papers: Papers | None) -> None:
        self._to = (address, 500)
        self._papers = papers
        self._private = X25519PrivateKey.generate()
        self._public = self._private.public_key().public_bytes_raw()
        self._padded = hmac.digest(PSK, _PAD, "sha256")
        self._selector = selectors.DefaultSelector()
        self._sockets = [self._socket(f"127.0.1.{number + 1}") for number in range(SOCKETS)]
        self._open: dict[bytes, Half] = {}
        self._certificates: dict[int, bytes] = {}

    def prepare(self, numbers: range) -> None:
        """Issue what certificates these handshakes need, before anything is measured."""
        if self._papers is not None:
            self._certificates = {number: self._papers.client(number) for number in numbers}

    def run(self, numbers: range) -> float:
        """Do these handshakes and return the seconds that they took.

        Raises:
            RefusedError: the responder refused one, or does not answer any more.
        """
        waiting = iter(numbers)
        begin = self._heard = monotonic()
        for _ in range(WINDOW):
            self._begin(waiting)
        while self._open:
            for key, _ in self._selector.select(PATIENCE):
                self._take(key.fileobj, waiting)  # type: ignore[arg-type]
            if monotonic() - self._heard > PATIENCE:
                self._repeat()
        return monotonic() - begin

    def close(self) -> None:
        """Close the sockets."""
        self._selector.close()
        for sock in self._sockets:
            sock.close()

    def _socket(self, source: str) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((source, 0))
        sock.connect(self._to)
        sock.setblocking(False)
        self._selector.register(sock, selectors.EVENT_READ)
        return sock

    def _begin(self, waiting: Iterator[int]) -> None:
        number = next(waiting, None)
        if number is None:
            return
        sock = self._sockets[number % SOCKETS]
        spi, nonce = os.urandom(8), os.urandom(32)
        octets = self._first(spi, nonce, sock)
        self._open[spi] = Half(number, sock, octets, nonce, monotonic())
        sock.send(octets)

    def _first(self, spi: bytes, nonce: bytes, sock: socket.socket) -> bytes:
        ends = [
            hashlib.sha1(  # noqa: S324 - RFC 7296 §2.23
                spi + bytes(8) + socket.inet_aton(host) + port.to_bytes(2)
            ).digest()
            for host, port in (sock.getsockname(), sock.getpeername())
        ]
        chain = _chain(
            (SA, _IKE_SUITE),
            (KE, b"\0\x1f\0\0" + self._public),
            (NONCE, nonce),
            (NOTIFY, b"\0\0\x40\x04" + ends[0]),
            (NOTIFY, b"\0\0\x40\x05" + ends[1]),
            (NOTIFY, b"\0\0\x40\x2f\0\2\0\3\0\4"),
        )
        head = (spi, bytes(8), SA, 0x20, IKE_SA_INIT, 0x08, 0, 28 + len(chain))
        return _HEADER.pack(*head) + chain

    def _take(self, sock: socket.socket, waiting: Iterator[int]) -> None:
        for _ in range(ANSWERS):
            try:
                octets = sock.recv(65535)
            except BlockingIOError:
                return
            self._heard = monotonic()
            half = self._open.get(octets[:8])
            if half is None:
                continue
            if octets[18] == IKE_SA_INIT and not half.key_r:
                self._prove(half, octets)
                sock.send(half.request)
            elif octets[18] == IKE_AUTH:
                _check(half, octets)
                del self._open[octets[:8]]
                self._begin(waiting)

    def _prove(self, half: Half, answer: bytes) -> None:
        found = _payloads(answer[16], answer[28:])
        if KE not in found:
            raise RefusedError(f"IKE_SA_INIT was answered with {answer.hex()}")
        shared = self._private.exchange(X25519PublicKey.from_public_bytes(found[KE][4:]))
        nonces = half.nonce + found[NONCE]
        seed = hmac.digest(nonces, shared, "sha256")
        keys = _prf_plus(seed, nonces + answer[:16], 168)
        key_i, half.key_r, sk_pi = keys[32:68], keys[68:104], keys[104:136]
        half.first = half.request
        inner = self._inner(half, found[NONCE], sk_pi)
        size = 28 + 4 + 8 + len(inner) + 1 + 16
        head = _HEADER.pack(answer[:8], answer[8:16], SK, 0x20, IKE_AUTH, 0x08, 1, size)
        head += _GENERIC.pack(IDI, 0, size - 28)
        iv = bytes(8)
        sealed = AESGCM(key_i[:32]).encrypt(key_i[32:] + iv, inner + b"\0", head)
        half.request = head + iv + sealed

    def _inner(self, half: Half, nonce_r: bytes, sk_pi: bytes) -> bytes:
        id_i = b"\3\0\0\0" + name_of(half.number).encode()
        signed = half.first + nonce_r + hmac.digest(sk_pi, id_i, "sha256")
        inside = inner_address(half.number)
        selector = b"\1\0\0\0\7\0\0\x10\0\0\xff\xff" + inside * 2
        all_of = b"\1\0\0\0\7\0\0\x10\0\0\xff\xff" + bytes(4) + b"\xff" * 4
        return _chain(
            (IDI, id_i),
            *self._proof(half, signed),
            (IDR, b"\2\0\0\0" + SERVER.encode()),
            (SA, _ESP_SUITE[:8] + struct.pack("!I", 0x1000 + half.number) + _ESP_SUITE[12:]),
            (TSI, selector),
            (TSR, all_of),
        )

    def _proof(self, half: Half, signed: bytes) -> tuple[tuple[int, bytes], ...]:
        if self._papers is None:
            auth = b"\2\0\0\0" + hmac.digest(self._padded, signed, "sha256")
            return ((AUTH, auth),)
        signature = self._papers.client_key.sign(signed, ec.ECDSA(hashes.SHA256()))
        certificate = b"\4" + self._certificates.pop(half.number)
        return (CERT, certificate), (AUTH, b"\x0e\0\0\0" + _ECDSA_SHA256 + signature)

    def _repeat(self) -> None:
        now = monotonic()
        for half in self._open.values():
            if now - half.sent_at > 30:
                raise RefusedError(f"handshake {half.number} was not answered for 30 s")
            half.sock.send(half.request)
        self._heard = now


def _check(half: Half, octets: bytes) -> None:
    """Open the answer: it must grant a Child SA, not only say that we are who we are."""
    opened = AESGCM(half.key_r[:32]).decrypt(
        half.key_r[32:] + octets[32:40], octets[40:], octets[:32]
    )
    found = _payloads(octets[28], opened[: -1 - opened[-1]])
    if SA not in found or AUTH not in found:
        raise RefusedError(f"IKE_AUTH was answered with payloads {sorted(found)}: {opened.hex()}")


def _chain(*payloads: tuple[int, bytes]) -> bytes:
    kinds = [kind for kind, _ in payloads[1:]] + [0]
    return b"".join(
        _GENERIC.pack(following, 0, 4 + len(body)) + body
        for following, (_, body) in zip(kinds, payloads, strict=True)
    )


def _payloads(first: int, chain: bytes) -> dict[int, bytes]:
    found, at = {}, 0
    while first:
        following, _, size = _GENERIC.unpack_from(chain, at)
        found[first] = chain[at + 4 : at + size]
        first, at = following, at + size
    return found


def _prf_plus(key: bytes, seed: bytes, size: int) -> bytes:
    block, stream = b"", b""
    for number in range(1, -(-size // 32) + 1):
        block = hmac.digest(key, block + seed + bytes([number]), "sha256")
        stream += block
    return stream
