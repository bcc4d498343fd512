# SPDX-License-Identifier: Apache-2.0
"""Key exchange methods: both sides agree, and received values are tested (RFC 6989)."""

from typing import cast

import pytest

from ikeway.crypto import ml_kem
from ikeway.crypto.kex import ROWS, DhMethod, KeyExchangeMethod, key_exchange
from ikeway.crypto.ml_kem import MlKem
from ikeway.crypto.modp import Modp
from ikeway.crypto.random import SeededRandom
from ikeway.model.errors import InvalidPublicValueError
from ikeway.model.secret import Secret

EVERY = pytest.mark.parametrize("method", ROWS, ids=lambda row: row.name)
MODP = pytest.mark.parametrize(
    "method", [key_exchange(code) for code in (5, 14, 15)], ids=lambda row: row.name
)
ECP = pytest.mark.parametrize(
    "method", [key_exchange(code) for code in (19, 20, 21)], ids=lambda row: row.name
)
KEM = pytest.mark.parametrize("method", ml_kem.ROWS, ids=lambda row: row.name)
# RFC 7748 §6: the u coordinates of points of small order on Curve25519 and on its twist.
SMALL_ORDER = [
    "00" * 32,
    "01" + "00" * 31,
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
    "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
    "ec" + "ff" * 30 + "7f",
    "ed" + "ff" * 30 + "7f",
    "ee" + "ff" * 30 + "7f",
    "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b880",
    "ed" + "ff" * 31,
]


def random(seed: int = 1) -> SeededRandom:
    return SeededRandom(Secret(bytes([seed]) * 32))


@EVERY
def test_both_sides_find_the_same_secret(method: KeyExchangeMethod) -> None:
    offer = method.offer(random(1))
    answer, shared = method.answer(random(2), offer.public)
    assert method.finish(offer.private, answer) == shared
    assert (len(offer.public), len(answer)) == (method.offer_octets, method.answer_octets)


@EVERY
def test_the_same_random_octets_give_the_same_exchange(method: KeyExchangeMethod) -> None:
    one, two = method.offer(random()), method.offer(random())
    assert one == two
    if not isinstance(method, MlKem):  # which draws its answer itself
        assert method.answer(random(2), one.public) == method.answer(random(2), two.public)


@EVERY
def test_every_offer_is_another_one(method: KeyExchangeMethod) -> None:
    source = random()
    assert method.offer(source).public != method.offer(source).public


@EVERY
@pytest.mark.conformance("CF-K10", "CF-W02")
def test_a_value_of_another_length_is_refused(method: KeyExchangeMethod) -> None:
    offer = method.offer(random(1))
    for wrong in (b"", offer.public[:-1], offer.public + b"\0", b"\0" + offer.public):
        with pytest.raises(InvalidPublicValueError, match="octets, not"):
            method.answer(random(2), wrong)
        with pytest.raises(InvalidPublicValueError, match="octets, not"):
            method.finish(offer.private, wrong)


@EVERY
def test_nothing_of_the_private_value_is_printed(method: KeyExchangeMethod) -> None:
    offer = method.offer(random())
    assert offer.private.octets.hex()[:16] not in repr(offer)


@KEM
@pytest.mark.conformance("CF-Q15")
def test_an_encapsulation_key_that_is_not_reduced_is_refused(method: MlKem) -> None:
    """FIPS 203 §7.2, the modulus check: every number of 12 bits is less than 3329."""
    offer = method.offer(random()).public
    for wrong in (b"\xff" * 3 + offer[3:], b"\x01\x0d\0" + offer[3:], b"\xff" * len(offer)):
        with pytest.raises(InvalidPublicValueError, match="not reduced"):
            method.answer(random(), wrong)
    assert method.answer(random(), b"\0\x0d\0" + offer[3:])  # 3328 is the largest


@KEM
@pytest.mark.conformance("CF-Q15")
def test_a_forged_ciphertext_gives_a_secret_that_nobody_else_has(method: MlKem) -> None:
    """FIPS 203 §6.3, implicit rejection: no error, and always the same useless secret."""
    offer = method.offer(random(1))
    answer, shared = method.answer(random(2), offer.public)
    forged = bytes([answer[0] ^ 1]) + answer[1:]
    assert method.finish(offer.private, forged) == method.finish(offer.private, forged) != shared


@KEM
def test_the_lengths_are_those_of_the_draft(method: MlKem) -> None:
    """draft-ietf-ipsecme-ikev2-mlkem §2.3."""
    assert (method.offer_octets, method.answer_octets) == {
        "ML_KEM_768": (1184, 1088),
        "ML_KEM_1024": (1568, 1568),
    }[method.name]


@MODP
@pytest.mark.conformance("CF-W01")
def test_a_modp_value_outside_of_1_and_p_minus_1_is_refused(method: DhMethod) -> None:
    prime = cast("Modp", method.group).prime
    most = 2 ** (8 * method.offer_octets) - 1
    for wrong in (0, 1, prime - 1, prime, prime + 1, most):
        with pytest.raises(InvalidPublicValueError, match="1 < r < p-1"):
            method.answer(random(), wrong.to_bytes(method.offer_octets))


@MODP
@pytest.mark.conformance("CF-W01")
def test_the_first_and_last_modp_value_in_range_are_accepted(method: DhMethod) -> None:
    prime = cast("Modp", method.group).prime
    for fine in (2, prime - 2):
        method.answer(random(), fine.to_bytes(method.offer_octets))


@MODP
@pytest.mark.conformance("CF-H06")
def test_a_short_modp_secret_is_padded_on_the_left(method: DhMethod) -> None:
    """2^3 is a secret of one octet; it counts as many as the prime."""
    shared = method.finish(Secret(b"\3"), (2).to_bytes(method.answer_octets))
    assert shared.octets == (8).to_bytes(method.answer_octets)


@MODP
def test_a_modp_exponent_has_its_whole_length(method: DhMethod) -> None:
    """So that the time of an exponentiation does not depend on it."""
    group = cast("Modp", method.group)
    zeros = ZeroRandom()
    assert int.from_bytes(group.private(zeros).octets).bit_length() == group.exponent_bits


@ECP
@pytest.mark.conformance("CF-W02")
def test_a_point_that_is_not_on_the_curve_is_refused(method: DhMethod) -> None:
    point = bytearray(method.offer(random()).public)
    point[-1] ^= 1
    for wrong in (bytes(point), bytes(len(point)), b"\xff" * len(point)):
        with pytest.raises(InvalidPublicValueError, match="not on"):
            method.answer(random(), wrong)


@ECP
def test_a_scalar_out_of_range_is_drawn_again(method: DhMethod) -> None:
    """Zero, then all ones, then a fine one: a bias would leak (FIPS 186-5 §A.2.2)."""
    half = method.offer_octets // 2
    source = ListedRandom([bytes(half), b"\xff" * half, bytes([0]) + bytes([7]) * (half - 1)])
    method.offer(source)
    assert not source.parts


@pytest.mark.conformance("CF-W04")
@pytest.mark.parametrize("text", SMALL_ORDER)
def test_a_curve25519_value_of_small_order_is_refused(text: str) -> None:
    """The secret would be zero whatever our part is (RFC 7748 §6.1)."""
    with pytest.raises(InvalidPublicValueError, match="small order"):
        key_exchange(31).answer(random(), bytes.fromhex(text))


@pytest.mark.conformance("CF-W04")
@pytest.mark.parametrize("text", ["00" * 56, "01" + "00" * 55, "fe" + "ff" * 27 + "fe" + "ff" * 27])
def test_a_curve448_value_of_small_order_is_refused(text: str) -> None:
    with pytest.raises(InvalidPublicValueError, match="small order"):
        key_exchange(32).answer(random(), bytes.fromhex(text))


@pytest.mark.conformance("CF-W04")
def test_the_top_bit_of_a_curve25519_value_is_masked() -> None:
    """RFC 7748 §5, RFC 8031 §3.2."""
    method = key_exchange(31)
    value = bytearray(method.offer(random()).public)
    value[-1] |= 0x80
    masked = bytes(value[:-1]) + bytes([value[-1] & 0x7F])
    assert method.answer(random(2), bytes(value)) == method.answer(random(2), masked)


@pytest.mark.conformance("CF-W04")
def test_a_curve25519_value_that_is_not_canonical_is_reduced() -> None:
    """2^255 - 19 + 9 means 9."""
    method = key_exchange(31)
    large = (2**255 - 19 + 9).to_bytes(32, "little")
    assert method.answer(random(), large) == method.answer(random(), (9).to_bytes(32, "little"))


@pytest.mark.conformance("CF-W05")
@pytest.mark.parametrize("code", [0, 1, 22, 23, 24, 27, 65535])
def test_groups_that_nobody_should_use_are_absent(code: int) -> None:
    """RFC 8247 §2.4: MODP 768, and the groups with small subgroups of RFC 5114."""
    with pytest.raises(LookupError, match=f"no key exchange method {code}"):
        key_exchange(code)


class ZeroRandom:
    """Draws zeros."""

    def octets(self, count: int) -> bytes:
        return bytes(count)


class ListedRandom:
    """Draws what stands in a list."""

    def __init__(self, parts: list[bytes]) -> None:
        self.parts = parts

    def octets(self, count: int) -> bytes:
        part = self.parts.pop(0)
        assert len(part) == count
        return part
