# SPDX-License-Identifier: Apache-2.0
"""ESP packets are counted and opened, also with extended sequence numbers (RFC 4303 §2.2.1)."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikeway.model.address import Endpoint
from ikeway.model.secret import Secret
from ikeway.trace.datagrams import EspOctets, Where
from ikeway.trace.esp import EspTracker
from ikeway.trace.keys import EspSaKeys, KeyStore
from ikeway.trace.opener import Algorithms
from ikeway.trace.sealed import Sealing
from support.esp import Peer
from support.suites import SUITES, Suite

SPI = 0xC0FFEE01
INNER = b"\x45\0\0\x1c\0\0\0\0\x40\x11\0\0\x0a\x42\0\x01\x0a\x01\0\x01\x9c\x40\0\x35\0\x08\0\0"
WORDS = "10.66.0.1 > 10.1.0.1 UDP 40000 > 53, 28 octets"


def peer(suite: Suite, esn: bool, letter: bytes = b"e") -> Peer:
    return Peer(SPI, suite, letter * suite.encr_octets, b"i" * suite.integ_octets, esn)


def keys(of: Peer) -> KeyStore:
    store = KeyStore()
    suite = of.suite
    algorithms = Algorithms(suite.encr, suite.key_bits, suite.integ)
    store.add([EspSaKeys(SPI, "*", "*", algorithms, Secret(of.encr_key), Secret(of.integ_key))])
    return store


def packet(octets: bytes, at: float = 0.0, source: str = "192.0.2.1") -> EspOctets:
    ends = (Endpoint(ip_address(source), 4500), Endpoint(ip_address("192.0.2.2"), 4500))
    return EspOctets(Where(1, at, *ends), octets, is_in_udp=True)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
@pytest.mark.parametrize("esn", [False, True])
def test_packets_of_every_suite_are_opened(suite: Suite, esn: bool) -> None:
    sender = peer(suite, esn)
    tracker = EspTracker(keys(sender))
    for sequence in (1, 2, 4, 3):
        taken = tracker.take(packet(sender.seal(sequence, INNER), sequence / 4))
        assert taken is not None
        assert taken[1].content == WORDS
        assert (taken[1].sequence, taken[1].sealing) == (sequence, Sealing.VERIFIED)
    (flow,) = tracker.flows()
    assert (flow.packets, flow.lowest, flow.highest, flow.not_seen) == (4, 1, 4, 0)
    assert (flow.began, flow.ended, flow.is_extended) == (0.25, 0.75, esn)


def test_extended_sequence_numbers_go_on_where_the_low_half_begins_again() -> None:
    sender = peer(SUITES[0], True)
    tracker = EspTracker(keys(sender))
    for sequence in (0xFFFFFFFE, 0x1_0000_0000, 0xFFFFFFFF, 0x1_0000_0001):
        taken = tracker.take(packet(sender.seal(sequence, INNER)))
        assert taken is not None
        assert (taken[1].sequence, taken[1].sealing) == (sequence, Sealing.VERIFIED)
    (flow,) = tracker.flows()
    assert (flow.lowest, flow.highest) == (0xFFFFFFFE, 0x1_0000_0001)


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.name)
def test_wrong_keys_and_changed_packets_show_nothing(suite: Suite) -> None:
    sender = peer(suite, False)
    wrong = replace(sender, encr_key=b"w" * suite.encr_octets, integ_key=b"w" * suite.integ_octets)
    tracker = EspTracker(keys(sender))
    changed = bytearray(sender.seal(2, INNER))
    changed[-1] ^= 1
    for octets in (wrong.seal(1, INNER), bytes(changed), sender.seal(3, INNER)[:-9]):
        taken = tracker.take(packet(octets))
        assert taken is not None
        assert (taken[1].sealing, taken[1].content) == (Sealing.WRONG_KEYS, "")
    taken = tracker.take(packet(sender.seal(4, INNER)))
    assert taken is not None
    assert taken[0].by_sealing == {Sealing.WRONG_KEYS: 3, Sealing.VERIFIED: 1}


def test_what_is_lost_is_told_by_the_numbers() -> None:
    sender = peer(SUITES[0], False)
    tracker = EspTracker(KeyStore())
    for sequence in (5, 9, 7):
        tracker.take(packet(sender.seal(sequence, INNER)))
    (flow,) = tracker.flows()
    assert (flow.first, flow.last, flow.not_seen) == (5, 7, 2)
    assert flow.by_sealing == {Sealing.NO_KEYS: 3}


def test_a_dummy_packet_is_told() -> None:
    sender = peer(SUITES[0], False)
    tracker = EspTracker(keys(sender))
    taken = tracker.take(packet(sender.seal(1, b"noise", next_header=59)))
    assert taken is not None
    assert taken[1].content == "dummy packet"


@pytest.mark.parametrize(
    ("payload", "words"),
    [
        (bytes(1404), "AGGFRAG: padding, 1404 octets"),
        (bytes(4) + INNER * 2 + bytes(30), "AGGFRAG: 2 packets, 90 octets"),
        (
            b"\0\0\0\5" + b"other" + INNER + INNER[:20],
            "AGGFRAG: 1 packet, 5 octets of one before, 20 octets of one that goes on, 57 octets",
        ),
        (b"\0\0\7\xd0" + bytes(60), "AGGFRAG: 60 octets of one before, 64 octets"),
        (b"\1" + bytes(23), "AGGFRAG with congestion information: padding, 24 octets"),
        (b"\1" + bytes(9), "AGGFRAG payload that is malformed, 10 octets"),
        (b"\2" + bytes(99), "AGGFRAG payload that is malformed, 100 octets"),
    ],
)
def test_payloads_of_iptfs_are_told(payload: bytes, words: str) -> None:
    sender = peer(SUITES[0], False)
    tracker = EspTracker(keys(sender))
    taken = tracker.take(packet(sender.seal(1, payload, next_header=144)))
    assert taken is not None
    assert taken[1].content == words


def test_any_octets_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ikeway.trace.esp.FLOWS_MOST", 100)
    tracker = EspTracker(KeyStore())
    for spi in range(200):
        tracker.take(packet(spi.to_bytes(4) + bytes(4)))
    assert len(list(tracker.flows())) == 100
    assert tracker.not_counted == 100
