# SPDX-License-Identifier: Apache-2.0
"""Integrity algorithms."""

import pytest

from ikeway.crypto.integ import ROWS, Integrity, integrity
from ikeway.model.errors import IntegrityError


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_parts_are_taken_as_one_message(row: Integrity) -> None:
    key = bytes(row.key_octets)
    assert row.compute(key, b"one", b"", b"two") == row.compute(key, b"onetwo")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_keyed_algorithm_serves_many_messages(row: Integrity) -> None:
    keyed = row.keyed(bytes(row.key_octets))
    first = keyed.compute(b"message")
    assert keyed.compute(b"another") != first
    assert keyed.compute(b"message") == first
    assert len(first) == row.icv_octets


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_wrong_value_fails_whatever_its_length(row: Integrity) -> None:
    key = bytes(row.key_octets)
    icv = row.compute(key, b"message")
    for wrong in (b"", icv[:-1], icv + b"\0", bytes(len(icv)), icv[:-1] + bytes([icv[-1] ^ 1])):
        with pytest.raises(IntegrityError, match="does not verify"):
            row.verify(key, wrong, b"message")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_key_of_another_length_is_refused(row: Integrity) -> None:
    with pytest.raises(ValueError, match="a key of"):
        row.keyed(bytes(row.key_octets + 1))


@pytest.mark.parametrize("code", [0, 1, 3, 4, 65535])
def test_what_we_do_not_have_is_a_lookup_error(code: int) -> None:
    """HMAC-MD5 (1), DES-MAC (3) and KPDK-MD5 (4) are absent on purpose (RFC 8247 §2.3)."""
    with pytest.raises(LookupError, match=f"no integrity algorithm {code}"):
        integrity(code)
