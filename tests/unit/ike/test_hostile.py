# SPDX-License-Identifier: Apache-2.0
"""Whatever comes in: nothing escapes, nothing changes, and little is said (I1, I2, I4)."""

import pytest

from ikeway.ike.states import Established
from support.forge import sealed_octets, session_in
from support.hostile import HOSTILE, MOST
from support.hosts import CBC, GCM, Row
from support.stages import (
    HEADS,
    STAGES,
    WAYS,
    Stage,
    attack,
    check,
    fitted,
    flips,
    mutations,
    prefixes,
    stage,
)

CASES = [(row, way, name) for row in (GCM, CBC) for way in WAYS for name in STAGES]
IDS = [f"{row}-{way}-{name}" for row, way, name in CASES]
AT_EVERY_STAGE = pytest.mark.parametrize(("row", "way", "name"), CASES, ids=IDS)
MUTATIONS = 200
"""For each stage; `bench/hostile_input.py` takes 100,000."""

SEALED = (0, 33, 34, 35, 36, 37, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 48, 53, 200)


@AT_EVERY_STAGE
def test_every_prefix_of_a_message_is_harmless(row: Row, way: str, name: str) -> None:
    at = stage(row, way, name)
    attack(at, prefixes(at.genuine.octets))
    assert_goes_on(at)


@pytest.mark.thorough
@AT_EVERY_STAGE
def test_every_flip_of_a_bit_is_harmless(row: Row, way: str, name: str) -> None:
    at = stage(row, way, name)
    attack(at, flips(at.genuine.octets))
    assert_goes_on(at)


@AT_EVERY_STAGE
def test_random_mutations_are_harmless(row: Row, way: str, name: str) -> None:
    at = stage(row, way, name)
    attack(at, mutations(at.genuine.octets, MUTATIONS, seed=CASES.index((row, way, name))))
    assert_goes_on(at)


@AT_EVERY_STAGE
def test_long_chains_in_the_clear_are_harmless(row: Row, way: str, name: str) -> None:
    at = stage(row, way, name)
    head = at.genuine.octets[:16]
    for octets in HOSTILE.values():
        assert len(octets) <= 65535
        for flags in (0x00, 0x08, 0x20, 0x28):
            changed = head + octets[16:19] + bytes([flags]) + octets[20:]
            check(at, changed, at.receive(changed))
            plain = octets[:19] + bytes([flags]) + octets[20:]
            check(at, plain, at.receive(plain))
    assert_goes_on(at)


def assert_goes_on(at: Stage) -> None:
    """Check that after all of this the handshake comes to its end."""
    assert at.is_unchanged
    at.ladder.deliver(at.host, at.genuine)
    at.ladder.settle()
    assert isinstance(at.ladder.left.states[0], Established), at.ladder.left.events[-3:]
    assert isinstance(at.ladder.right.states[0], Established), at.ladder.right.events[-3:]
    assert at.ladder.left.installed
    assert at.ladder.right.installed


PROTECTED = [case for case in CASES if not case[2].startswith("IKE_SA_INIT")]


@pytest.mark.parametrize(
    ("row", "way", "name"), PROTECTED, ids=[f"{r}-{w}-{n}" for r, w, n in PROTECTED]
)
def test_long_chains_of_the_peer_itself_end_in_actions(row: Row, way: str, name: str) -> None:
    """A peer that has keys may end its own IKE SA; it may not break ours."""
    at = stage(row, way, name)
    (sender,) = at.ladder.other(at.host).endpoint.sas
    session = session_in(sender.state)
    number = int.from_bytes(at.genuine.octets[20:24])
    exchange, is_response = HEADS[name]
    for kind in SEALED:
        for body in (b"", b"\0\0\0\0", b"\x01\x00\x00\x00"):
            part = bytes([kind, 0]) + (4 + len(body)).to_bytes(2) + body
            plaintext = part * ((MOST - 100) // len(part))
            octets = sealed_octets(
                session, kind, plaintext, number, exchange, is_response=is_response
            )
            assert len(octets) <= 65535
            assert at.receive(octets)
            at.restore()
    assert_goes_on(at)


@pytest.mark.parametrize(
    ("row", "way", "name"), PROTECTED, ids=[f"{r}-{w}-{n}" for r, w, n in PROTECTED]
)
def test_random_content_of_the_peer_itself_ends_in_actions(row: Row, way: str, name: str) -> None:
    """What is inside SK is mutated before it is sealed."""
    at = stage(row, way, name)
    (sender,) = at.ladder.other(at.host).endpoint.sas
    session = session_in(sender.state)
    receiver = session_in(next(iter(at.states.values())))
    number = int.from_bytes(at.genuine.octets[20:24])
    exchange, is_response = HEADS[name]
    octets = at.genuine.octets
    inside = receiver.keyring.protection.open(receiver.keyring.peer, octets[:32], octets[32:])
    for plaintext in mutations(inside, MUTATIONS, seed=7):
        made = sealed_octets(
            session, octets[28], plaintext, number, exchange, is_response=is_response
        )
        at.receive(made)
        at.restore()
    assert_goes_on(at)
    assert fitted(octets) == octets
