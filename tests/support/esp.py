# SPDX-License-Identifier: Apache-2.0
"""ESP a second time, with pyca: what the engine is held to (RFC 4303, 8221, 4543, 8750)."""

import hashlib
import hmac
import socket
import struct
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.decrepit.ciphers.algorithms import TripleDES
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.cmac import CMAC

from support.suites import CCM_ICV, CHACHA, GCM_ICV, GMAC, IMPLICIT, NULL, TRIPLE_DES, Suite

_HMACS = {
    2: (hashlib.sha1, 12),
    12: (hashlib.sha256, 16),
    13: (hashlib.sha384, 24),
    14: (hashlib.sha512, 32),
}


@dataclass(frozen=True)
class Peer:
    """The keys of one direction, and packets made and read with them."""

    spi: int
    suite: Suite
    encr_key: bytes
    integ_key: bytes
    esn: bool

    def seal(self, sequence: int, inner: bytes, next_header: int | None = None) -> bytes:
        """Return the packet with that number that carries `inner`."""
        if next_header is None:
            next_header = 4 if inner[0] >> 4 == 4 else 41
        size = self.suite.block_octets
        padding = bytes(range(1, 1 + -(len(inner) + 2) % size))
        return self.seal_plaintext(sequence, inner + padding + bytes((len(padding), next_header)))

    def seal_plaintext(self, sequence: int, plaintext: bytes) -> bytes:
        """Return the packet with that number and plaintext, trailer included."""
        header = struct.pack(">II", self.spi, sequence & 0xFFFFFFFF)
        if self.suite.integ:
            iv = hashlib.sha256(struct.pack(">Q", sequence)).digest()[: self.suite.iv_octets]
            packet = header + iv + self._chained(iv, plaintext, is_open=False)
            return packet + self._icv(sequence, packet)
        iv = struct.pack(">Q", sequence ^ (1 << 63)) if self.suite.iv_octets else b""
        return header + iv + self._protect(sequence, iv, plaintext)

    def open(self, sequence: int, packet: bytes) -> bytes:
        """Return the plaintext of a packet, trailer included."""
        start = 8 + self.suite.iv_octets
        iv, sealed = packet[8:start], packet[start:]
        if self.suite.integ:
            length = len(self._icv(sequence, b""))
            assert hmac.compare_digest(packet[-length:], self._icv(sequence, packet[:-length]))
            return self._chained(iv, sealed[:-length], is_open=True)
        cut = len(sealed) - self._icv_octets
        keyed = (
            sealed[:cut] if self.suite.encr == GMAC else self._stream(sequence, iv, sealed[:cut])
        )
        if self._protect(sequence, iv, keyed) != sealed:
            raise InvalidTag
        return keyed

    @property
    def _icv_octets(self) -> int:
        return (GCM_ICV | CCM_ICV).get(self.suite.encr, 16)

    def _protect(self, sequence: int, iv: bytes, plaintext: bytes) -> bytes:
        nonce, aad = self._nonce(sequence, iv), self._aad(sequence)
        if self.suite.encr == GMAC:
            tag = AESGCM(self.encr_key[:-4]).encrypt(nonce, b"", aad + iv + plaintext)
            return plaintext + tag
        sealed = self._aead().encrypt(nonce, plaintext, aad)
        return sealed[: len(plaintext) + self._icv_octets]

    def _stream(self, sequence: int, iv: bytes, octets: bytes) -> bytes:
        """Return octets with the key stream: it is the same to seal and to open."""
        sealed = self._aead().encrypt(self._nonce(sequence, iv), octets, b"")
        return sealed[: len(octets)]

    def _aead(self) -> AESGCM | AESCCM | ChaCha20Poly1305:
        encr = self.suite.encr
        if encr in CCM_ICV:
            return AESCCM(self.encr_key[:-3], CCM_ICV[encr])
        return (ChaCha20Poly1305 if encr in CHACHA else AESGCM)(self.encr_key[:-4])

    def _nonce(self, sequence: int, iv: bytes) -> bytes:
        salt = 3 if self.suite.encr in CCM_ICV else 4
        number = struct.pack(">Q", sequence)
        return self.encr_key[-salt:] + (number if self.suite.encr in IMPLICIT else iv)

    def _aad(self, sequence: int) -> bytes:
        number = struct.pack(">Q", sequence)
        return struct.pack(">I", self.spi) + (number if self.esn else number[4:])

    def _chained(self, iv: bytes, blocks: bytes, *, is_open: bool) -> bytes:
        if self.suite.encr == NULL:
            return blocks
        kind = TripleDES if self.suite.encr == TRIPLE_DES else algorithms.AES
        cipher = Cipher(kind(self.encr_key), modes.CBC(iv))
        return (cipher.decryptor() if is_open else cipher.encryptor()).update(blocks)

    def _icv(self, sequence: int, packet: bytes) -> bytes:
        octets = packet + (struct.pack(">I", sequence >> 32) if self.esn else b"")
        match self.suite.integ:
            case 5:
                return _xcbc(self.integ_key, octets)[:12]
            case 8:
                return _cmac(self.integ_key, octets)[:12]
            case integ:
                digest, length = _HMACS[integ]
                return hmac.digest(self.integ_key, octets, digest)[:length]


def _cmac(key: bytes, octets: bytes) -> bytes:
    mac = CMAC(algorithms.AES(key))
    mac.update(octets)
    return mac.finalize()


def _xcbc(key: bytes, octets: bytes) -> bytes:
    """RFC 3566 §4: CBC, the last block mixed with K2 if it is whole and with K3 if padded."""
    first, whole, padded = (_block(key, bytes([number]) * 16) for number in (1, 2, 3))
    cut = (max(len(octets), 1) - 1) // 16 * 16
    last, mask = octets[cut:], whole
    if len(last) < 16:
        last, mask = (last + b"\x80").ljust(16, b"\0"), padded
    chain = bytes(16)
    for block in [octets[at : at + 16] for at in range(0, cut, 16)]:
        chain = _block(first, _xor(chain, block))
    return _block(first, _xor(_xor(chain, last), mask))


def _block(key: bytes, block: bytes) -> bytes:
    return Cipher(algorithms.AES(key), modes.ECB()).encryptor().update(block)


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def ipv4_packet(payload: int, source: str = "10.1.0.1", destination: str = "10.2.0.1") -> bytes:
    """Return an IPv4 packet with so many octets of an unassigned protocol."""
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    header = struct.pack(">BBHHHBBH", 0x45, 0, 20 + payload, 0, 0, 64, 253, 0)
    return header + addresses + bytes(index % 256 for index in range(payload))


def ipv6_packet(payload: int) -> bytes:
    """Return an IPv6 packet with so many octets of an unassigned protocol."""
    header = struct.pack(">IHBB", 0x60000000, payload, 253, 64)
    addresses = socket.inet_pton(socket.AF_INET6, "fd01::1") + bytes(15) + b"\1"
    return header + addresses + bytes(index % 256 for index in range(payload))
