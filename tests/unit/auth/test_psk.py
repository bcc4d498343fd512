# SPDX-License-Identifier: Apache-2.0
"""Authentication with a shared key (RFC 7296 §2.15)."""

import hmac

import pytest

from ikeway.auth import psk
from ikeway.crypto.prf import ROWS, Prf, prf
from ikeway.model.errors import AuthenticationError
from ikeway.model.secret import Secret

SHARED_KEY = Secret(b"a shared key")


@pytest.mark.conformance("CF-I01")
def test_auth_is_the_prf_with_the_padded_key() -> None:
    """prf( prf(Shared Secret, "Key Pad for IKEv2"), octets): 17 octets, no NUL."""
    pad = b"Key Pad for IKEv2"
    assert len(pad) == 17
    padded = hmac.digest(SHARED_KEY.octets, pad, "sha256")
    assert psk.compute(prf(5), SHARED_KEY, b"octets") == hmac.digest(padded, b"octets", "sha256")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
@pytest.mark.parametrize("octets", [b"x", b"x" * 16, b"long " * 40, b"\0nul\0"], ids=len)
def test_keys_of_any_length_verify_with_every_prf(row: Prf, octets: bytes) -> None:
    key = Secret(octets)
    psk.verify(row, key, b"octets", psk.compute(row, key, b"octets"))


@pytest.mark.conformance("CF-I01")
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_another_key_or_other_octets_do_not_verify(row: Prf) -> None:
    data = psk.compute(row, SHARED_KEY, b"octets")
    wrong = [
        (Secret(b"another key"), b"octets", data),
        (SHARED_KEY, b"octet", data),
        (SHARED_KEY, b"octets", data[:-1]),
        (SHARED_KEY, b"octets", data + b"\0"),
        (SHARED_KEY, b"octets", b""),
        (SHARED_KEY, b"octets", bytes(len(data))),
    ]
    for key, octets, claimed in wrong:
        with pytest.raises(AuthenticationError, match="the shared key does not match"):
            psk.verify(row, key, octets, claimed)


def test_the_signed_octets_are_message_nonce_and_maced_identity() -> None:
    """RealMessage | NonceData | prf(SK_p, RestOfIdPayload)."""
    octets = psk.auth_octets(b"message", b"nonce", prf(5), b"sk_p", b"\2\0\0\0name")
    assert octets == b"messagenonce" + hmac.digest(b"sk_p", b"\2\0\0\0name", "sha256")
