# SPDX-License-Identifier: Apache-2.0
"""Encryption algorithms: their sizes, and what they refuse."""

import pytest

from ikeway.crypto.encr import KEY_BITS, ROWS, Encryption, encryption
from ikeway.model.errors import IntegrityError

EVERY = [encryption(row.code, bits) for row in ROWS for bits in row.key_bits]
SIZES = {  # RFC 3602, 3686, 4106, 4309, 4543, 7634, 8750, 2451: key with salt, IV, block, ICV
    (3, 0): (24, 8, 8, 0),
    (11, 0): (0, 0, 1, 0),
    (12, 128): (16, 16, 16, 0),
    (12, 256): (32, 16, 16, 0),
    (13, 192): (28, 8, 1, 0),
    (14, 128): (19, 8, 1, 8),
    (15, 192): (27, 8, 1, 12),
    (16, 256): (35, 8, 1, 16),
    (18, 128): (20, 8, 1, 8),
    (19, 128): (20, 8, 1, 12),
    (20, 256): (36, 8, 1, 16),
    (21, 128): (20, 8, 1, 16),
    (28, 0): (36, 8, 1, 16),
    (29, 256): (35, 0, 1, 8),
    (30, 192): (28, 0, 1, 16),
    (31, 0): (36, 0, 1, 16),
}


@pytest.mark.parametrize(("which", "sizes"), SIZES.items())
def test_the_sizes_are_those_of_the_standard(
    which: tuple[int, int], sizes: tuple[int, int, int, int]
) -> None:
    row = encryption(*which)
    assert (row.key_octets, row.iv_octets, row.block_octets, row.icv_octets) == sizes
    assert row.is_aead is (sizes[3] > 0)


@pytest.mark.conformance("CF-K09")
@pytest.mark.parametrize("code", [12, 13, 14, 15, 16, 18, 19, 20, 21, 29, 30])
@pytest.mark.parametrize("key_bits", [0, 100, 127, 512, 65535])
def test_aes_without_one_of_its_key_lengths_does_not_exist(code: int, key_bits: int) -> None:
    assert key_bits not in KEY_BITS[code]
    with pytest.raises(LookupError, match=f"keys of {key_bits} bits"):
        encryption(code, key_bits)


@pytest.mark.conformance("CF-K09")
@pytest.mark.parametrize("code", [3, 28])
def test_a_cipher_with_one_key_length_does_not_exist_with_a_key_length(code: int) -> None:
    assert KEY_BITS[code] == (0,)
    with pytest.raises(LookupError, match="keys of 256 bits"):
        encryption(code, 256)


@pytest.mark.conformance("CF-W05")
@pytest.mark.parametrize("code", [0, 1, 2, 4, 5, 6, 7, 8, 9, 65535])
def test_single_des_and_its_age_are_absent(code: int) -> None:
    """RFC 8247 §2.1."""
    with pytest.raises(LookupError, match=f"no encryption algorithm {code}"):
        encryption(code, 0)


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row.name)
def test_a_cipher_gives_back_what_it_took(row: Encryption) -> None:
    key, iv = bytes(range(row.key_octets)), bytes(row.iv_octets)
    plaintext = bytes(range(48))
    sealed = row.encrypt(key, iv, plaintext, b"header")
    assert len(sealed) == len(plaintext) + row.icv_octets
    assert row.decrypt(key, iv, sealed, b"header") == plaintext


@pytest.mark.parametrize("row", [row for row in EVERY if row.is_aead], ids=lambda row: row.name)
def test_an_aead_cipher_notices_every_change(row: Encryption) -> None:
    key, iv = bytes(range(row.key_octets)), bytes(8)
    sealed = row.encrypt(key, iv, b"plaintext", b"header")
    other_key = bytes([1]) + key[1:]
    other_salt = key[:-1] + b"\xff"
    wrong = [
        (key, iv, sealed, b"other"),
        (key, bytes([1]) + iv[1:], sealed, b"header"),
        (other_key, iv, sealed, b"header"),
        (other_salt, iv, sealed, b"header"),
        (key, iv, sealed[:-1], b"header"),
        (key, iv, sealed[:3], b"header"),
        (key, iv, b"", b"header"),
        (key, iv, bytes([sealed[0] ^ 1]) + sealed[1:], b"header"),
        (key, iv, sealed[:-1] + bytes([sealed[-1] ^ 1]), b"header"),
    ]
    if not row.iv_octets:  # it is not sent, and so cannot be changed
        del wrong[1]
    for arguments in wrong:
        with pytest.raises(IntegrityError):
            row.decrypt(*arguments)


@pytest.mark.parametrize("code", [3, 12])
def test_a_part_of_a_block_is_an_integrity_error(code: int) -> None:
    row = encryption(code, KEY_BITS[code][0])
    with pytest.raises(IntegrityError, match="whole blocks"):
        row.decrypt(bytes(range(row.key_octets)), bytes(row.iv_octets), bytes(17))


@pytest.mark.parametrize("row", EVERY, ids=lambda row: row.name)
def test_a_key_of_another_length_is_refused(row: Encryption) -> None:
    with pytest.raises(ValueError, match="a key of"):
        row.keyed(bytes(row.key_octets + 1))


def test_an_iv_that_is_not_sent_is_the_sequence_number() -> None:
    """RFC 8750 §4: figures 1 and 2."""
    key = bytes(range(36))
    explicit, implicit = encryption(20, 256), encryption(30, 256)
    for number in (bytes.fromhex("00000007"), bytes.fromhex("0000000100000007")):
        associated = b"spi." + number
        sealed = explicit.encrypt(key, number.rjust(8, b"\0"), b"plaintext", associated)
        assert implicit.encrypt(key, b"", b"plaintext", associated) == sealed


def test_gmac_protects_the_iv_and_encrypts_nothing() -> None:
    """The GMAC packet of draft-mcgrew-gcm-test-01, which goes with RFC 4543."""
    row = encryption(21, 128)
    key = bytes.fromhex("4c80cdefbb5d10da906ac73c3613a63422433c64")
    payload = bytes.fromhex(
        "45000030da3a00008001df3bc0a80005c0a800010800c6cd0200070061626364"
        "65666768696a6b6c6d6e6f707172737401020201"
    )
    sealed = row.encrypt(key, bytes(8), payload, bytes.fromhex("0000432100000007"))
    assert sealed == payload + bytes.fromhex("f2a9a836e155106aa8dcd618e4099aaa")


def test_only_ciphers_that_draw_an_unpredictable_iv_do_not_count() -> None:
    assert {row.code for row in EVERY if not row.iv_is_counter} == {3, 12}
