# SPDX-License-Identifier: Apache-2.0
"""Every algorithm shared with strongSwan, alone in its proposal (RFC 8247, RFC 8221)."""

import pytest

from support.pair import Case, Pair, Tunnel

pytestmark = [pytest.mark.interop, pytest.mark.system]

IKE = (
    "aes128gcm16-prfsha256-x25519",
    "aes192gcm16-prfsha256-x25519",
    "aes256gcm16-prfsha512-x25519",
    "aes256gcm16-prfaesxcbc-x25519",
    "aes128gcm16-prfaescmac-x25519",
    "aes128ccm16-prfsha256-x25519",
    "aes256ccm16-prfsha384-x25519",
    "aes128ccm12-prfsha256-x25519",
    "aes256ccm8-prfsha256-x25519",
    "chacha20poly1305-prfsha256-x25519",
    "aes128-sha256-prfsha256-x25519",
    "aes192-sha256-prfsha256-x25519",
    "aes256-sha256-prfsha256-x25519",
    "aes128-sha384-prfsha384-x25519",
    "aes256-sha384-prfsha384-x25519",
    "aes256-sha512-prfsha512-x25519",
    "aes128-aesxcbc-prfaesxcbc-x25519",
    "aes256-aescmac-prfaescmac-x25519",
    "aes128-sha256-prfsha512-x25519",
)
GROUPS = (
    "x25519",
    "x448",
    "ecp256",
    "ecp384",
    "ecp521",
    "modp2048",
    "modp3072",
    "modp4096",
    "modp6144",
    "modp8192",
)
LEGACY = ("aes128-sha1-prfsha1-modp1024", "3des-sha1-prfsha1-modp1536")
ESP = (
    "aes128gcm16",
    "aes256gcm16",
    "chacha20poly1305",
    "aes128-sha256",
    "aes128-sha384",
    "aes128-sha512",
    "aes192-sha256",
    "aes256-sha256",
    "aes256-sha384",
    "aes256-sha512",
    "aes128gcm12",
    "aes256ccm12",
    "aes192ccm8",
    "aes128-aesxcbc",
    "aes256-aescmac",
    "null-sha256",
)
LEGACY_ESP = ("aes256-sha1", "3des-sha256")


@pytest.mark.conformance("CF-H07", "CF-H09")
@pytest.mark.parametrize("suite", IKE)
def test_an_ike_sa_uses_the_only_suite_offered(tunnel: Tunnel, suite: str) -> None:
    _agree(tunnel, Case(ike=suite))


@pytest.mark.parametrize("group", GROUPS)
def test_keys_are_exchanged_by_every_method(tunnel: Tunnel, group: str) -> None:
    _agree(tunnel, Case(ike=f"aes256gcm16-prfsha384-{group}"))


@pytest.mark.parametrize("suite", LEGACY)
def test_old_algorithms_serve_where_the_operator_says_so(tunnel: Tunnel, suite: str) -> None:
    _agree(tunnel, Case(ike=suite, ikeway={"legacy": True}))


@pytest.mark.conformance("CF-H10", "CF-U19")
@pytest.mark.parametrize("suite", ESP)
def test_a_child_sa_uses_the_only_suite_offered(tunnel: Tunnel, suite: str) -> None:
    pair = _agree(tunnel, Case(esp=suite, inside=(4, 6)))
    (child,) = pair.ikeway.children()
    assert child.suite == suite


@pytest.mark.parametrize("suite", LEGACY_ESP)
def test_old_algorithms_serve_child_sas_where_the_operator_says_so(
    tunnel: Tunnel, suite: str
) -> None:
    pair = _agree(tunnel, Case(esp=suite, ikeway={"legacy": True}))
    (child,) = pair.ikeway.children()
    assert child.suite == suite


@pytest.mark.parametrize("suite", ["aes256gcm16", "aes128-sha256"])
def test_a_child_sa_without_extended_sequence_numbers(tunnel: Tunnel, suite: str) -> None:
    _agree(tunnel, Case(esp=f"{suite}-noesn"))


def test_defaults_of_both_ends_fit(tunnel: Tunnel) -> None:
    pair = tunnel(
        Case(ikeway={"ike": None, "esp": None}, strongswan={"ike": "default", "esp": "default"})
    )
    pair.connect()
    pair.carry()


def _agree(tunnel: Tunnel, case: Case) -> Pair:
    pair = tunnel(case)
    pair.connect()
    (sa,) = pair.ikeway.established()
    assert sa.suite == case.ike
    pair.carry()
    return pair
