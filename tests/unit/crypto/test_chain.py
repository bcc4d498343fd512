# SPDX-License-Identifier: Apache-2.0
"""Chains to an authority: which hold, and why others do not (RFC 5280 §6.1, RFC 4945 §5.1)."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeAlias

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import ExtendedKeyUsageOID, ObjectIdentifier
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from ikeway.crypto import profile
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.chain import CERTIFICATES_MOST, DEPTH_MOST, SIGNATURES_MOST, verify_chain
from ikeway.crypto.der import SEQUENCE, decode, encode
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import PrivateKey
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
    """RFC 5280 §4.2.1.10; all their rules are in test_constraints."""
    constraints = x509.NameConstraints([x509.DNSName("example.com")], None)
    middle = certificate(
        "middle", MIDDLE_KEY, "root", ROOT_KEY, [(CA, True), (constraints, critical)]
    )
    names = x509.SubjectAlternativeName([x509.DNSName("vpn.test")])
    end = certificate("leaf", LEAF_KEY, "middle", MIDDLE_KEY, [(names, False)])
    with pytest.raises(AuthenticationError, match="for which CN=middle may vouch"):
        check(end, [middle])


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
    with pytest.raises(AuthenticationError, match="more than 256 certificates"):
        check(LEAF, [*crowd, MIDDLE])


def test_a_maze_of_authorities_costs_no_more_than_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    """Authorities of one name that vouch for each other make every order of them a path."""
    keys = [private_key(P256, which) for which in range(4)]
    maze = [
        certificate("maze", keys[one], "maze", keys[two], [(CA, True)])
        for one in range(4)
        for two in range(4)
    ]
    end = certificate("leaf", LEAF_KEY, "maze", keys[0])
    checked: list[str] = []

    def counted(one: Certificate, issuer: Certificate) -> None:
        checked.append(one.subject)
        profile.check_signature(one, issuer)

    monkeypatch.setattr("ikeway.crypto.chain.check_signature", counted)
    with pytest.raises(AuthenticationError, match=f"more than {SIGNATURES_MOST} signatures"):
        check(end, maze)
    assert len(checked) == SIGNATURES_MOST


def test_a_chain_of_two_hundred_certificates_ends_where_chains_end() -> None:
    """I5: whatever its length, it costs no more than the longest that can hold."""
    keys = [private_key(P256, which) for which in range(2)]
    chain = [ROOT]
    for step in range(200):
        text = chain[-1].subject.removeprefix("CN=")
        own, issuer = keys[(step + 1) % 2], keys[step % 2]
        chain.append(certificate(f"ca {step}", own, text, issuer, [(CA, True)]))
    with pytest.raises(AuthenticationError, match=f"more than {DEPTH_MOST} certificates"):
        check(chain[-1], chain[1:-1])


def test_the_issuer_is_found_among_many_of_its_name() -> None:
    """§4.2.1.1: the authority key identifier says which it is; else the bound would hide it."""
    other_key = private_key(P256, 5)

    def named(key: PrivateKey, number: int) -> Certificate:
        identifier = x509.SubjectKeyIdentifier(bytes([number]) * 20)
        return certificate("middle", key, "root", ROOT_KEY, [(CA, True), (identifier, False)])

    crowd = [named(other_key, number) for number in range(200)]
    right = named(MIDDLE_KEY, 200)
    by = x509.AuthorityKeyIdentifier(bytes([200]) * 20, None, None)
    end = certificate("leaf", LEAF_KEY, "middle", MIDDLE_KEY, [(by, False)])
    assert check(end, [*crowd, right]) == (end, right, ROOT)
    with pytest.raises(AuthenticationError, match="signatures"):
        check(LEAF, [*crowd, right])


def test_two_authorities_that_vouch_for_each_other_are_no_chain() -> None:
    one, two = private_key(P256, 6), private_key(P256, 7)
    first = certificate("first", one, "second", two, [(CA, True)])
    second = certificate("second", two, "first", one, [(CA, True)])
    end = certificate("leaf", LEAF_KEY, "first", one)
    with pytest.raises(AuthenticationError, match="its issuer CN=first is not known"):
        check(end, [first, second])


@pytest.mark.parametrize("names", [["vpn.test"], ["vpn.example.com"], ["a.example.com", "b.test"]])
@pytest.mark.parametrize("constraint", [None, "example.com", "a.example.com"])
def test_another_verifier_says_the_same(names: list[str], constraint: str | None) -> None:
    """pyca's own verifier, which knows web servers only, as a second opinion."""
    bits = (key_usage("key_cert_sign"), True)
    limits = x509.NameConstraints([x509.DNSName(constraint)], None) if constraint else None
    extra = [(limits, True)] if limits else []
    anchor = certificate("root", ROOT_KEY, "root", ROOT_KEY, [*key_ids(ROOT_KEY), (CA, True), bits])
    middle = certificate(
        "middle",
        MIDDLE_KEY,
        "root",
        ROOT_KEY,
        [*key_ids(MIDDLE_KEY, ROOT_KEY), (CA, True), bits, *extra],
    )
    sans = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    usage = x509.ExtendedKeyUsage([SERVER])
    end = certificate(
        "leaf",
        LEAF_KEY,
        "middle",
        MIDDLE_KEY,
        [*key_ids(LEAF_KEY, MIDDLE_KEY), (sans, False), (usage, False)],
    )
    ours = theirs = True
    try:
        check(end, [middle], [anchor], "server")
    except AuthenticationError:
        ours = False
    verifier = PolicyBuilder().store(Store([anchor.handle])).time(NOW)
    try:
        verifier.build_server_verifier(x509.DNSName(names[0])).verify(end.handle, [middle.handle])
    except VerificationError:
        theirs = False
    assert ours is theirs


def key_ids(
    key: PrivateKey, issuer: PrivateKey | None = None
) -> list[tuple[x509.ExtensionType, bool]]:
    own = x509.SubjectKeyIdentifier.from_public_key(key.public.handle)
    above = (issuer or key).public.handle
    return [(own, False), (x509.AuthorityKeyIdentifier.from_issuer_public_key(above), False)]
