# SPDX-License-Identifier: Apache-2.0
"""UDP for IKE: ports 500 and 4500, the non-ESP marker, answers from the address that was asked.

RFC 7296 §2, §2.11; RFC 3948 §2.2.
"""

import asyncio
import errno
import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from ipaddress import ip_address

from ikeway.ike.io import Datagram
from ikeway.model.address import IKE_PORT, NAT_PORT, Address, Endpoint
from ikeway.model.errors import HostError
from ikeway.runtime import steering
from ikeway.runtime.network import OUTER_MARK
from ikeway.wire.message import NAT_KEEPALIVE, NON_ESP_MARKER

RECEIVE_OCTETS = 65_535
ANCILLARY_OCTETS = 128
BATCH = 64
QUEUE_OCTETS = 2 << 20
"""Room for what a flood brings while the processor is busy with others; unused it costs nothing."""
_IPV6_RECVPKTINFO = 49
_IP_PKTINFO = 8
_UDP_GRO = 104
_SO_RCVBUFFORCE = 33

Receiver = Callable[[Datagram], None]
Door = Callable[[bytes, bytes], bytes | None]
"""Takes a message and the address that it came from, and returns the answer if that is all."""


class UdpTransport:
    """The sockets of one worker. Datagrams go to `receiver`; what cannot be IKE is dropped.

    Each message meets the `door` before that. In a flood nearly all go no further, and what values
    they would be put in costs more than their answers.
    """

    def __init__(self, receiver: Receiver, door: Door | None = None) -> None:
        self._receiver = receiver
        self._door = door
        self._sockets: dict[tuple[int, int], list[socket.socket]] = {}
        self._bound: dict[socket.socket, Endpoint] = {}

    def listen(self, addresses: Iterable[Address], port: int) -> None:
        """Bind a socket per address, and one more for the first requests of strangers.

        Raises:
            HostError: a port is taken or an address is not ours.
        """
        for address in addresses:
            self.adopt(_bind_all(address, port), port)

    def adopt(self, sockets: Iterable[socket.socket], port: int) -> None:
        """Take over bound sockets, e.g. those that share port 4500 with the engine."""
        loop = asyncio.get_running_loop()
        for sock in sockets:
            sock.setblocking(False)
            _deepen(sock)
            _mark_as_outer(sock)
            host = sock.getsockname()[0]
            bound = Endpoint(ip_address(host.split("%", maxsplit=1)[0]), port)
            if bound.address.is_unspecified:
                _want_destination(sock)
            self._bound[sock] = bound
            self._sockets.setdefault((sock.family, port), []).append(sock)
            loop.add_reader(sock.fileno(), self._readable, sock)

    def close(self) -> None:
        """Close all sockets."""
        loop = asyncio.get_running_loop()
        for sock in self._bound:
            loop.remove_reader(sock.fileno())
            sock.close()
        self._bound.clear()
        self._sockets.clear()

    def send(self, local: Endpoint, peer: Endpoint, octets: bytes) -> str | None:
        """Send from that local address and port; return what went wrong, if anything did.

        Nothing is raised: a message that is lost here is lost like any other.
        """
        family = socket.AF_INET if peer.address.version == 4 else socket.AF_INET6
        sock = self._choose(family, local)
        if sock is None:
            return f"no socket of IPv{peer.address.version} is bound to port {local.port}"
        if local.port == NAT_PORT and octets != NAT_KEEPALIVE:
            octets = NON_ESP_MARKER + octets
        try:
            if self._bound[sock].address == local.address:
                sock.sendto(octets, _target(peer))
            else:
                sock.sendmsg([octets], [_from(local.address)], 0, _target(peer))
        except OSError as error:
            return f"sending to {peer}: {error.strerror}"
        return None

    def deliver(self, local: Endpoint, peer: Endpoint, octets: bytes) -> None:
        """Take a datagram of port 4500, marker first, that came by another way than a socket."""
        if octets.startswith(NON_ESP_MARKER):
            self._receiver(Datagram(local, peer, octets[len(NON_ESP_MARKER) :]))

    def _choose(self, family: int, local: Endpoint) -> socket.socket | None:
        """Return the socket of the address, else the one bound to all addresses."""
        anywhere = None
        for sock in self._sockets.get((family, local.port), ()):
            address = self._bound[sock].address
            if address == local.address:
                return sock
            if address.is_unspecified:
                anywhere = sock
        return anywhere

    def _readable(self, sock: socket.socket) -> None:
        """Take what has arrived, but let others have their turn after a while."""
        for _ in range(BATCH):
            try:
                octets, ancillary, _flags, source = sock.recvmsg(RECEIVE_OCTETS, ANCILLARY_OCTETS)
            except BlockingIOError:
                return
            except OSError:
                continue  # an ICMP error of something sent earlier
            if self._door is not None and self._turn_away(sock, octets, ancillary, source):
                continue
            bound = self._bound[sock]
            packed = _destination(ancillary)
            local = _local(packed, bound.port) if packed else bound
            peer = _peer(source[0], source[1])
            size = _segment_octets(ancillary) or len(octets) or 1
            for start in range(0, len(octets), size):
                self._take(local, peer, octets[start : start + size])

    def _turn_away(
        self,
        sock: socket.socket,
        octets: bytes,
        ancillary: list[tuple[int, int, bytes]],
        source: tuple[str, int],
    ) -> bool:
        """Answer at the door what is answered there; whether that was so."""
        marker = NON_ESP_MARKER if self._bound[sock].port == NAT_PORT else b""
        if self._door is None or not octets.startswith(marker):
            return False
        packed = socket.inet_pton(sock.family, source[0].partition("%")[0])
        answer = self._door(octets[len(marker) :], packed)
        if answer is None:
            return False
        local = _destination(ancillary)
        with suppress(OSError):  # a lost answer is like any other
            sock.sendmsg([marker, answer], _leaving_from(local), 0, source)
        return True

    def _take(self, local: Endpoint, peer: Endpoint, octets: bytes) -> None:
        if local.port == NAT_PORT:
            self.deliver(local, peer, octets)
        else:
            self._receiver(Datagram(local, peer, octets))


def bind(address: Address, port: int, workers: int = 1) -> tuple[socket.socket, ...]:
    """Return the sockets of all workers, all bound to that address and port.

    Raises:
        HostError: the port is taken, or the address is not ours.
    """
    # Sockets that share a port would join whoever shares it already.
    _bind(address, port, is_shared=False).close()
    return tuple(_bind(address, port, is_shared=True) for _ in range(steering.QUEUES * workers))


def _bind_all(address: Address, port: int) -> tuple[socket.socket, ...]:
    """Return our sockets on a port, or one where the kernel does not choose between several."""
    bound = bind(address, port)
    try:
        steering.attach(bound[0], 1, is_shared=False)
    except HostError:
        for sock in bound[1:]:
            sock.close()
        return bound[:1]
    return bound


def _bind(address: Address, port: int, *, is_shared: bool) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    sock = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
    try:
        if is_shared:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind((str(address), port))
    except OSError as error:
        sock.close()
        raise HostError(_why(address, port, error)) from error
    return sock


def _why(address: Address, port: int, error: OSError) -> str:
    name = errno.errorcode.get(error.errno or 0, "?")
    hints = {
        errno.EADDRINUSE: "another IKE daemon may be running; stop it or use another address",
        errno.EACCES: f"ports below 1024 need root or CAP_NET_BIND_SERVICE ({IKE_PORT} is IKE's)",
        errno.EADDRNOTAVAIL: "the address is not on this host; see [host] listen",
    }
    hint = hints.get(error.errno or 0, "see [host] listen")
    return f"cannot listen on {address} UDP port {port}: {error.strerror} ({name}); {hint}"


def _want_destination(sock: socket.socket) -> None:
    """Have the kernel tell which of our addresses a datagram was sent to."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


def _deepen(sock: socket.socket) -> None:
    """Have the queue hold more, beyond the system's limit where we may."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, QUEUE_OCTETS)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, QUEUE_OCTETS)


def _mark_as_outer(sock: socket.socket) -> None:
    """Keep IKE out of tunnels by the rules of `HostNetwork`; without the right there are none."""
    with suppress(PermissionError):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, OUTER_MARK)


def _destination(ancillary: list[tuple[int, int, bytes]]) -> bytes | None:
    """Return the address that a datagram was sent to, as it stands in an IP header."""
    for level, kind, data in ancillary:
        if level == socket.IPPROTO_IP and kind == _IP_PKTINFO and len(data) >= 12:
            return data[8:12]
        if level == socket.IPPROTO_IPV6 and kind == socket.IPV6_PKTINFO and len(data) >= 16:
            return data[:16]
    return None


# Values of addresses are slow to make. They are kept for a while, which also lets all IKE SAs with
# one address of ours, and all datagrams of a peer, share one value.


@lru_cache(maxsize=1024)
def _local(packed: bytes, port: int) -> Endpoint:
    return Endpoint(ip_address(packed), port)


@lru_cache(maxsize=4096)
def _peer(host: str, port: int) -> Endpoint:
    return Endpoint(ip_address(host.split("%", maxsplit=1)[0]), port)


def _target(peer: Endpoint) -> tuple[str, int]:
    """Return a peer as a socket wants it."""
    family = socket.AF_INET if peer.address.version == 4 else socket.AF_INET6
    return socket.inet_ntop(family, peer.address.packed), peer.port


def _segment_octets(ancillary: list[tuple[int, int, bytes]]) -> int:
    """Return how long the datagrams are that the kernel received as one; 0 if it did not."""
    for level, kind, data in ancillary:
        if (level, kind) == (socket.IPPROTO_UDP, _UDP_GRO) and len(data) >= 4:
            return struct.unpack_from("=i", data)[0]  # type: ignore[no-any-return]
    return 0


@lru_cache(maxsize=64)
def _leaving_from(packed: bytes | None) -> tuple[tuple[int, int, bytes], ...]:
    return () if packed is None else (_from(ip_address(packed)),)


def _from(address: Address) -> tuple[int, int, bytes]:
    """Return the ancillary data that makes a datagram leave from `address`."""
    if address.version == 4:
        return socket.IPPROTO_IP, _IP_PKTINFO, struct.pack("=i4s4s", 0, address.packed, bytes(4))
    return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("=16si", address.packed, 0)
