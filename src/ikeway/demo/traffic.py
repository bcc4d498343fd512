# SPDX-License-Identifier: Apache-2.0
"""Things that hosts do with a network: ping, download a file, send as fast as they can."""

import hashlib
import http.client
import os
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from typing import Final

from typing_extensions import override

from ikeway.demo.namespaces import Place
from ikeway.model.errors import HostError
from ikeway.model.time import Seconds

PATIENCE: Final[Seconds] = 3.0
HTTP_PORT, RATE_PORT, CLEAR_PORT = 80, 5201, 9
_CHUNK: Final = 1 << 20
_ECHO: Final = {4: (8, 0), 6: (128, 129)}


# Ping ---------------------------------------------------------------------------------------------


def ping(host: str, count: int, payload: bytes) -> list[Seconds]:
    """Return the round trip times of ICMP echoes to `host` from the calling thread's namespace.

    Raises:
        HostError: an answer did not come.
    """
    version = ip_address(host).version
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    protocol = socket.IPPROTO_ICMP if version == 4 else socket.IPPROTO_ICMPV6
    with socket.socket(family, socket.SOCK_RAW, protocol) as echo:
        echo.settimeout(PATIENCE)
        echo.connect((host, 0))
        try:
            return [_round_trip(echo, version, number, payload) for number in range(count)]
        except TimeoutError as error:
            raise HostError(f"no answer to a ping of {host} for {PATIENCE:.0f} s") from error
        except OSError as error:
            raise HostError(f"ping {host}: {error.strerror}") from error


def _round_trip(echo: socket.socket, version: int, number: int, payload: bytes) -> Seconds:
    asked, answered = _ECHO[version]
    body = struct.pack(">HH", os.getpid() & 0xFFFF, number) + payload
    request = struct.pack(">BBH", asked, 0, 0) + body
    if version == 4:  # the kernel does it for ICMPv6
        request = struct.pack(">BBH", asked, 0, _checksum(request)) + body
    started = time.perf_counter()
    echo.send(request)
    while True:
        packet = echo.recv(65535)
        message = packet[(packet[0] & 15) * 4 :] if version == 4 else packet
        if message[0] == answered and message[4:] == body:
            return time.perf_counter() - started


def _checksum(octets: bytes) -> int:
    """RFC 1071."""
    padded = octets + bytes(len(octets) % 2)
    total: int = sum(struct.unpack(f">{len(padded) // 2}H", padded))
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


# Download -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Download:
    """A file that came: how much, how long it took, and its SHA-256."""

    octets: int
    took: Seconds
    digest: str


@contextmanager
def web_server(place: Place, address: str, file: bytes) -> Iterator[None]:
    """Serve `file` over HTTP in a namespace."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(file)))
            self.end_headers()
            self.wfile.write(file)

        @override
        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = place.inside(lambda: ThreadingHTTPServer((address, HTTP_PORT), Handler))
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def download(host: str) -> Download:
    """Fetch the file from the calling thread's namespace.

    Raises:
        HostError: it did not come, or not whole.
    """
    connection = http.client.HTTPConnection(host, HTTP_PORT, timeout=PATIENCE)
    started = time.perf_counter()
    try:
        connection.request("GET", "/")
        body = connection.getresponse().read()
    except (OSError, http.client.HTTPException) as error:
        raise HostError(f"HTTP download from {host}: {error!r}") from error
    finally:
        connection.close()
    return Download(len(body), time.perf_counter() - started, hashlib.sha256(body).hexdigest())


# Throughput ---------------------------------------------------------------------------------------


def throughput(sender: Place, receiver: Place, address: str, lasting: Seconds) -> float:
    """Return the octets per second that one TCP connection carries to `receiver`.

    `address` is the sender's; the receiver connects to it, as a download does.

    Raises:
        HostError: the connection did not come about, or broke.
    """
    listener = sender.inside(lambda: socket.create_server((address, RATE_PORT)))
    try:
        listener.settimeout(PATIENCE)
        target = (address, RATE_PORT)
        drain = receiver.inside(lambda: socket.create_connection(target, PATIENCE))
        with drain:
            source, _ = listener.accept()
            pump = threading.Thread(target=_pump, args=(source, lasting), daemon=True)
            pump.start()
            rate = _measure(drain)
            pump.join()
        if not rate:
            raise HostError("TCP through the tunnel: nothing came")
    except OSError as error:
        raise HostError(f"TCP through the tunnel: {error}") from error
    finally:
        listener.close()
    return rate


def _pump(source: socket.socket, lasting: Seconds) -> None:
    octets = memoryview(bytes(_CHUNK))
    until = time.perf_counter() + lasting
    source.settimeout(PATIENCE)
    with source, suppress(OSError):
        while time.perf_counter() < until:
            source.send(octets)


def _measure(drain: socket.socket) -> float:
    buffer = bytearray(_CHUNK)
    drain.settimeout(PATIENCE)
    total, started = 0, time.perf_counter()
    ended = started
    while count := drain.recv_into(buffer):
        total += count
        ended = time.perf_counter()
    return total / max(ended - started, 1e-9)


# In clear -----------------------------------------------------------------------------------------


def send_in_clear(host: str, octets: bytes, mark: int) -> None:
    """Send a UDP datagram around the tunnel, from the calling thread's namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_MARK, mark)
        sender.sendto(octets, (host, CLEAR_PORT))
