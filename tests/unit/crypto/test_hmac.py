# SPDX-License-Identifier: Apache-2.0
"""RFC 2104, RFC 7748: what the engine computes for the core is what others compute."""

import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikeway._engine import Hmac, x25519
from ikeway.crypto.curves import Curve25519, Montgomery
from ikeway.crypto.kex import key_exchange
from ikeway.model.secret import Secret

HASHES = {20: "sha1", 32: "sha256", 48: "sha384", 64: "sha512"}


@given(
    st.sampled_from(list(HASHES)),
    st.binary(max_size=200),
    st.lists(st.binary(max_size=200), max_size=4),
)
def test_hmac_is_that_of_the_standard_library(size: int, key: bytes, parts: list[bytes]) -> None:
    keyed = Hmac(size, key)
    expected = hmac.digest(key, b"".join(parts), HASHES[size])
    assert keyed.compute(*parts) == expected
    assert keyed.compute(*parts) == expected, "a key serves for any number of codes"


def test_only_hashes_that_ike_has_make_codes() -> None:
    with pytest.raises(ValueError, match="no HMAC of 16 octets"):
        Hmac(16, b"key")


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_curve25519_with_one_call_is_what_it_is_with_several(ours: bytes, theirs: bytes) -> None:
    group = key_exchange(31).group  # type: ignore[attr-defined]
    assert isinstance(group, Curve25519)
    public = group.public(Secret(theirs))
    assert group.meet(Secret(ours), public) == Montgomery.meet(group, Secret(ours), public)


@pytest.mark.parametrize("peer", [bytes(32), bytes((1, *bytes(31))), bytes(31), b""])
def test_values_of_small_order_or_another_length_are_refused(peer: bytes) -> None:
    with pytest.raises(ValueError, match="small order"):
        x25519(bytes(range(32)), peer)
