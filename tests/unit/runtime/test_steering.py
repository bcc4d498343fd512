# SPDX-License-Identifier: Apache-2.0
"""The kernel hands a datagram to the worker that owns its IKE SA, wherever it comes from."""

import select
import socket
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address

import pytest

from ikeway.runtime import steering
from ikeway.wire.message import NON_ESP_MARKER

WORKERS = 3
ESP_SOCKETS = 2
STRANGER = bytes(8)
NOTIFY = 41
FAMILIES = {
    socket.AF_INET: ("127.0.0.1", [f"127.{n}.{3 * n}.{7 + n}" for n in range(1, 13)]),
    socket.AF_INET6: ("::1", ["::1"]),
}


class Group:
    """Sockets that share a port: both of each worker, and that of ESP if there is one."""

    def __init__(self, family: socket.AddressFamily, *, is_shared: bool) -> None:
        self.family, self._is_shared = family, is_shared
        self._stack = ExitStack()
        self._members = [self._member(0)]
        port = self._members[0].getsockname()[1]
        others = 2 * WORKERS - 1 + (ESP_SOCKETS if is_shared else 0)
        self._members += [self._member(port) for _ in range(others)]
        self.at = (FAMILIES[family][0], port)
        steering.attach(self._members[0], WORKERS, is_shared=is_shared, esp_sockets=ESP_SOCKETS)

    def _member(self, port: int) -> socket.socket:
        made = self._stack.enter_context(socket.socket(self.family, socket.SOCK_DGRAM))
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((FAMILIES[self.family][0], port))
        made.setblocking(False)
        return made

    def takes(self, octets: bytes, source: str | None = None) -> int:
        """Send a datagram from a new port, and return who got it."""
        with socket.socket(self.family, socket.SOCK_DGRAM) as sender:
            sender.bind((source or FAMILIES[self.family][1][0], 0))
            sender.sendto(octets, self.at)
        found, _, _ = select.select(self._members, [], [], 5.0)
        (member,) = found
        assert member.recv(4096) == octets
        return self._members.index(member)

    def ike(self, octets: bytes) -> bytes:
        """Return an IKE message as it travels on this port."""
        return (NON_ESP_MARKER if self._is_shared else b"") + octets

    def close(self) -> None:
        self._stack.close()


@pytest.fixture(
    params=[(f, s) for f in FAMILIES for s in (False, True)],
    ids=lambda one: f"{one[0].name}-{4500 if one[1] else 500}",
)
def group(request: pytest.FixtureRequest) -> Iterator[Group]:
    family, is_shared = request.param
    made = Group(family, is_shared=is_shared)
    yield made
    made.close()


def message(spi_i: bytes, spi_r: bytes, flags: int, exchange: int = 37, first: int = 46) -> bytes:
    return spi_i + spi_r + bytes([first, 0x20, exchange, flags]) + bytes(4) + (28).to_bytes(4)


def spi(worker: int) -> bytes:
    return bytes([worker]) + b"\x07" * 7


@pytest.mark.parametrize("worker", range(WORKERS))
@pytest.mark.parametrize("is_response", [False, True])
def test_a_message_of_the_initiator_goes_to_whom_the_responders_spi_names(
    group: Group, worker: int, is_response: bool
) -> None:
    """The Initiator flag says that its sender began the IKE SA, so ours is SPIr (RFC 7296 §3.1)."""
    octets = message(b"\xff" * 8, spi(worker), 0x28 if is_response else 0x08)
    assert {group.takes(group.ike(octets)) for _ in range(6)} == {worker}, "from any port"
    assert steering.owner(octets, ip_address("192.0.2.1"), WORKERS) == worker


@pytest.mark.parametrize("worker", range(WORKERS))
@pytest.mark.parametrize("peer", [STRANGER, b"\xee" * 8])
def test_a_message_of_the_responder_goes_to_whom_the_initiators_spi_names(
    group: Group, worker: int, peer: bytes
) -> None:
    octets = message(spi(worker), peer, 0x20)
    assert group.takes(group.ike(octets)) == worker
    assert steering.owner(octets, ip_address("192.0.2.1"), WORKERS) == worker


def test_an_spi_of_ours_that_ends_in_zeros_is_still_ours(group: Group) -> None:
    for worker in (1, 2):
        octets = message(b"\xff" * 8, bytes([worker]) + bytes(7), 0x08)
        assert group.takes(group.ike(octets)) == worker
    octets = message(b"\xff" * 8, bytes(7) + b"\x01", 0x08)
    assert group.takes(group.ike(octets)) == 0


def test_a_stranger_goes_by_its_address_and_stays_there(group: Group) -> None:
    """What is counted of a source is counted once: another SPI or port changes nothing."""
    found = set()
    for source in FAMILIES[group.family][1]:
        octets = [message(bytes([n]) * 8, STRANGER, 0x08, 34, NOTIFY) for n in (1, 2, 0xFF)]
        (worker,) = {group.takes(group.ike(one), source) for one in octets}
        assert worker == steering.owner(octets[0], ip_address(source), WORKERS)
        found.add(worker)
    assert group.family == socket.AF_INET6 or len(found) == WORKERS


@pytest.mark.parametrize("first", [33, 40, 43])
def test_who_brings_no_cookie_waits_in_another_queue_of_the_same_worker(
    group: Group, first: int
) -> None:
    """§2.6: the cookie is the first payload. A flood without one fills a queue of its own."""
    for source in FAMILIES[group.family][1]:
        flood, cookie = (message(b"\1" * 8, STRANGER, 0x08, 34, one) for one in (first, NOTIFY))
        worker = group.takes(group.ike(cookie), source)
        assert group.takes(group.ike(flood), source) == WORKERS + worker
        assert steering.owner(flood, ip_address(source), WORKERS) == worker


def test_the_spi_of_a_worker_that_there_is_not_goes_to_the_first(group: Group) -> None:
    for octets in (message(b"\xff" * 8, spi(200), 0x08), message(spi(WORKERS), STRANGER, 0x20)):
        assert group.takes(group.ike(octets)) == 0
        assert steering.owner(octets, ip_address("192.0.2.1"), WORKERS) == 0


@pytest.mark.parametrize("size", [0, 1, 4, 8, 16, 19])
def test_stumps_go_to_the_first(group: Group, size: int) -> None:
    octets = (b"\0" * 4 + b"\x02" * 24)[:size]
    assert group.takes(octets) == 0
    assert steering.owner(octets, ip_address("192.0.2.1"), WORKERS) == 0


@pytest.mark.parametrize("family", FAMILIES)
def test_esp_goes_to_the_socket_of_its_spi(family: socket.AddressFamily) -> None:
    group = Group(family, is_shared=True)
    try:
        for number in (0x01020304, 0x01020305, 0xFFFFFFFE, 0xFFFFFFFF):
            place = 2 * WORKERS + number % ESP_SOCKETS
            assert group.takes(number.to_bytes(4) + bytes(40)) == place
        several = group.ike(message(spi(1), b"\xee" * 8, 0x20) * 2)
        assert group.takes(several) == 2 * WORKERS, "what the kernel joined only the engine parts"
    finally:
        group.close()
