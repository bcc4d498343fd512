# SPDX-License-Identifier: Apache-2.0
"""ESP a second time, with pyca: what the engine is held to (RFC 4303, 4106, 7634, 3602, 4868)."""

import hashlib
import hmac
import socket
import struct
from dataclasses import dataclass

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305

from support.suites import NULL, Suite

AES_CBC = 12
_MACS = {12: (hashlib.sha256, 16), 13: (hashlib.sha384, 24), 14: (hashlib.sha512, 32)}


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
        size = 16 if self.suite.encr == AES_CBC else 4
        padding = bytes(range(1, 1 + -(len(inner) + 2) % size))
        return self.seal_plaintext(sequence, inner + padding + bytes((len(padding), next_header)))

    def seal_plaintext(self, sequence: int, plaintext: bytes) -> bytes:
        """Return the packet with that number and plaintext, trailer included."""
        header = struct.pack(">II", self.spi, sequence & 0xFFFFFFFF)
        if self.suite.encr == NULL:
            return header + plaintext + self._icv(sequence, header + plaintext)
        if self.suite.integ:
            iv = hashlib.sha256(struct.pack(">Q", sequence)).digest()[:16]
            encryptor = Cipher(algorithms.AES(self.encr_key), modes.CBC(iv)).encryptor()
            packet = header + iv + encryptor.update(plaintext)
            return packet + self._icv(sequence, packet)
        iv = struct.pack(">Q", sequence ^ (1 << 63))
        sealed = self._aead().encrypt(self.encr_key[-4:] + iv, plaintext, self._aad(sequence))
        return header + iv + sealed

    def open(self, sequence: int, packet: bytes) -> bytes:
        """Return the plaintext of a packet, trailer included."""
        if self.suite.integ:
            length = _MACS[self.suite.integ][1]
            assert hmac.compare_digest(packet[-length:], self._icv(sequence, packet[:-length]))
            if self.suite.encr == NULL:
                return packet[8:-length]
            decryptor = Cipher(algorithms.AES(self.encr_key), modes.CBC(packet[8:24])).decryptor()
            return decryptor.update(packet[24:-length])
        nonce = self.encr_key[-4:] + packet[8:16]
        return self._aead().decrypt(nonce, packet[16:], self._aad(sequence))

    def _aead(self) -> AESGCM | ChaCha20Poly1305:
        key = self.encr_key[:-4]
        return AESGCM(key) if self.suite.encr == 20 else ChaCha20Poly1305(key)

    def _aad(self, sequence: int) -> bytes:
        number = struct.pack(">Q", sequence)
        return struct.pack(">I", self.spi) + (number if self.esn else number[4:])

    def _icv(self, sequence: int, packet: bytes) -> bytes:
        digest, length = _MACS[self.suite.integ]
        high = struct.pack(">I", sequence >> 32) if self.esn else b""
        return hmac.digest(self.integ_key, packet + high, digest)[:length]


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
