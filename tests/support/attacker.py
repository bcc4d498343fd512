# SPDX-License-Identifier: Apache-2.0
"""What an attacker on the outer network, and a peer with the keys, can do to an engine."""

import socket
import struct
from contextlib import suppress

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from ikeway._engine import EspSa
from ikeway.model.esp import ChildSa
from support.tunnel import INNER, OUTER, Host

SOL_UDP, UDP_SEGMENT = 17, 103
SO_NO_CHECK = 11
ETH_P_ALL = 3
UDP = 17


def esp_sa(child: ChildSa, after: int) -> EspSa:
    """Return the sealing half of a child, further on in its numbers."""
    return EspSa(
        child.spi_out,
        encr=child.suite.encr,
        key_bits=child.suite.key_bits,
        integ=child.suite.integ,
        encr_key=child.keys_out.encr.octets,
        integ_key=child.keys_out.integ.octets,
        esn=child.suite.esn,
        after=after,
    )


def dummy(child: ChildSa, sealed: EspSa) -> bytes:
    """Return a packet with next header 59, made by pyca from one that the engine sealed."""
    packet = sealed.seal(ipv4(INNER[0][0], INNER[1][0]))
    key, salt = child.keys_out.encr.octets[:-4], child.keys_out.encr.octets[-4:]
    aad, nonce = packet[:4] + bytes(4) + packet[4:8], salt + packet[8:16]
    plain = AESGCM(key).decrypt(nonce, packet[16:], aad)
    return packet[:16] + AESGCM(key).encrypt(nonce, plain[:-1] + b"\x3b", aad)


def ipv4(source: str, destination: str, class_: int = 0) -> bytes:
    addresses = socket.inet_aton(source) + socket.inet_aton(destination)
    header = struct.pack(">BBHIBBH", 0x45, class_, 28, 0, 64, UDP, 0) + addresses
    sum_ = struct.pack(">H", checksum(header))
    return header[:10] + sum_ + header[12:] + struct.pack(">HHHH", 9, 9, 8, 0)


def checksum(octets: bytes) -> int:
    """Return the Internet checksum (RFC 1071); 0 if the octets have a right one in them."""
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return total ^ 0xFFFF


def traffic_class(frame: bytes) -> int:
    """Return the differentiated services and ECN fields of the IP header in an Ethernet frame."""
    if frame[14] >> 4 == 4:
        return frame[15]
    return (frame[14] << 4 | frame[15] >> 4) & 0xFF


def ike_message(octets: int) -> bytes:
    """Return a non-ESP marker and what looks like an IKE message of so many octets in all."""
    header = bytes(8) + bytes(8) + bytes((33, 0x20, 34, 8)) + bytes(4)
    return bytes(4) + header + struct.pack(">I", octets - 4) + bytes(octets - 32)


class Attacker:
    """A UDP socket on a host that sends anything to the other host's port 4500."""

    def __init__(self, host: Host, segment: int = 0, outer: int = 0) -> None:
        target = (OUTER[1 - host.side][outer], 4500)
        self._family = socket.AF_INET6 if outer else socket.AF_INET
        self._socket = host.namespace.inside(lambda: socket.socket(self._family, socket.SOCK_DGRAM))
        if segment:
            self._socket.setsockopt(SOL_UDP, UDP_SEGMENT, segment)
        self._socket.connect(target)

    def __enter__(self) -> "Attacker":
        return self

    def __call__(self, datagram: bytes) -> None:
        self._socket.send(datagram)

    def without_checksum(self) -> None:
        """Send UDP checksums of zero, which mean none."""
        self._socket.setsockopt(socket.SOL_SOCKET, SO_NO_CHECK, 1)

    def congested(self) -> None:
        """Mark what follows as having met congestion on the way."""
        if self._family == socket.AF_INET:
            self._socket.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 3)
        else:
            self._socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, 3)

    def __exit__(self, *_: object) -> None:
        self._socket.close()


def tap(host: Host, interface: str = "outer0") -> socket.socket:
    """Return a socket that sees what passes an interface of the host."""

    def make() -> socket.socket:
        link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        link.bind((interface, ETH_P_ALL))
        return link

    return host.namespace.inside(make)


def drain(link: socket.socket) -> list[bytes]:
    link.settimeout(0.2)
    frames = []
    try:
        while True:
            frames.append(link.recv(1 << 17))
    except TimeoutError:
        return frames


def waiting(link: socket.socket) -> list[bytes]:
    """Return the frames that are there: where packets never cease, one cannot wait for silence."""
    link.setblocking(False)
    frames = []
    with suppress(BlockingIOError):
        while True:
            frames.append(link.recv(1 << 17))
    return frames


def read_all(listening: socket.socket) -> list[bytes]:
    copy = listening.dup()
    copy.setblocking(True)
    with copy:
        return drain(copy)


def is_ip(frame: bytes) -> bool:
    return frame[12:14] in {b"\x08\x00", b"\x86\xdd"}


def esp_of(frame: bytes) -> bytes | None:
    """Return the ESP packet of an Ethernet frame with IPv4 and UDP port 4500."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 17 or frame[36:38] != b"\x11\x94":
        return None
    return frame[42:] if frame[42:46] != bytes(4) else None


def sent_to(host: Host, frames: list[bytes]) -> list[bytes]:
    address = socket.inet_aton(OUTER[host.side][0])
    found = [esp_of(frame) for frame in frames if frame[30:34] == address]
    return [packet for packet in found if packet is not None]
