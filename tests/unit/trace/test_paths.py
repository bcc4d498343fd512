# SPDX-License-Identifier: Apache-2.0
"""NATs, the float to port 4500 and moves are told from addresses alone (RFC 7296 §2.23)."""

from ipaddress import ip_address

import pytest

from ikeway.model.address import Endpoint
from ikeway.trace import paths
from ikeway.trace.datagrams import Where
from ikeway.trace.paths import Paths, detection_hash, nats
from ikeway.wire.message import Flags, Header
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType

SPI_I, SPI_R = b"SPI of i", b"SPI of r"


def end(text: str) -> Endpoint:
    address, _, port = text.rpartition(":")
    return Endpoint(ip_address(address), int(port))


def header(*, from_initiator: bool = True, spi_i: bytes = SPI_I) -> Header:
    flags = Flags.INITIATOR if from_initiator else Flags.RESPONSE
    return Header(spi_i, SPI_R, PayloadType.NONE, 2, 0, ExchangeType.IKE_AUTH, flags, 1)


def follow(
    known: Paths, source: str, destination: str, *, from_initiator: bool = True
) -> list[str]:
    where = Where(1, 0.0, end(source), end(destination))
    return list(known.follow(header(from_initiator=from_initiator), where))


def test_the_float_to_port_4500_is_told_once() -> None:
    known = Paths()
    assert follow(known, "192.0.2.1:500", "192.0.2.2:500") == []
    assert follow(known, "192.0.2.2:500", "192.0.2.1:500", from_initiator=False) == []
    assert follow(known, "192.0.2.1:4500", "192.0.2.2:4500") == ["both sides move to port 4500"]
    assert follow(known, "192.0.2.2:4500", "192.0.2.1:4500", from_initiator=False) == []


def test_behind_a_nat_the_initiator_has_another_port() -> None:
    known = Paths()
    follow(known, "203.0.113.9:1024", "192.0.2.2:500")
    assert follow(known, "203.0.113.9:1025", "192.0.2.2:4500") == [
        "the initiator, 1025 here, moves to port 4500"
    ]


def test_a_move_is_told() -> None:
    known = Paths()
    follow(known, "192.0.2.1:4500", "192.0.2.2:4500")
    assert follow(known, "198.51.100.7:4500", "192.0.2.2:4500") == [
        "the initiator was 192.0.2.1:4500, now it is 198.51.100.7:4500"
    ]
    assert follow(known, "2001:db8::1:4500", "192.0.2.2:4500")


def test_a_nat_rebinding_is_told() -> None:
    known = Paths()
    follow(known, "203.0.113.9:1025", "192.0.2.2:4500")
    assert follow(known, "203.0.113.9:2048", "192.0.2.2:4500") == [
        "the initiator's port was 1025, now it is 2048"
    ]


def test_paths_of_many_sas_do_not_pile_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "SAS_MOST", 10)
    known = Paths()
    where = Where(1, 0.0, end("192.0.2.1:500"), end("192.0.2.2:500"))
    for number in range(100):
        list(known.follow(header(spi_i=number.to_bytes(8)), where))
    assert len(known._known) == 10


def test_nat_detection_compares_the_hash_with_the_addresses() -> None:
    where = Where(1, 0.0, end("192.0.2.1:500"), end("192.0.2.2:500"))
    right = (
        Notify(NotifyType.NAT_DETECTION_SOURCE_IP, bytes(20)),
        Notify(NotifyType.NAT_DETECTION_SOURCE_IP, detection_hash(header(), where.source)),
        Notify(
            NotifyType.NAT_DETECTION_DESTINATION_IP, detection_hash(header(), where.destination)
        ),
    )
    assert not list(nats(header(), where, right))
    assert not list(nats(header(), where, ()))
    moved = Where(1, 0.0, end("203.0.113.9:1024"), end("192.0.2.2:500"))
    (told,) = nats(header(), moved, right)
    assert told.startswith("NAT_DETECTION_SOURCE_IP is not that of 203.0.113.9:1024: the sender")
