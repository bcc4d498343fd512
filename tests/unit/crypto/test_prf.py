# SPDX-License-Identifier: Apache-2.0
"""Pseudorandom functions and prf+ (RFC 7296 §2.13)."""

import hashlib
import hmac

import pytest

from ikeway.crypto.prf import ROWS, Prf, prf
from ikeway.model.errors import IntegrityError

NONCE_I, NONCE_R = bytes(range(32)), bytes(range(32, 72))


def test_prf_plus_is_the_chain_of_the_rfc() -> None:
    """T1 = prf(K, S | 1), T2 = prf(K, T1 | S | 2), ..."""
    key, seed = b"k" * 20, b"seed"
    first = hmac.digest(key, seed + b"\1", "sha256")
    second = hmac.digest(key, first + seed + b"\2", "sha256")
    third = hmac.digest(key, second + seed + b"\3", "sha256")
    assert prf(5).prf_plus(key, seed, 80) == (first + second + third)[:80]


@pytest.mark.conformance("CF-H05")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_prf_plus_ends_with_its_255th_block(row: Prf) -> None:
    most = 255 * row.output_octets
    assert len(row.prf_plus(b"key", b"seed", most)) == most
    with pytest.raises(ValueError, match="256 blocks, more than 255"):
        row.prf_plus(b"key", b"seed", most + 1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_longer_prf_plus_begins_with_a_shorter_one(row: Prf) -> None:
    whole = row.prf_plus(b"key", b"seed", 200)
    assert all(row.prf_plus(b"key", b"seed", size) == whole[:size] for size in (0, 1, 16, 65, 199))


@pytest.mark.conformance("CF-H07")
@pytest.mark.parametrize("code", [4, 8])
def test_a_prf_with_fixed_keys_takes_eight_octets_of_each_nonce(code: int) -> None:
    assert prf(code).skeyseed_key(NONCE_I, NONCE_R) == NONCE_I[:8] + NONCE_R[:8]


@pytest.mark.parametrize("code", [2, 5, 6, 7])
def test_hmac_takes_both_nonces_whole(code: int) -> None:
    assert prf(code).skeyseed_key(NONCE_I, NONCE_R) == NONCE_I + NONCE_R


@pytest.mark.conformance("CF-H08")
def test_a_long_key_of_xcbc_is_hashed_and_a_short_one_padded() -> None:
    """RFC 4434 §2."""
    row, long = prf(4), bytes(range(40))
    hashed = row.compute(bytes(16), long)
    assert row.compute(long, b"data") == row.compute(hashed, b"data")
    assert row.compute(b"short", b"data") == row.compute(b"short".ljust(16, b"\0"), b"data")


@pytest.mark.conformance("CF-H08")
@pytest.mark.parametrize("key", [b"", b"short", bytes(range(17)), bytes(range(64))])
def test_a_key_of_cmac_with_another_length_is_hashed(key: bytes) -> None:
    """RFC 4615 §3."""
    row = prf(8)
    hashed = row.compute(bytes(16), key)
    assert row.compute(key, b"data") == row.compute(hashed, b"data")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_verify_takes_the_output_and_nothing_else(row: Prf) -> None:
    output = row.compute(b"key", b"data")
    row.verify(b"key", b"data", output)
    for wrong in (b"", output[:-1], output + b"\0", bytes(len(output))):
        with pytest.raises(IntegrityError):
            row.verify(b"key", b"data", wrong)


@pytest.mark.parametrize(("code", "digest"), [(5, "sha256"), (6, "sha384"), (7, "sha512")])
def test_the_sizes_of_hmac_are_those_of_its_hash(code: int, digest: str) -> None:
    row = prf(code)
    assert row.key_octets == row.output_octets == hashlib.new(digest).digest_size


@pytest.mark.parametrize("code", [0, 1, 3, 9])
def test_what_we_do_not_have_is_a_lookup_error(code: int) -> None:
    """HMAC-MD5 (1) and HMAC-TIGER (3) are absent on purpose (RFC 8247 §2.2)."""
    with pytest.raises(LookupError, match=f"no PRF {code}"):
        prf(code)
