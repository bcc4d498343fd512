# SPDX-License-Identifier: Apache-2.0
"""AH in a trace: what it carries can be read (RFC 4302 §2)."""

from ikeway.trace.datagrams import AhOctets, Sorter
from ikeway.trace.events import AhSeen, EspSum
from ikeway.trace.keys import KeyStore
from ikeway.trace.ladder import Ladder
from ikeway.trace.pcap import Frame
from ikeway.trace.records import record
from ikeway.trace.tracer import Tracer

RAW = 101
UDP = bytes.fromhex("03e807d0000c0000") + b"text"
ENDS = bytes([192, 0, 2, 1, 192, 0, 2, 2])


def frame(sequence: int) -> Frame:
    """Return a packet of transport mode with HMAC-SHA2-256-128."""
    header = bytes([17, 5, 0, 0]) + 0x1234.to_bytes(4) + sequence.to_bytes(4) + bytes(16)
    length = (20 + len(header) + len(UDP)).to_bytes(2)
    outer = b"\x45\0" + length + bytes(4) + bytes([64, 51, 0, 0]) + ENDS
    return Frame(sequence, float(sequence), RAW, outer + header + UDP)


def test_packets_are_shown_counted_and_summed_up() -> None:
    sorter, tracer = Sorter(), Tracer(KeyStore())
    found = [each for number in (1, 2, 4) for each in sorter.take(frame(number))]
    assert all(isinstance(each, AhOctets) for each in found)
    seen = [event for each in found for event in tracer.take(each)]
    assert [event.number for event in seen if isinstance(event, AhSeen)] == [1, 2, 3]
    told = record(seen[0])
    assert (told["kind"], told["spi"], told["sequence"]) == ("ah", "00001234", 1)
    assert told["inner_octets"] == UDP.hex()
    (summed,) = [event for event in tracer.finish() if isinstance(event, EspSum)]
    assert (summed.flow.packets, summed.flow.not_seen) == (3, 1)
    assert record(summed)["kind"] == "ah_sa"


def test_the_ladder_names_the_protocol() -> None:
    tracer, ladder = Tracer(KeyStore()), Ladder(100, is_verbose=True, packets=5)
    (found,) = Sorter().take(frame(1))
    events = [*tracer.take(found), *tracer.finish()]
    lines = [line.text for event in events for line in ladder.draw(event)]
    assert any("AH 00001234 #1 UDP 1000 > 2000" in line for line in lines)
    assert "AH SAs:" in lines
    assert any("AH, IP protocol 51" in line for line in lines)
