# SPDX-License-Identifier: Apache-2.0
"""Traffic between two namespaces, and a witness on the cable who reads every frame."""

import hashlib
import secrets
import socket
import struct
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Final

from support.link import OURS_NETWORKS, PEER_NETWORKS, Host
from support.netns import Namespace

PINGS: Final = 5
PATIENCE: Final = 5.0
OCTETS: Final = 300_000
WINDOW: Final = 16_384
"""So little in flight that a slow peer's socket seldom overflows."""

_ETH_P_ALL: Final = 3
_SO_RCVBUFFORCE: Final = 33
_SOL_PACKET: Final = 263
_PACKET_VNET_HDR: Final = 15
_VNET_HDR_OCTETS: Final = 10
_FRAME_OCTETS: Final = 70_000
_ETHERTYPES: Final = {0x0800: 4, 0x86DD: 6}
_UDP: Final = 17
_ESP: Final = 50
_AH: Final = 51
_FRAGMENT: Final = 44


def ping(source: Namespace, from_: str, to: str, count: int = PINGS, wait: float = PATIENCE) -> int:
    """Return how many of `count` echo requests were answered, each within `wait` seconds."""
    is_v6 = ":" in to
    family = socket.AF_INET6 if is_v6 else socket.AF_INET
    protocol = socket.IPPROTO_ICMPV6 if is_v6 else socket.IPPROTO_ICMP
    echo = source.inside(lambda: socket.socket(family, socket.SOCK_RAW, protocol))
    with echo:
        try:
            echo.bind((from_, 0))
        except OSError:
            return 0
        return sum(_is_answered(echo, to, number, wait) for number in range(count))


def _is_answered(echo: socket.socket, to: str, number: int, wait: float) -> bool:
    is_v6 = echo.family is socket.AF_INET6
    request, reply = (128, 129) if is_v6 else (8, 0)
    rest = secrets.token_bytes(4) + struct.pack(">H", number) + bytes(50)
    message = bytes([request, 0]) + _checksum(bytes([request, 0]) + rest) + rest
    end = time.monotonic() + wait
    try:
        echo.sendto(message, (to, 0))
        while (left := end - time.monotonic()) > 0:
            echo.settimeout(left)
            received = echo.recv(2048)
            answer = received if is_v6 else received[(received[0] & 15) * 4 :]
            if answer[0] == reply and answer[4:] == rest:
                return True
    except OSError:
        pass
    return False


def _checksum(octets: bytes) -> bytes:
    """Return the Internet checksum; for ICMPv6 the kernel puts its own."""
    total = sum(struct.unpack(f">{len(octets) // 2}H", octets))
    while total > 0xFFFF:
        total = (total >> 16) + (total & 0xFFFF)
    return struct.pack(">H", total ^ 0xFFFF)


def overflows(namespace: Namespace) -> int:
    """Return how many datagrams were dropped because a socket's buffer was full."""

    def read() -> int:
        names, values = (
            line.split()
            for line in Path("/proc/thread-self/net/snmp").read_text().splitlines()
            if line.startswith("Udp:")
        )
        dropped = int(values[names.index("RcvbufErrors")])
        for line in Path("/proc/thread-self/net/snmp6").read_text().splitlines():
            if line.startswith("Udp6RcvbufErrors"):
                dropped += int(line.split()[1])
        return dropped

    return namespace.inside(read)


def transfer(
    client: tuple[Namespace, str],
    server: tuple[Namespace, str],
    octets: int = OCTETS,
    port: int = 0,
) -> None:
    """Send octets over TCP from one address to another; the hash of what arrived must be right."""
    family = socket.AF_INET6 if ":" in server[1] else socket.AF_INET
    listener = server[0].inside(lambda: socket.create_server((server[1], port), family=family))
    listener.settimeout(10)
    sender = client[0].inside(lambda: socket.socket(family, socket.SOCK_STREAM))
    sender.settimeout(10)
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, WINDOW)
    thread = threading.Thread(target=_serve, args=(listener,))
    thread.start()
    try:
        sender.bind((client[1], 0))
        sender.connect(listener.getsockname()[:2])
        data = bytes(range(256)) * (octets // 256)
        sender.sendall(data)
        sender.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: sender.recv(64), b""))
    finally:
        sender.close()
        thread.join()
        listener.close()
    assert answer == hashlib.sha256(data).digest()


def _serve(listener: socket.socket) -> None:
    try:
        connection, _ = listener.accept()
    except OSError:
        return
    with connection:
        connection.settimeout(10)
        digest = hashlib.sha256()
        while received := connection.recv(65536):
            digest.update(received)
        connection.sendall(digest.digest())


@dataclass
class Witness:
    """Everything that a host's cable carried."""

    host: Host
    interface: str
    seen: Counter[str] = field(default_factory=Counter)
    leaks: list[str] = field(default_factory=list)
    secret: tuple[str, ...] = (*OURS_NETWORKS.values(), *PEER_NETWORKS.values())

    def __post_init__(self) -> None:
        self._socket = self.host.namespace.inside(lambda: _listen(self.interface))
        self._secret = [ip_network(network) for network in self.secret]

    def watch_also(self, *networks: str) -> None:
        """Count packets of these networks as leaks, too."""
        self._secret += [ip_network(network) for network in networks]

    def look(self) -> Counter[str]:
        """Read what there is: counts of ike, esp, keepalive, fragment and other."""
        while True:
            try:
                received = self._socket.recv(_FRAME_OCTETS)
            except BlockingIOError:
                return self.seen
            (segment,) = struct.unpack_from("=H", received, 4)
            self._read(received[_VNET_HDR_OCTETS:], segment)

    def close(self) -> None:
        """Stop watching."""
        self._socket.close()

    def _read(self, frame: bytes, segment: int) -> None:
        """Note a frame, which may be several still to be cut into segments of that length."""
        version = _ETHERTYPES.get(int.from_bytes(frame[12:14]))
        if version is None:
            self.seen["other"] += 1
            return
        packet = frame[14:]
        addresses = (
            (packet[12:16], packet[16:20]) if version == 4 else (packet[8:24], packet[24:40])
        )
        kind = _kind(packet, version)
        # MOBIKE looks for a way from every address of the host, those of the inner networks too:
        # IKE is sealed by itself (RFC 4555 §3.10).
        if kind != "ike" and any(
            ip_address(octets) in network for octets in addresses for network in self._secret
        ):
            self.leaks.append(packet[:60].hex())
        headers = 28 if version == 4 else 48
        self.seen[kind] += -(-(len(packet) - headers) // segment) if segment else 1


def _listen(interface: str) -> socket.socket:
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
    listener.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, 64 << 20)
    listener.setsockopt(_SOL_PACKET, _PACKET_VNET_HDR, 1)
    listener.bind((interface, _ETH_P_ALL))
    listener.setblocking(False)
    return listener


def _kind(packet: bytes, version: int) -> str:
    if version == 4:
        protocol, start = packet[9], (packet[0] & 15) * 4
        if struct.unpack_from(">H", packet, 6)[0] & 0x3FFF:
            return "fragment"
    else:
        protocol, start = packet[6], 40
    if protocol == _FRAGMENT:
        return "fragment"
    if protocol != _UDP:
        return {_ESP: "bare esp", _AH: "ah"}.get(protocol, "other")
    return _datagram(packet[start:])


def _datagram(datagram: bytes) -> str:
    ports = struct.unpack_from(">HH", datagram)
    payload = datagram[8:]
    if 500 in ports:
        return "ike"
    if 4500 not in ports:
        return "other"
    if payload == b"\xff":
        return "keepalive"
    return "ike" if payload[:4] == bytes(4) else "esp"
