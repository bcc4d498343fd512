# SPDX-License-Identifier: Apache-2.0
"""The Encrypted payload (RFC 7296 §3.14, RFC 5282, RFC 7383)."""

import pytest

from ikeway.crypto.encr import encryption
from ikeway.crypto.integ import integrity
from ikeway.crypto.protection import DirectionKeys, Protection
from ikeway.model.errors import IntegrityError
from ikeway.model.secret import Secret

SUITES = [(3, 0, 2), (12, 128, 2), (12, 256, 12), (12, 256, 14), (13, 192, 13), (12, 128, 5)] + [
    (code, bits, 0) for code in (14, 15, 16, 18, 19, 20) for bits in (128, 256)
]
SUITES.append((28, 0, 0))
PREFIX = bytes(range(32))
CBC = Protection.of(12, 128, 12)


def keys(protection: Protection) -> DirectionKeys:
    encr = bytes(range(protection.encr_key_octets))
    return DirectionKeys(Secret(encr), Secret(bytes(range(protection.integ_key_octets))))


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_every_length_opens_as_it_was_sealed_and_is_as_long_as_foretold(
    suite: tuple[int, int, int],
) -> None:
    protection = Protection.of(*suite)
    cipher = protection.bind(keys(protection))
    for size in range(35):
        plaintext = bytes(range(size))
        body = cipher.seal(bytes(protection.iv_octets), PREFIX, plaintext)
        assert len(body) == protection.body_octets(size)
        assert cipher.open(PREFIX, body) == plaintext
        assert protection.plaintext_octets(len(body)) >= size


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_plaintext_octets_is_the_most_that_fits(suite: tuple[int, int, int]) -> None:
    protection = Protection.of(*suite)
    for room in range(protection.body_octets(0), 200):
        most = protection.plaintext_octets(room)
        assert protection.body_octets(most) <= room < protection.body_octets(most + 1)
    assert protection.plaintext_octets(protection.body_octets(0) - 1) < 0


@pytest.mark.conformance("CF-K14")
@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_a_flipped_bit_of_prefix_or_body_is_an_integrity_error(
    suite: tuple[int, int, int],
) -> None:
    protection = Protection.of(*suite)
    cipher = protection.bind(keys(protection))
    message = PREFIX + cipher.seal(bytes(protection.iv_octets), PREFIX, b"plaintext")
    for at in range(8 * len(message)):
        changed = bytearray(message)
        changed[at // 8] ^= 1 << at % 8
        with pytest.raises(IntegrityError):
            cipher.open(bytes(changed[:32]), bytes(changed[32:]))


@pytest.mark.parametrize("suite", SUITES, ids=str)
def test_a_body_of_any_shorter_length_is_an_integrity_error(suite: tuple[int, int, int]) -> None:
    protection = Protection.of(*suite)
    cipher = protection.bind(keys(protection))
    body = cipher.seal(bytes(protection.iv_octets), PREFIX, b"plaintext")
    for size in range(len(body)):
        with pytest.raises(IntegrityError):
            cipher.open(PREFIX, body[:size])


@pytest.mark.conformance("CF-K16")
@pytest.mark.parametrize("code", [14, 15, 16, 18, 19, 20])
def test_aead_takes_the_prefix_as_associated_data_and_the_salt_into_the_nonce(code: int) -> None:
    """RFC 5282 §3, §4, §5.1: an IV of 8 octets after a salt of 4, or of 3 for CCM."""
    protection = Protection.of(code, 128)
    both = keys(protection)
    iv = bytes(range(1, 9))
    row = encryption(code, 128)
    assert row.salt_octets == (3 if code <= 16 else 4)
    body = protection.seal(both, iv, PREFIX, b"payloads")
    assert body == iv + row.encrypt(both.encr.octets, iv, b"payloads\0", PREFIX)


@pytest.mark.conformance("CF-K13")
@pytest.mark.parametrize("padding", [3, 19, 243])
def test_any_padding_that_fills_the_blocks_is_accepted(padding: int) -> None:
    """RFC 7296 §3.14: the sender chooses contents and length of the padding."""
    both = keys(CBC)
    padded = b"twelve octet" + bytes([0xA5]) * padding + bytes([padding])
    iv = bytes(range(16))
    sealed = iv + encryption(12, 128).encrypt(both.encr.octets, iv, padded)
    icv = integrity(12).compute(both.integ.octets, PREFIX, sealed)
    assert CBC.open(both, PREFIX, sealed + icv) == b"twelve octet"


@pytest.mark.conformance("CF-K13")
def test_the_iv_of_cbc_is_the_one_that_the_caller_drew() -> None:
    """Whoever calls draws it afresh, which `iv_is_counter` tells: another IV, another body."""
    assert not CBC.iv_is_counter
    one = CBC.seal(keys(CBC), bytes(16), PREFIX, b"payloads")
    two = CBC.seal(keys(CBC), bytes(range(16)), PREFIX, b"payloads")
    assert one[:16] == bytes(16)
    assert one[16:32] != two[16:32]


def test_padding_that_is_longer_than_the_payload_is_an_integrity_error() -> None:
    both = keys(CBC)
    padded, iv = bytes(15) + bytes([16]), bytes(16)
    sealed = iv + encryption(12, 128).encrypt(both.encr.octets, iv, padded)
    icv = integrity(12).compute(both.integ.octets, PREFIX, sealed)
    with pytest.raises(IntegrityError, match="padding"):
        CBC.open(both, PREFIX, sealed + icv)


def test_the_numbers_of_a_fragment_are_protected_as_part_of_the_prefix() -> None:
    """RFC 7383 §2.5: the prefix of SKF is four octets longer."""
    protection = Protection.of(20, 256)
    cipher = protection.bind(keys(protection))
    fragment_1, fragment_2 = PREFIX + bytes([0, 1, 0, 2]), PREFIX + bytes([0, 2, 0, 2])
    body = cipher.seal(bytes(8), fragment_1, b"part")
    assert cipher.open(fragment_1, body) == b"part"
    with pytest.raises(IntegrityError):
        cipher.open(fragment_2, body)


@pytest.mark.parametrize("size", [0, 15, 17])
def test_an_iv_of_another_length_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match=f"an IV of {size} octets, not 16"):
        CBC.seal(keys(CBC), bytes(size), PREFIX, b"")


@pytest.mark.conformance("CF-W05")
@pytest.mark.parametrize("suite", [(11, 0, 12), (20, 128, 12), (12, 128, 0), (12, 128, 1)])
def test_what_does_not_protect_ike_is_a_lookup_error(suite: tuple[int, int, int]) -> None:
    """NULL; AEAD with an integrity algorithm (RFC 5282 §8); CBC with none or with MD5."""
    with pytest.raises(LookupError):
        Protection.of(*suite)


def test_a_protection_is_made_once() -> None:
    assert Protection.of(20, 128) is Protection.of(20, 128, 0)
