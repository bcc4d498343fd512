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
from typing import Final, Protocol

from ikeway._engine import Door
from ikeway.ike.cookies import Challenge
from ikeway.ike.io import Datagram
from ikeway.model.address import IKE_PORT, NAT_PORT, OUTER_MARK, Address, Endpoint
from ikeway.model.errors import HostError
from ikeway.model.time import Seconds
from ikeway.runtime import steering
from ikeway.wire.message import NAT_KEEPALIVE, NON_ESP_MARKER

QUEUE_OCTETS = 2 << 20
"""Room for what a flood brings while the processor is busy with others; unused it costs nothing."""
REST: Final[Seconds] = 0.004
"""How long a queue is left alone in a flood once it was emptied; it has room for 100 ms.

Else the processor would wake for each datagram, and take it from the packets of tunnels.
"""
_IPV6_RECVPKTINFO = 49
_IP_PKTINFO = 8
_SO_RCVBUFFORCE = 33

Receiver = Callable[[Datagram], None]


class Porter(Protocol):
    """Says what first requests have to bring before they come in, and hears how many had not."""

    def challenge(self) -> Challenge | None:
        """Return what cookies are made of, if everybody has to bring one now."""

    def asked(self, requests: int) -> None:
        """Take how many requests were asked for a cookie since the last time."""


class UdpTransport:
    """The sockets of one worker. Datagrams go to `receiver`; what cannot be IKE is dropped.

    Where there is a porter, requests without the cookie that they have to bring go no further than
    the extension's `Door`: what values they would be put in costs more than their answers.
    """

    def __init__(self, receiver: Receiver, porter: Porter | None = None) -> None:
        self._receiver = receiver
        self._porter = porter
        self._sockets: dict[tuple[int, int], list[socket.socket]] = {}
        self._bound: dict[socket.socket, Endpoint] = {}
        self._doors: dict[socket.socket, Door] = {}

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
            self._doors[sock] = Door(sock.fileno(), is_marked=port == NAT_PORT)
            self._sockets.setdefault((sock.family, port), []).append(sock)
            loop.add_reader(sock.fileno(), self._readable, sock)

    def close(self) -> None:
        """Close all sockets."""
        loop = asyncio.get_running_loop()
        for sock in self._bound:
            loop.remove_reader(sock.fileno())
            sock.close()
        self._doors.clear()
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
        bound = self._bound[sock]
        challenge = None if self._porter is None else self._porter.challenge()
        letters, asked, is_more = self._doors[sock].take(_spelled(challenge))
        for octets, destination, host, port in letters:
            local = bound if destination is None else _place(destination, bound.port)
            self._take(local, _place(host, port), octets)
        if self._porter is not None and asked:
            self._porter.asked(asked)
            if not is_more:
                self._rest(sock)

    def _rest(self, sock: socket.socket) -> None:
        """Leave the queue that a flood fills alone for a moment."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(sock.fileno())
        loop.call_later(REST, self._look_again, sock)

    def _look_again(self, sock: socket.socket) -> None:
        if sock in self._bound:
            asyncio.get_running_loop().add_reader(sock.fileno(), self._readable, sock)

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


# Values of addresses are slow to make. They are kept for a while, which also lets all IKE SAs with
# one address of ours, and all datagrams of a peer, share one value.


@lru_cache(maxsize=4096)
def _place(packed: bytes, port: int) -> Endpoint:
    return Endpoint(ip_address(packed), port)


def _spelled(challenge: Challenge | None) -> tuple[list[tuple[int, bytes]], bytes] | None:
    """Return a challenge as the extension takes it."""
    if challenge is None:
        return None
    return [(number, secret.octets) for number, secret in challenge.secrets], challenge.head


def _target(peer: Endpoint) -> tuple[str, int]:
    """Return a peer as a socket wants it."""
    family = socket.AF_INET if peer.address.version == 4 else socket.AF_INET6
    return socket.inet_ntop(family, peer.address.packed), peer.port


def _from(address: Address) -> tuple[int, int, bytes]:
    """Return the ancillary data that makes a datagram leave from `address`."""
    if address.version == 4:
        return socket.IPPROTO_IP, _IP_PKTINFO, struct.pack("=i4s4s", 0, address.packed, bytes(4))
    return socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, struct.pack("=16si", address.packed, 0)
