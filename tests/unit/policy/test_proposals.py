# SPDX-License-Identifier: Apache-2.0
"""The notation of proposals: what each word means, and what does not go together."""

from dataclasses import replace

import pytest

from ikeway.config.proposals import words
from ikeway.crypto.encr import KEY_BITS
from ikeway.crypto.kex import key_exchange
from ikeway.crypto.prf import prf
from ikeway.crypto.protection import Protection
from ikeway.model.errors import ConfigError
from ikeway.model.esp import EspSuite
from ikeway.policy.algorithms import ALGORITHMS, BY_WORD, Algorithm, word
from ikeway.policy.proposals import (
    IkeSuite,
    esp_words,
    parse_esp,
    parse_ike,
)
from ikeway.policy.suites import OFFERS
from ikeway.wire.registry import EncrId, IntegId, KeMethod, PrfId, ProtocolId, TransformType

ROWS = pytest.mark.parametrize("row", ALGORITHMS, ids=lambda row: row.word)


@ROWS
def test_every_word_has_an_algorithm_behind_it(row: Algorithm) -> None:
    match row.type:
        case TransformType.ENCR:
            assert row.key_bits in KEY_BITS[row.id]
        case TransformType.PRF:
            assert prf(row.id)
        case TransformType.KE:
            assert key_exchange(row.id)
        case TransformType.INTEG:
            assert prf(row.prf)
            assert Protection.of(EncrId.AES_CBC, 128, row.id)


@ROWS
def test_every_word_is_the_name_of_its_transform(row: Algorithm) -> None:
    first = BY_WORD[word(row.type, row.id, row.key_bits)]
    assert (first.type, first.id, first.key_bits) == (row.type, row.id, row.key_bits)
    assert ALGORITHMS.index(first) <= ALGORITHMS.index(row)
    assert BY_WORD[row.word] is row


def test_a_transform_without_a_word_says_what_it_is() -> None:
    assert word(TransformType.ENCR, 4660, 128) == "encr_4660"


def test_an_aead_cipher_needs_no_integrity_algorithm() -> None:
    spec = parse_ike("aes256gcm16-prfsha384-x25519")
    assert spec.protocol is ProtocolId.IKE
    assert spec.encr == ((EncrId.AES_GCM_16, 256),)
    assert spec.prf == ((PrfId.HMAC_SHA2_384, 0),)
    assert (spec.integ, spec.esn) == ((), ())
    assert spec.ke == ((KeMethod.CURVE25519, 0),)


def test_an_aead_cipher_without_a_prf_gets_those_of_sha_2() -> None:
    spec = parse_ike("chacha20poly1305-x448")
    assert [code for code, _ in spec.prf] == [
        PrfId.HMAC_SHA2_256,
        PrfId.HMAC_SHA2_384,
        PrfId.HMAC_SHA2_512,
    ]


def test_an_integrity_word_names_the_prf_of_its_hash_unless_one_is_named() -> None:
    assert parse_ike("aes128-sha512-ecp256").prf == ((PrfId.HMAC_SHA2_512, 0),)
    assert parse_ike("aes128-sha512-prfsha256-ecp256").prf == ((PrfId.HMAC_SHA2_256, 0),)
    assert parse_ike("aes128-aesxcbc-ecp256").prf == ((PrfId.AES128_XCBC, 0),)


def test_several_words_of_a_type_are_in_order_of_preference_and_stand_once() -> None:
    spec = parse_ike("aes256-aes128-aes256-sha384-sha256-x25519-ecp256-curve25519")
    assert spec.encr == ((EncrId.AES_CBC, 256), (EncrId.AES_CBC, 128))
    assert spec.integ == ((IntegId.HMAC_SHA2_384_192, 0), (IntegId.HMAC_SHA2_256_128, 0))
    assert spec.ke == ((KeMethod.CURVE25519, 0), (KeMethod.ECP_256, 0))


@pytest.mark.parametrize(
    ("text", "esn"),
    [("aes256gcm16", (1, 0)), ("aes256gcm16-esn", (1,)), ("aes256gcm16-noesn", (0,))],
)
def test_esn_is_offered_both_ways_unless_one_is_named(text: str, esn: tuple[int, ...]) -> None:
    assert tuple(code for code, _ in parse_esp(text).esn) == esn


def test_methods_in_a_proposal_for_a_child_are_for_rekeys() -> None:
    assert parse_esp("aes128-sha256-x25519").ke == ((KeMethod.CURVE25519, 0),)
    assert parse_esp("aes128-sha256").prf == ()


def test_case_does_not_matter() -> None:
    assert parse_ike("AES256GCM16-X25519") == parse_ike("aes256gcm16-x25519")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("aes256gcm16", "no key exchange method"),
        ("x25519", "no cipher"),
        ("aes256-x25519", "needs an integrity algorithm"),
        ("aes256gcm16-sha256-x25519", "takes no integrity algorithm"),
        ("aes256gcm16-aes256-sha256-x25519", "mixes AEAD ciphers with others"),
        ("aes257-sha256-x25519", "'aes257' is not known"),
        ("", "'' is not known"),
        ("aes256--x25519", "'' is not known"),
        ("aes256gcm16-esn-x25519", "'esn' cannot be used for an IKE SA"),
        ("aes256gcm16iiv-x25519", "'aes256gcm16iiv' cannot be used for an IKE SA"),
        ("null-sha256-x25519", "'null' cannot be used for an IKE SA"),
        ("aes128gmac-x25519", "'aes128gmac' cannot be used for an IKE SA"),
        ("aes256-sha1-x25519", "'sha1' is weak"),
        ("3des-sha256-x25519", "'3des' is weak"),
        ("aes256gcm16-modp1024", "'modp1024' is weak"),
        ("aes256gcm16-prfsha1-x25519", "'prfsha1' is weak"),
    ],
)
def test_what_does_not_go_together_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_ike(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("aes256gcm16-prfsha256", "'prfsha256' cannot be used for a Child SA"),
        ("3des-sha256", "'3des' is weak"),
        ("aes128-sha1", "'sha1' is weak"),
        ("null", "needs an integrity algorithm"),
        ("aes128gmac-sha256", "takes no integrity algorithm"),
        ("sha256", "no cipher"),
        ("aes256", "needs an integrity algorithm"),
    ],
)
def test_what_no_child_sa_can_have_is_refused(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_esp(text)


@pytest.mark.conformance("CF-N08")
def test_weak_algorithms_need_a_named_opt_in() -> None:
    """RFC 8247, RFC 8221: for old peers, where the operator says so."""
    spec = parse_ike("3des-aes128-sha1-modp1024", allow_legacy=True)
    assert (EncrId.DES3, 0) in spec.encr
    assert spec.prf == ((PrfId.HMAC_SHA1, 0),)
    assert not any(row.is_legacy for row in ALGORITHMS if (row.id, row.key_bits) in spec.encr[1:])


def test_an_integrity_check_value_is_named_by_its_octets_or_its_bits() -> None:
    """As strongSwan writes them."""
    for octets, bits in ((8, 64), (12, 96), (16, 128)):
        for mode in ("gcm", "ccm"):
            assert parse_esp(f"aes192{mode}{bits}") == parse_esp(f"aes192{mode}{octets}")
    assert parse_esp("aes256gcm") == parse_esp("aes256gcm16")


@pytest.mark.conformance("CF-U14")
def test_a_child_sa_without_encryption_is_asked_for_by_name() -> None:
    """RFC 8221 §5: NULL with a MAC; RFC 4543: AES-GMAC."""
    null = parse_esp("null-sha256")
    assert (null.encr, null.integ) == (((EncrId.NULL, 0),), ((IntegId.HMAC_SHA2_256_128, 0),))
    assert parse_esp("aes256gmac").encr == ((EncrId.NULL_AUTH_AES_GMAC, 256),)
    bare = {(EncrId.NULL, 0), *((EncrId.NULL_AUTH_AES_GMAC, bits) for bits in (128, 192, 256))}
    for offers in OFFERS.values():
        assert all(bare.isdisjoint(spec.encr) for spec in offers.esp)


def test_a_suite_is_written_in_the_notation() -> None:
    assert str(IkeSuite(20, 256, 6, 0, 31)) == "aes256gcm16-prfsha384-x25519"
    assert str(IkeSuite(12, 128, 5, 12, 19)) == "aes128-sha256-prfsha256-ecp256"
    assert esp_words(EspSuite(20, 256, 0, esn=True)) == "aes256gcm16-esn"
    assert esp_words(EspSuite(12, 256, 14, esn=False)) == "aes256-sha512"


def test_a_proposal_allows_the_suites_that_could_have_come_from_it() -> None:
    spec = parse_ike("aes256gcm16-prfsha384-x25519")
    assert spec.allows(IkeSuite(20, 256, 6, 0, 31))
    for other in (
        IkeSuite(20, 128, 6, 0, 31),
        IkeSuite(20, 256, 5, 0, 31),
        IkeSuite(20, 256, 6, 12, 31),
        IkeSuite(20, 256, 6, 0, 19),
    ):
        assert not spec.allows(other)
    assert parse_ike("aes128-sha256-x25519").allows(IkeSuite(12, 128, 5, 12, 31))
    assert not parse_ike("aes128-sha256-x25519").allows(IkeSuite(12, 128, 5, 0, 31))


def test_transform_types_that_are_not_negotiated_have_no_choices() -> None:
    assert parse_ike("aes256gcm16-x25519").of(TransformType.ADDKE1) == ()


def test_additional_key_exchanges_are_words_with_their_number() -> None:
    """strongSwan's notation for RFC 9370."""
    text = "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke1_none-ke5_ecp384"
    spec = parse_ike(text)
    assert spec.additional == (
        (TransformType.ADDKE1, ((KeMethod.ML_KEM_768, 0), (KeMethod.NONE, 0))),
        (TransformType.ADDKE5, ((KeMethod.ECP_384, 0),)),
    )
    assert words(spec) == text
    suite = IkeSuite(20, 256, 6, 0, 31, ((1, 36), (5, 20)))
    assert str(suite) == "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke5_ecp384"
    assert spec.allows(suite)
    assert spec.allows(replace(suite, additional=((5, 20),)))
    for other in ((), ((1, 36),), ((2, 36), (5, 20)), ((1, 37), (5, 20))):
        assert not spec.allows(replace(suite, additional=other))


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("aes256gcm16-x25519-ke8_mlkem768", "'ke8_mlkem768' is not known"),
        ("aes256gcm16-x25519-ke1_sha256", "'ke1_sha256' is not known"),
        ("aes256gcm16-x25519-ke1_x25519", "no key exchange method may be used twice"),
        ("aes256gcm16-x25519-ke1_ecp384-ke2_ecp384", "no key exchange method may be used twice"),
        ("aes256gcm16-x25519-ke1_modp1024", "'ke1_modp1024' is weak"),
    ],
)
def test_a_wrong_additional_key_exchange_is_explained(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        parse_ike(text)


def test_an_additional_key_exchange_of_a_child_needs_a_first_one() -> None:
    with pytest.raises(ConfigError, match="has an additional key exchange and no first one"):
        parse_esp("aes256gcm16-ke1_mlkem768")
