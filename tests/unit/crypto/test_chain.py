# SPDX-License-Identifier: Apache-2.0
"""Chains to an authority: which hold, and why others do not (RFC 5280 §6.1, RFC 4945 §5.1)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeAlias

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier

from ikeway.crypto import profile
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.chain import CERTIFICATES_MOST, DEPTH_MOST, SIGNATURES_MOST, verify_chain
from ikeway.crypto.der import SEQUENCE, decode, encode
from ikeway.crypto.keypair import KeyAlgorithm
from ikeway.crypto.profile import Purpose
from ikeway.crypto.sign import scheme_named, sign
from ikeway.model.errors import AuthenticationError
from support.pki import CA, NOW, certificate, key_usage, private_key, root

Extensions: TypeAlias = Sequence[tuple[x509.ExtensionType, bool]]

P256 = KeyAlgorithm.ECDSA_256
ROOT_KEY, MIDDLE_KEY, LEAF_KEY = (private_key(P256, which) for which in range(3))
ROOT = root("root", ROOT_KEY)
MIDDLE = certificate("middle", MIDDLE_KEY, "root", ROOT_KEY, [(CA, True)])
LEAF = certificate("leaf", LEAF_KEY, "middle", MIDDLE_KEY)
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\5\0")


def check(
    leaf: Certificate,
    intermediates: Sequence[Certificate] = (),
    authorities: Sequence[Certificate] = (ROOT,),
    purpose: Purpose | None = None,
) -> tuple[Certificate, ...]:
    return verify_chain(leaf, intermediates, authorities, NOW, purpose)


def leaf(extensions: Extensions = (), **odd: object) -> Certificate:
    """A leaf directly below the root."""
    return certificate("leaf", LEAF_KEY, "root", ROOT_KEY, extensions, **odd)  # type: ignore[arg-type]


def test_a_chain_through_an_intermediate_holds() -> None:
    assert check(LEAF, [MIDDLE]) == (LEAF, MIDDLE, ROOT)


def test_intermediates_may_come_in_any_order_and_more_than_needed() -> None:
    low_key = private_key(P256, 3)
    low = certificate("low", low_key, "middle", MIDDLE_KEY, [(CA, True)])
    end = certificate("end", LEAF_KEY, "low", low_key)
    stray = certificate("stray", LEAF_KEY, "nobody", ROOT_KEY, [(CA, True)])
    assert check(end, [MIDDLE, stray, ROOT, low, low]) == (end, low, MIDDLE, ROOT)


@pytest.mark.parametrize("algorithm", KeyAlgorithm, ids=lambda one: one.value)
def test_every_kind_of_key_can_be_an_authority(algorithm: KeyAlgorithm) -> None:
    key = private_key(algorithm)
    authority = root("any", key)
    end = certificate("leaf", LEAF_KEY, "any", key)
    assert check(end, authorities=[authority]) == (end, authority)


def test_without_the_intermediate_the_issuer_is_not_known() -> None:
    with pytest.raises(AuthenticationError, match="CN=leaf: its issuer CN=middle is not known"):
        check(LEAF)


def test_a_chain_to_a_root_that_is_not_configured_is_refused() -> None:
    other_key = private_key(P256, 4)
    other = root("other", other_key)
    end = certificate("leaf", LEAF_KEY, "other", other_key)
    with pytest.raises(AuthenticationError, match="its issuer CN=other is not known"):
        check(end)
    with pytest.raises(AuthenticationError, match="CN=other"):
        check(end, [other])


def test_an_authority_of_the_same_name_with_another_key_does_not_vouch() -> None:
    impostor = root("root", private_key(P256, 4))
    end = leaf()
    with pytest.raises(AuthenticationError, match="CN=leaf: the ECDSA_SHA2_256 signature"):
        check(end, authorities=[impostor])
    assert check(end, authorities=[impostor, ROOT]) == (end, ROOT)


def test_a_leaf_that_is_itself_configured_is_believed() -> None:
    alone = certificate("alone", LEAF_KEY, "alone", LEAF_KEY)
    assert check(alone, authorities=[alone]) == (alone,)
    with pytest.raises(AuthenticationError, match="not at"):
        verify_chain(alone, [], [alone], NOW + timedelta(days=400), None)


@pytest.mark.parametrize("days", [(-20, -10), (10, 20)], ids=["expired", "not yet valid"])
def test_every_certificate_must_be_valid_now(days: tuple[int, int]) -> None:
    with pytest.raises(AuthenticationError, match="CN=leaf: valid from"):
        check(leaf(days=days))
    middle = certificate("middle", MIDDLE_KEY, "root", ROOT_KEY, [(CA, True)], days=days)
    with pytest.raises(AuthenticationError, match="CN=middle: valid from"):
        check(LEAF, [middle])
    authority = certificate("root", ROOT_KEY, "root", ROOT_KEY, [(CA, True)], days=days)
    with pytest.raises(AuthenticationError, match="CN=root: valid from"):
        check(leaf(), authorities=[authority])


NO_CA = [
    ((), "no certification authority"),
    (((x509.BasicConstraints(ca=False, path_length=None), True),), "no certification authority"),
    (((CA, True), (key_usage("digital_signature"), True)), "not for certificates"),
]


@pytest.mark.parametrize(("extensions", "reason"), NO_CA)
def test_only_an_authority_may_issue(extensions: Extensions, reason: str) -> None:
    """Else each user of a VPN could issue certificates for its gateway."""
    middle = certificate("middle", MIDDLE_KEY, "root", ROOT_KEY, extensions)
    with pytest.raises(AuthenticationError, match=f"CN=middle: .*{reason}"):
        check(LEAF, [middle])
    authority = certificate("root", ROOT_KEY, "root", ROOT_KEY, extensions)
    with pytest.raises(AuthenticationError, match=f"CN=root: .*{reason}"):
        check(leaf(), authorities=[authority])


def test_the_path_length_bounds_the_authorities_below() -> None:
    short = root("root", ROOT_KEY, path_length=0)
    assert check(leaf(), authorities=[short])
    with pytest.raises(AuthenticationError, match="CN=root: 1 authorities below it, not 0"):
        check(LEAF, [MIDDLE], [short])
    assert check(LEAF, [MIDDLE], [root("root", ROOT_KEY, path_length=1)])


@pytest.mark.parametrize(
    ("usage", "holds"),
    [
        (("digital_signature",), True),
        (("content_commitment",), True),
        (("digital_signature", "key_encipherment"), True),
        (("key_encipherment",), False),
        (("key_cert_sign",), False),
    ],
)
def test_the_key_usage_of_a_leaf_must_be_for_signatures(
    usage: tuple[str, ...], holds: bool
) -> None:
    """RFC 4945 §5.1.3.2."""
    end = leaf([(key_usage(*usage), True)])
    if holds:
        assert check(end)
        return
    with pytest.raises(AuthenticationError, match="its key usage is not for signatures"):
        check(end)


SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
ANY = ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE
EMAIL = ExtendedKeyUsageOID.EMAIL_PROTECTION
INTERMEDIATE, IPSEC_IKE = "1.3.6.1.5.5.8.2.2", "1.3.6.1.5.5.7.3.17"
USAGES = [
    ([SERVER], True, True),
    ([CLIENT], False, True),
    ([CLIENT, SERVER], True, True),
    ([ANY], True, True),
    ([ObjectIdentifier(INTERMEDIATE)], True, True),
    ([ObjectIdentifier(IPSEC_IKE)], True, True),
    ([EMAIL], False, False),
]


@pytest.mark.parametrize("critical", [False, True])
@pytest.mark.parametrize(("usages", "server", "client"), USAGES)
def test_an_extended_key_usage_must_suit_the_role(
    usages: list[ObjectIdentifier], server: bool, client: bool, critical: bool
) -> None:
    """RFC 4945 §5.1.3.12; a client's certificate must not make a gateway."""
    end = leaf([(x509.ExtendedKeyUsage(usages), critical)])
    roles: list[tuple[Purpose, bool]] = [("server", server), ("client", client)]
    for role, holds in roles:
        if holds:
            assert check(end, purpose=role)
        else:
            with pytest.raises(AuthenticationError, match=f"is not for a {role}"):
                check(end, purpose=role)
    assert check(end, purpose=None)


def test_a_leaf_without_extended_key_usage_suits_every_role() -> None:
    assert check(leaf(), purpose="server")
    assert check(leaf(), purpose="client")


@pytest.mark.parametrize("purpose", [None, "server"])
def test_a_critical_extension_that_we_do_not_know_is_refused_anywhere(
    purpose: Purpose | None,
) -> None:
    with pytest.raises(AuthenticationError, match=r"CN=leaf: a critical extension .* 1\.2\.3\.4"):
        check(leaf([(UNKNOWN, True)]), purpose=purpose)
    middle = certificate("middle", MIDDLE_KEY, "root", ROOT_KEY, [(CA, True), (UNKNOWN, True)])
    with pytest.raises(AuthenticationError, match="CN=middle: a critical extension"):
        check(LEAF, [middle], purpose=purpose)
    assert check(leaf([(UNKNOWN, False)]), purpose=purpose)


@pytest.mark.parametrize("critical", [False, True])
def test_name_constraints_are_never_passed_over(critical: bool) -> None:
    constraints = x509.NameConstraints([x509.DNSName("example.com")], None)
    middle = certificate(
        "middle", MIDDLE_KEY, "root", ROOT_KEY, [(CA, True), (constraints, critical)]
    )
    with pytest.raises(AuthenticationError, match="CN=middle: "):
        check(LEAF, [middle])


def test_certificate_policies_may_be_critical() -> None:
    policy = x509.PolicyInformation(ObjectIdentifier("1.2.3"), None)
    assert check(leaf([(x509.CertificatePolicies([policy]), True)]))


def test_a_signature_with_sha1_is_refused() -> None:
    """Also one that verifies. pyca makes none any more, so it is put together here."""
    key, scheme = private_key(KeyAlgorithm.RSA), scheme_named("RSA_SHA1")
    sha256 = certificate("leaf", LEAF_KEY, "root", key)
    whole, algorithm, _ = decode(sha256.der).children()
    signed = whole.whole.replace(algorithm.whole, scheme.identifier)
    signature = encode(0x03, b"\0" + sign(key, scheme, signed))
    end = Certificate.of(encode(SEQUENCE, signed, scheme.identifier, signature))
    with pytest.raises(AuthenticationError, match="CN=leaf: it is signed with SHA-1"):
        check(end, authorities=[root("root", key)])


def test_a_signature_with_an_unknown_algorithm_is_refused() -> None:
    end = certificate("leaf", LEAF_KEY, "root", ROOT_KEY, digest=hashes.SHA224())
    with pytest.raises(AuthenticationError, match="a signature algorithm that we do not use"):
        check(end)


def test_two_different_signature_algorithms_in_a_certificate_are_refused() -> None:
    """RFC 5280 §4.1.1.2: the outer one is not signed."""
    whole, _algorithm, signature = decode(leaf().der).children()
    sha384 = bytes.fromhex("300a06082a8648ce3d040303")
    odd = Certificate.of(encode(SEQUENCE, whole.whole, sha384, signature.whole))
    with pytest.raises(AuthenticationError, match="names two signature algorithms"):
        check(odd)


def test_a_certificate_that_was_changed_does_not_verify() -> None:
    end = leaf([(x509.SubjectAlternativeName([x509.DNSName("aaaa.example")]), False)])
    changed = Certificate.of(end.der.replace(b"aaaa.example", b"bbbb.example"))
    with pytest.raises(AuthenticationError, match="signature does not verify"):
        check(changed)


def test_a_chain_has_a_greatest_length() -> None:
    keys = [private_key(P256, which) for which in range(4)]
    chain = [ROOT]
    for step in range(DEPTH_MOST):
        issuer, key = chain[-1], keys[(step + 1) % 4]
        text = issuer.subject.removeprefix("CN=")
        chain.append(certificate(f"ca {step}", key, text, keys[step % 4], [(CA, True)]))
    assert len(check(chain[DEPTH_MOST - 1], chain[1 : DEPTH_MOST - 1])) == DEPTH_MOST
    with pytest.raises(AuthenticationError, match=f"more than {DEPTH_MOST} certificates"):
        check(chain[DEPTH_MOST], chain[1:DEPTH_MOST])


def test_a_peer_may_send_so_many_certificates_and_no_more() -> None:
    crowd = [MIDDLE] * (CERTIFICATES_MOST - 1)
    assert check(LEAF, crowd)
    with pytest.raises(AuthenticationError, match="more than 16 certificates"):
        check(LEAF, [*crowd, MIDDLE])


def test_a_maze_of_authorities_costs_no_more_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Authorities of one name that vouch for each other make every order of them a path."""
    keys = [private_key(P256, which) for which in range(4)]
    maze = [
        certificate("maze", keys[one], "maze", keys[two], [(CA, True)])
        for one in range(4)
        for two in range(4)
    ][: CERTIFICATES_MOST - 1]
    end = certificate("leaf", LEAF_KEY, "maze", keys[0])
    checked: list[str] = []

    def counted(one: Certificate, issuer: Certificate) -> None:
        checked.append(one.subject)
        profile.check_signature(one, issuer)

    monkeypatch.setattr("ikeway.crypto.chain.check_signature", counted)
    with pytest.raises(AuthenticationError, match=r".+"):
        check(end, maze)
    assert len(checked) == SIGNATURES_MOST
