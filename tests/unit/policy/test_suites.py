# SPDX-License-Identifier: Apache-2.0
"""The named sets of proposals (RFC 8221, RFC 8247)."""

import pytest

from ikeway.model.errors import NoProposalError
from ikeway.model.esp import EspSuite
from ikeway.policy.algorithms import ALGORITHMS
from ikeway.policy.grades import Grade, child_weaknesses, judge, weaknesses
from ikeway.policy.proposals import IkeSuite, ProposalSpec, parse_esp, parse_ike
from ikeway.policy.suites import OFFERS, Suites
from ikeway.wire.registry import EncrId, IntegId, KeMethod, PrfId, TransformType

KINDS = (TransformType.ENCR, TransformType.PRF, TransformType.INTEG, TransformType.KE)


def grades(specs: tuple[ProposalSpec, ...]) -> set[Grade]:
    return {
        judge(kind, code).grade for spec in specs for kind in KINDS for code, _ in spec.of(kind)
    }


@pytest.mark.conformance("CF-E08")
@pytest.mark.parametrize("suites", Suites, ids=lambda one: one.value)
def test_aead_ciphers_and_others_stand_in_proposals_of_their_own(suites: Suites) -> None:
    """RFC 7296 §3.3."""
    for spec in OFFERS[suites].ike + OFFERS[suites].esp:
        kinds = {
            row.is_aead
            for row in ALGORITHMS
            if row.type is TransformType.ENCR and (row.id, row.key_bits) in spec.encr
        }
        assert len(kinds) == 1
        assert kinds == {not spec.integ}


def test_modern_has_nothing_but_what_is_strong() -> None:
    offers = OFFERS[Suites.MODERN]
    assert grades(offers.ike) == grades(offers.esp) == {Grade.STRONG}


@pytest.mark.conformance("CF-N08")
def test_only_legacy_has_what_is_weak() -> None:
    offers = OFFERS[Suites.COMPATIBLE]
    assert min(grades(offers.ike + offers.esp)) is Grade.FAIR
    assert min(grades(OFFERS[Suites.LEGACY].ike)) <= Grade.WEAK


def test_compatible_has_what_the_rfcs_ask_of_everybody() -> None:
    """RFC 8247 §2: MUST. RFC 8221 §5, §6: MUST, as far as the engine has it."""
    ike, esp = OFFERS[Suites.COMPATIBLE].ike, OFFERS[Suites.COMPATIBLE].esp

    def has(specs: tuple[ProposalSpec, ...], kind: TransformType, code: int, bits: int = 0) -> bool:
        return any((code, bits) in spec.of(kind) for spec in specs)

    assert has(ike, TransformType.ENCR, EncrId.AES_CBC, 128)
    assert has(ike, TransformType.PRF, PrfId.HMAC_SHA2_256)
    assert has(ike, TransformType.INTEG, IntegId.HMAC_SHA2_256_128)
    assert has(ike, TransformType.KE, KeMethod.MODP_2048)
    assert has(esp, TransformType.ENCR, EncrId.AES_CBC, 128)
    assert has(esp, TransformType.ENCR, EncrId.AES_GCM_16, 128)
    assert has(esp, TransformType.INTEG, IntegId.HMAC_SHA2_256_128)


@pytest.mark.parametrize(
    ("device", "suites", "offered"),
    [
        ("iOS 16.5", Suites.MODERN, "aes256gcm16-prfsha256-ecp256"),
        ("macOS 14", Suites.MODERN, "aes256gcm16-prfsha256-ecp256"),
        ("iOS 14", Suites.COMPATIBLE, "aes256-sha256-modp2048"),
        ("Android 11", Suites.MODERN, "aes256gcm16-prfsha512-modp4096"),
        ("Windows, NegotiateDH2048_AES256", Suites.COMPATIBLE, "aes256-sha256-modp2048"),
        ("Windows as it comes", Suites.LEGACY, "aes256-sha1-modp1024"),
        ("FortiGate", Suites.COMPATIBLE, "aes256-sha256-modp2048"),
        ("Azure as it comes", Suites.LEGACY, "aes256-sha256-modp1024"),
    ],
)
def test_devices_find_what_they_offer(device: str, suites: Suites, offered: str) -> None:
    """What each puts on the wire: shared facts about clients, see docs/interop.md."""
    peer = parse_ike(offered, allow_legacy=True)
    mine = OFFERS[suites].ike
    if not any(_in_common(spec, peer) for spec in mine):
        raise NoProposalError(device)
    weaker = [one for one in Suites if list(Suites).index(one) < list(Suites).index(suites)]
    assert not any(_in_common(spec, peer) for one in weaker for spec in OFFERS[one].ike)


@pytest.mark.parametrize(
    ("device", "suites", "offered"),
    [
        ("macOS 14", Suites.MODERN, "aes256gcm16"),
        ("Azure as it comes", Suites.MODERN, "aes256gcm16"),
        ("iOS 14", Suites.COMPATIBLE, "aes256-sha256"),
        ("Windows as it comes", Suites.LEGACY, "aes256-sha1"),
        ("MikroTik as it comes", Suites.LEGACY, "aes256-sha1"),
        ("iOS 16.5 typed by hand, last", Suites.LEGACY, "3des-sha1"),
    ],
)
def test_devices_find_what_they_offer_for_child_sas(
    device: str, suites: Suites, offered: str
) -> None:
    peer = parse_esp(f"{offered}-noesn", allow_legacy=True)
    if not any(_in_common(spec, peer) for spec in OFFERS[suites].esp):
        raise NoProposalError(device)
    weaker = [one for one in Suites if list(Suites).index(one) < list(Suites).index(suites)]
    assert not any(_in_common(spec, peer) for one in weaker for spec in OFFERS[one].esp)


def test_a_weak_suite_says_what_is_weak() -> None:
    strong = IkeSuite(EncrId.AES_GCM_16, 256, PrfId.HMAC_SHA2_384, 0, KeMethod.CURVE25519)
    assert weaknesses(strong) == ()
    weak = IkeSuite(EncrId.DES3, 0, PrfId.HMAC_SHA1, IntegId.HMAC_SHA1_96, KeMethod.MODP_1024)
    assert [one.partition(" ")[0] for one in weaknesses(weak)] == [
        "3des",
        "sha1",
        "prfsha1",
        "modp1024",
    ]


def test_a_child_sa_says_what_is_weak_in_it() -> None:
    """RFC 8221 §5: SHA-1, 3DES, no encryption; and a key exchange of its own (RFC 8247 §2.4)."""
    gcm = EspSuite(EncrId.AES_GCM_16, 256, 0, esn=True)
    assert child_weaknesses(gcm, 0) == child_weaknesses(gcm, KeMethod.CURVE25519) == ()
    assert words_of(gcm, KeMethod.MODP_1024) == ["modp1024"]
    old = EspSuite(EncrId.DES3, 0, IntegId.HMAC_SHA1_96, esn=False)
    assert words_of(old, 0) == ["3des", "sha1"]
    assert words_of(EspSuite(EncrId.NULL, 0, IntegId.HMAC_SHA2_256_128, esn=True), 0) == ["null"]
    ah = EspSuite(0, 0, IntegId.HMAC_SHA2_256_128, esn=True)
    assert words_of(ah, 0) == []
    assert words_of(EspSuite(0, 0, IntegId.HMAC_SHA1_96, esn=True), 0) == ["sha1"]


def words_of(suite: EspSuite, method: int) -> list[str]:
    return [one.partition(" ")[0] for one in child_weaknesses(suite, method)]


def _in_common(spec: ProposalSpec, other: ProposalSpec) -> bool:
    return all(
        bool(set(spec.of(kind)) & set(other.of(kind))) or not (spec.of(kind) or other.of(kind))
        for kind in KINDS
    )
