# SPDX-License-Identifier: Apache-2.0
"""Laws of the wire: what is encoded decodes to the same; any octets decode or are malformed."""

import random
from collections.abc import Iterator
from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.fuzz_wire import one_input
from ikeway.wire.codec import Body
from ikeway.wire.message import Flags, Header, Message, decode_chain, encode_chain
from ikeway.wire.payloads import PAYLOADS, Sealed, SecurityAssociation, Unknown
from ikeway.wire.registry import ExchangeType, PayloadType
from support.pcap import CAPTURES, ike_messages
from support.wire_strategies import values_of

OPEN = [one for one in PAYLOADS if not issubclass(one, Sealed)]
CHAIN = st.lists(st.one_of(*map(values_of, [*OPEN, Unknown])), max_size=6).filter(
    lambda bodies: all(not isinstance(b, SecurityAssociation) or b.proposals for b in bodies)
)
SPI = st.binary(min_size=8, max_size=8)
HEADERS = st.builds(
    Header,
    SPI,
    SPI,
    st.just(PayloadType.NONE),
    st.just(2),
    st.integers(0, 15),
    st.integers(0, 255).map(ExchangeType),
    st.integers(0, 7).map(lambda bits: Flags(bits << 3)),
    st.integers(0, 0xFFFFFFFF),
)
MUTATIONS = 100_000
SEALED = {PayloadType.SK, PayloadType.SKF}
PROPOSALS = 104
LOOKED_AT = 24
"""The head of any payload, and some octets of what it holds: a selector, or the head of an SPI."""


@pytest.mark.parametrize("kind", [*OPEN, Unknown], ids=lambda kind: kind.__name__)
def test_a_payload_survives_the_wire(kind: type[Body]) -> None:
    @given(values_of(kind))
    def holds(body: Body) -> None:
        if isinstance(body, SecurityAssociation) and not body.proposals:
            return  # an SA payload has at least one
        assert decode_chain(*encode_chain((body,))) == (body,)
        assert body.to_json()["payload"] == body.kind.name
        assert repr(body).startswith(kind.__name__)

    holds()


@given(HEADERS, CHAIN, st.none() | st.one_of(*map(values_of, set(PAYLOADS) - set(OPEN))))
def test_a_message_survives_the_wire(
    header: Header, bodies: list[Body], sealed: Body | None
) -> None:
    payloads = (*bodies, *([sealed] if sealed is not None else []))
    octets = Message(header, payloads).encode()
    decoded = Message.decode(octets)
    assert decoded.payloads == payloads
    assert decoded.encode() == octets
    assert decoded.header.message_id == header.message_id


@given(st.binary(max_size=200))
def test_any_octets_are_a_message_or_malformed(octets: bytes) -> None:
    one_input(octets)


@given(st.integers(0, 255), st.binary(max_size=120))
def test_any_chain_is_a_chain_or_malformed(first: int, octets: bytes) -> None:
    head = bytes(16) + pack("!BBBBII", first, 0x20, 34, 8, 0, 28 + len(octets))
    one_input(head + octets)


@given(st.sampled_from(PAYLOADS), st.binary(max_size=80))
def test_any_body_is_a_payload_or_malformed(kind: type[Body], octets: bytes) -> None:
    body = pack("!BBH", 0, 0, 4 + len(octets)) + octets
    head = bytes(16) + pack("!BBBBII", kind.payload_type, 0x20, 34, 8, 0, 28 + len(body))
    one_input(head + body)


def test_every_prefix_of_a_captured_message_is_malformed_or_whole() -> None:
    for octets in captured():
        for end in range(len(octets)):
            one_input(octets[:end])
            one_input(with_length(octets[:end]))


def test_every_bit_flip_in_a_captured_message_is_survived() -> None:
    for octets in captured():
        flipped = bytearray(octets)
        for at in telling(octets):
            for bit in range(8):
                flipped[at] ^= 1 << bit
                one_input(bytes(flipped))
                flipped[at] ^= 1 << bit


def test_random_mutations_of_captured_messages_are_survived() -> None:
    seeds = [octets for octets in captured() if len(octets) < 1000]
    chance = random.Random(7296)
    for _ in range(MUTATIONS):
        one_input(mutate(chance, chance.choice(seeds), chance.choice(seeds)))


def telling(octets: bytes) -> Iterator[int]:
    """Yield where a decoder looks, which stores SPIs, keys, nonces, hashes and what is sealed.

    Of what is stored the first octets stand for all, and of proposals the first ones.
    """
    yield from range(16, min(28, len(octets)))
    kind, at = octets[16], 28
    while kind and at + 4 <= len(octets):
        size = int.from_bytes(octets[at + 2 : at + 4])
        looked_at = min(size, PROPOSALS if kind == PayloadType.SA else LOOKED_AT)
        yield from range(at, min(at + max(looked_at, 4), len(octets)))
        kind, at = octets[at] if kind not in SEALED else 0, at + max(size, 4)


def captured() -> Iterator[bytes]:
    """Every distinct IKEv2 message of the captures."""
    seen: dict[bytes, None] = {}
    for path in sorted(CAPTURES.glob("*.pcap")):
        seen.update(dict.fromkeys(ike_messages(path)))
    yield from seen


def with_length(octets: bytes) -> bytes:
    """Return the message with the length that it has."""
    return octets[:24] + pack("!I", len(octets)) + octets[28:] if len(octets) >= 28 else octets


def mutate(chance: random.Random, octets: bytes, other: bytes) -> bytes:
    """Return a message with some octets changed, inserted, removed or taken from another one."""
    changed = bytearray(octets)
    for _ in range(chance.randint(1, 4)):
        at = chance.randrange(17, len(changed))
        match chance.randrange(5):
            case 0:
                changed[at] = chance.randrange(256)
            case 1:
                changed[at] ^= 1 << chance.randrange(8)
            case 2:
                changed[at:at] = chance.randbytes(chance.randint(1, 8))
            case 3:
                del changed[at : at + chance.randint(1, 8)]
            case _:
                changed[at : at + 8] = other[at : at + chance.randint(1, 40)]
        if len(changed) < 28:
            break
    return with_length(bytes(changed)) if chance.random() < 0.9 else bytes(changed)
