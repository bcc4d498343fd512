# SPDX-License-Identifier: Apache-2.0
"""Key exchange methods against the vectors of their RFCs, and the MODP primes themselves."""

import tomllib
from typing import Any, cast

import pytest

from ikeway.crypto.kex import ROWS, DhMethod, key_exchange
from ikeway.crypto.modp import Modp
from ikeway.model.secret import Secret
from support.vectors import FOLDER, cases

PRIMES = tomllib.loads((FOLDER / "modp_primes.toml").read_text())["primes"]
MODP = [row for row in ROWS if isinstance(row, DhMethod) and isinstance(row.group, Modp)]


@pytest.mark.parametrize("case", cases("key_exchange"))
def test_both_sides_find_the_secret_of_the_rfc(case: dict[str, Any]) -> None:
    method = key_exchange(case["code"])
    sides = (("i", "r"), ("r", "i"))
    for local, peer in sides:
        private = Secret(case[f"private_{local}"])
        assert cast("DhMethod", method).group.public(private) == case[f"public_{local}"]
        assert method.finish(private, case[f"public_{peer}"]).octets == case["shared"]


@pytest.mark.parametrize("case", cases("ml_kem"))
def test_ml_kem_makes_the_keys_and_the_secrets_of_its_reference(case: dict[str, Any]) -> None:
    """FIPS 203 §7.1, §7.3: keys of a seed, the secret of a ciphertext, and implicit rejection."""
    method, given = key_exchange(case["code"]), Fixed(case["seed"])
    offer = method.offer(given)
    assert offer.public == case["offer"]
    assert method.finish(offer.private, case["answer"]).octets == case["shared"]
    assert method.finish(offer.private, case["forged_answer"]).octets == case["forged_shared"]


class Fixed:
    """Gives octets that are known."""

    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def octets(self, count: int) -> bytes:
        assert count == len(self._octets)
        return self._octets


@pytest.mark.parametrize("method", MODP, ids=lambda row: row.name)
def test_a_modp_group_has_the_prime_of_rfc_3526(method: DhMethod) -> None:
    """RFC 3526 prints the primes; RFC 2409 has that of 1024 bits, by the same formula."""
    group = cast("Modp", method.group)
    if group.bits > 1024:
        assert group.prime == int(PRIMES[str(group.bits)], 16)
    assert group.prime.bit_length() == group.bits


@pytest.mark.parametrize("method", MODP, ids=lambda row: row.name)
def test_a_modp_group_computes_powers_of_two(method: DhMethod) -> None:
    """Against Python's own `pow`, with a fixed exponent."""
    group = cast("Modp", method.group)
    private = Secret(bytes(range(1, 33)))
    public = pow(2, int.from_bytes(private.octets), group.prime)
    assert group.public(private) == public.to_bytes(group.octets)
    shared = pow(public, int.from_bytes(private.octets), group.prime)
    assert method.finish(private, group.public(private)).octets == shared.to_bytes(group.octets)


def test_the_primes_of_the_legacy_groups_are_safe_primes() -> None:
    """The prime of 1024 bits is printed in RFC 2409 only, so its nature is checked instead."""
    prime = cast("Modp", cast("DhMethod", key_exchange(2)).group).prime
    assert is_prime(prime)
    assert is_prime((prime - 1) // 2)


def is_prime(number: int) -> bool:
    """Miller and Rabin's test with fixed bases: enough against a slip of the pen."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for base in (2, 3, 5, 7, 11, 13, 17, 19, 23, 29):
        power = pow(base, odd, number)
        if power in {1, number - 1}:
            continue
        for _ in range(twos - 1):
            power = power * power % number
            if power == number - 1:
                break
        else:
            return False
    return True
