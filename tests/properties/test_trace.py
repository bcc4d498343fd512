# SPDX-License-Identifier: Apache-2.0
"""Laws of traces: whatever a capture holds, each frame becomes words, and nothing else happens."""

import random
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ikeway.runtime.log import plain
from ikeway.trace import capture
from ikeway.trace.datagrams import Sorter
from ikeway.trace.keyfile import load_keys
from ikeway.trace.keys import KeyStore
from ikeway.trace.ladder import Ladder
from ikeway.trace.pcap import Frame
from ikeway.trace.records import record
from ikeway.trace.tables import parse_line
from ikeway.trace.tracer import Tracer
from support.pcap import CAPTURES

LINKS = (0, 1, 12, 101, 108, 113, 228, 276, 999)
MUTATIONS = 60


def follow(frames: list[Frame], keys: KeyStore) -> None:
    sorter, tracer = Sorter(), Tracer(keys)
    drawn = [Ladder(80, is_verbose=is_verbose, packets=4) for is_verbose in (False, True)]
    seen = [
        event for frame in frames for found in sorter.take(frame) for event in tracer.take(found)
    ]
    for event in [*seen, *tracer.finish()]:
        assert record(event)
        for ladder in drawn:
            assert all(plain(line.text).isprintable() for line in ladder.draw(event))


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
def test_any_change_of_a_capture_is_told_in_words(path: Path) -> None:
    folder = path.with_suffix(".keys")
    keys = load_keys(folder) if folder.exists() else KeyStore()
    whole = list(capture.frames(path))
    source = random.Random(path.stem)
    for _ in range(MUTATIONS):
        follow([changed(frame, source) for frame in whole], keys)


def changed(frame: Frame, source: random.Random) -> Frame:
    octets = bytearray(frame.octets)
    for _ in range(source.randrange(4)):
        octets[source.randrange(14, len(octets))] = source.randrange(256)
    cut = source.randrange(14, len(octets)) if source.random() < 0.1 else len(octets)
    return Frame(frame.number, frame.at, frame.link, bytes(octets[:cut]), cut == len(octets))


@given(st.lists(st.tuples(st.sampled_from(LINKS), st.binary(max_size=200)), max_size=6))
@settings(max_examples=300)
def test_any_frames_are_taken(frames: list[tuple[int, bytes]]) -> None:
    follow([Frame(at, float(at), *frame) for at, frame in enumerate(frames, 1)], KeyStore())


@given(st.text(max_size=200))
@settings(max_examples=300)
def test_any_line_is_a_key_or_a_complaint(line: str) -> None:
    with suppress(ValueError):
        parse_line(line)
