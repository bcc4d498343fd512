# SPDX-License-Identifier: Apache-2.0
"""SK and SKF payloads are opened with the right keys, and with no others (RFC 7383 §2.6)."""

from dataclasses import replace
from itertools import pairwise, permutations

import pytest

from ikeway.crypto.protection import DirectionKeys, Protection
from ikeway.model.identity import IdType
from ikeway.model.secret import Secret
from ikeway.trace.chain import Broken
from ikeway.trace.keys import IkeSaKeys, KeyStore
from ikeway.trace.opener import Algorithms
from ikeway.trace.sealed import FRAGMENTED_MOST, Content, MessageOpener, Sealing
from ikeway.wire.message import HEADER_OCTETS, Flags, Header, Message, encode_chain
from ikeway.wire.payloads import (
    Encrypted,
    EncryptedFragment,
    IdI,
    Nonce,
)
from ikeway.wire.registry import ExchangeType, PayloadType

SPIS = (b"SPI of i", b"SPI of r")
BODIES = (IdI(IdType.FQDN, b"west.example"), Nonce(b"n" * 200))
GCM, CBC = Algorithms(20, 256), Algorithms(12, 128, 12)


def row(algorithms: Algorithms, letter: str = "k") -> IkeSaKeys:
    protection = Protection.of(algorithms.encr, algorithms.key_bits, algorithms.integ)
    encr = Secret(letter.encode() * protection.encr_key_octets)
    integ = Secret(letter.upper().encode() * protection.integ_key_octets)
    return IkeSaKeys(*SPIS, algorithms, encr, encr, integ, integ)


def store(*rows: IkeSaKeys) -> KeyStore:
    made = KeyStore()
    made.add(rows)
    return made


def seal(
    algorithms: Algorithms,
    plaintext: bytes,
    first: PayloadType,
    fragment: tuple[int, int] | None = None,
    message_id: int = 1,
) -> bytes:
    """Return a whole message with an SK or SKF payload."""
    protection = Protection.of(algorithms.encr, algorithms.key_bits, algorithms.integ)
    keys = row(algorithms)
    numbers = b"" if fragment is None else b"".join(number.to_bytes(2) for number in fragment)
    kind = PayloadType.SK if fragment is None else PayloadType.SKF
    size = 4 + len(numbers) + protection.body_octets(len(plaintext))
    header = Header(
        *SPIS,
        kind,
        2,
        0,
        ExchangeType.IKE_AUTH,
        Flags.INITIATOR,
        message_id,
        HEADER_OCTETS + size,
    )
    prefix = header.encode() + bytes([first, 0]) + size.to_bytes(2) + numbers
    direction = DirectionKeys(keys.encr_i, keys.integ_i)
    iv = bytes(protection.iv_octets)
    return prefix + protection.seal(direction, iv, prefix, plaintext)


def take(opener: MessageOpener, octets: bytes) -> Content:
    message = Message.decode(octets)
    body = message.payloads[-1]
    assert isinstance(body, Encrypted | EncryptedFragment)
    return opener.open(message.header, octets, body)


def pieces(algorithms: Algorithms, count: int, message_id: int = 1) -> list[bytes]:
    first, chain = encode_chain(BODIES)
    cuts = [len(chain) * at // count for at in range(count + 1)]
    return [
        seal(
            algorithms,
            chain[start:end],
            first if number == 1 else PayloadType.NONE,
            (number, count),
            message_id,
        )
        for number, (start, end) in enumerate(pairwise(cuts), 1)
    ]


@pytest.mark.parametrize("algorithms", [GCM, CBC])
def test_a_message_is_opened(algorithms: Algorithms) -> None:
    first, chain = encode_chain(BODIES)
    content = take(MessageOpener(store(row(algorithms))), seal(algorithms, chain, first))
    assert content == Content(Sealing.VERIFIED, BODIES)


@pytest.mark.parametrize("algorithms", [GCM, CBC])
def test_fragments_in_any_order_are_put_together(algorithms: Algorithms) -> None:
    made = pieces(algorithms, 3)
    for order in permutations(made):
        opener = MessageOpener(store(row(algorithms)))
        waiting = [take(opener, octets) for octets in order]
        assert [one.waits_for for one in waiting] == [2, 1, 0]
        assert waiting[-1].parts == BODIES


def test_a_repeated_fragment_changes_nothing_and_more_fragments_start_anew() -> None:
    opener = MessageOpener(store(row(GCM)))
    two, three = pieces(GCM, 2), pieces(GCM, 3)
    assert take(opener, two[0]).waits_for == 1
    assert take(opener, two[0]).waits_for == 1
    assert take(opener, three[1]).waits_for == 2
    assert take(opener, two[1]).waits_for == 2
    assert take(opener, three[0]).waits_for == 1
    assert take(opener, three[2]).parts == BODIES


def test_fragments_that_never_become_whole_do_not_pile_up() -> None:
    opener = MessageOpener(store(row(GCM)))
    for message_id in range(3 * FRAGMENTED_MOST):
        take(opener, pieces(GCM, 2, message_id)[0])
    assert take(opener, pieces(GCM, 2, 0)[1]).waits_for == 1
    last = 3 * FRAGMENTED_MOST - 1
    assert take(opener, pieces(GCM, 2, last)[1]).parts == BODIES


@pytest.mark.parametrize("algorithms", [GCM, CBC])
def test_wrong_keys_are_told_from_none(algorithms: Algorithms) -> None:
    first, chain = encode_chain(BODIES)
    octets = seal(algorithms, chain, first)
    assert take(MessageOpener(store()), octets).sealing is Sealing.NO_KEYS
    wrong = store(row(algorithms, "w"))
    assert take(MessageOpener(wrong), octets).sealing is Sealing.WRONG_KEYS
    both = store(row(algorithms), row(algorithms, "w"))
    assert take(MessageOpener(both), octets).sealing is Sealing.VERIFIED


def test_a_changed_message_is_shown_as_failed_and_of_an_aead_not_at_all() -> None:
    first, chain = encode_chain(BODIES)
    for algorithms, expected in ((CBC, Sealing.FAILED), (GCM, Sealing.WRONG_KEYS)):
        octets = bytearray(seal(algorithms, chain, first))
        octets[-1] ^= 1
        content = take(MessageOpener(store(row(algorithms))), bytes(octets))
        assert content.sealing is expected
        assert content.parts == (BODIES if expected is Sealing.FAILED else ())


def test_without_an_integrity_key_the_content_is_unchecked() -> None:
    first, chain = encode_chain(BODIES)
    keys = replace(row(CBC), algorithms=Algorithms(12, 128, unchecked_octets=16))
    content = take(MessageOpener(store(keys)), seal(CBC, chain, first))
    assert content == Content(Sealing.UNCHECKED, BODIES)


def test_a_broken_payload_hides_no_other() -> None:
    first, chain = encode_chain((Nonce(b"n" * 16), *BODIES))
    cut = chain[:2] + (4).to_bytes(2) + chain[20:]  # the nonce has no octets any more
    content = take(MessageOpener(store(row(GCM))), seal(GCM, cut, first))
    assert isinstance(content.parts[0], Broken)
    assert content.parts[1:] == BODIES
