# SPDX-License-Identifier: Apache-2.0
"""CRLs (RFC 5280 §5, §6.3): what they say of a certificate, and which say nothing."""

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ObjectIdentifier

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.crl import Crl, check_issuer, status
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.revocation import distribution_points
from ikeway.model.errors import AuthenticationError
from support.pki import CA, NOW, certificate, key_usage, private_key, root
from support.revoked import Extensions, crl

P256 = KeyAlgorithm.ECDSA_256
ROOT_KEY, OTHER_KEY, LEAF_KEY = (private_key(P256, which) for which in range(3))
ROOT = root("root", ROOT_KEY)
LEAF = certificate("leaf", LEAF_KEY, "root", ROOT_KEY)
SIBLING = certificate("sibling", LEAF_KEY, "root", ROOT_KEY)
BELOW = certificate("below", OTHER_KEY, "root", ROOT_KEY, [(CA, True)])
UNKNOWN = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), b"\5\0")


def said(made: bytes, of: Certificate = LEAF, delta: bytes | None = None) -> str | None:
    """What a list says of a certificate once its issuer was checked."""
    lists = [Crl.of(octets) for octets in (made, delta) if octets is not None]
    for each in lists:
        check_issuer(each, ROOT)
    return status(lists[0], lists[1] if delta else None, of, NOW).revoked


def refused(made: bytes, reason: str, of: Certificate = LEAF) -> None:
    with pytest.raises(AuthenticationError, match=reason):
        said(made, of)


def number(value: int) -> tuple[x509.ExtensionType, bool]:
    return x509.CRLNumber(value), False


def scope(**fields: object) -> tuple[x509.ExtensionType, bool]:
    plain: dict[str, object] = {
        "full_name": None,
        "relative_name": None,
        "only_contains_user_certs": False,
        "only_contains_ca_certs": False,
        "only_some_reasons": None,
        "indirect_crl": False,
        "only_contains_attribute_certs": False,
    }
    return x509.IssuingDistributionPoint(**plain | fields), True  # type: ignore[arg-type]


def test_what_is_listed_is_revoked_and_nothing_else() -> None:
    made = crl(ROOT, ROOT_KEY, [(LEAF, x509.ReasonFlags.key_compromise), SIBLING])
    assert said(made) == "revoked: keyCompromise"
    assert said(made, SIBLING) == "revoked: on 2026-05-31"
    assert said(made, BELOW) is None
    assert said(crl(ROOT, ROOT_KEY)) is None


def test_a_list_may_be_pem() -> None:
    made = x509.load_der_x509_crl(crl(ROOT, ROOT_KEY, [LEAF])).public_bytes(Encoding.PEM)
    assert said(made)


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", b"-----BEGIN X509 CRL-----\n", LEAF.der])
def test_what_is_no_list_is_refused(octets: bytes) -> None:
    with pytest.raises(AuthenticationError, match="no CRL that we can read"):
        Crl.of(octets)


def test_a_list_of_another_issuer_says_nothing() -> None:
    """Each authority could else take back, or bring back, what others issued."""
    other = root("other", OTHER_KEY)
    refused(crl(other, OTHER_KEY, [LEAF]), "one of CN=other, not of CN=root")


def test_a_list_signed_with_another_key_says_nothing() -> None:
    refused(crl(ROOT, OTHER_KEY), "the CRL of CN=root: the ECDSA_SHA2_256 signature")


def test_a_list_that_was_changed_says_nothing() -> None:
    made = crl(ROOT, ROOT_KEY, [LEAF])
    serial = LEAF.serial.to_bytes(20)
    refused(made.replace(serial[-8:], bytes(8)), "signature does not verify")


def test_who_may_issue_certificates_only_makes_no_lists() -> None:
    """RFC 5280 §6.3.3 (f)."""
    usage = (key_usage("key_cert_sign"), True)
    issuer = certificate("root", ROOT_KEY, "root", ROOT_KEY, [(CA, True), usage])
    with pytest.raises(AuthenticationError, match="not for CRLs"):
        check_issuer(Crl.of(crl(ROOT, ROOT_KEY)), issuer)


def test_a_weak_signature_says_nothing() -> None:
    refused(crl(ROOT, ROOT_KEY, digest=hashes.SHA224()), "a signature algorithm")


def test_a_critical_extension_that_we_do_not_know_is_refused() -> None:
    refused(crl(ROOT, ROOT_KEY, extensions=[(UNKNOWN, True)]), r"do not know, 1\.2\.3\.4")
    assert said(crl(ROOT, ROOT_KEY, extensions=[(UNKNOWN, False)])) is None


@pytest.mark.parametrize(("days", "reason"), [((-9, -1), "out of date"), ((1, 9), "begins only")])
def test_a_list_counts_in_its_time_only(days: tuple[int, int], reason: str) -> None:
    refused(crl(ROOT, ROOT_KEY, days=days), reason)


def test_what_was_revoked_stays_so_in_a_list_that_is_out_of_date() -> None:
    assert said(crl(ROOT, ROOT_KEY, [LEAF], days=(-9, -1)))


SCOPES: list[tuple[tuple[x509.ExtensionType, bool], Certificate]] = [
    (scope(only_contains_user_certs=True), BELOW),
    (scope(only_contains_ca_certs=True), LEAF),
    (scope(only_contains_attribute_certs=True), LEAF),
    (scope(indirect_crl=True), LEAF),
    (scope(only_some_reasons=frozenset({x509.ReasonFlags.key_compromise})), LEAF),
]


@pytest.mark.parametrize(("limits", "about"), SCOPES)
def test_a_list_about_other_certificates_says_nothing(
    limits: tuple[x509.ExtensionType, bool], about: Certificate
) -> None:
    """RFC 5280 §5.2.5: that a certificate is not listed there does not make it good."""
    refused(crl(ROOT, ROOT_KEY, extensions=[limits]), "about other certificates", about)


def test_a_list_about_such_certificates_counts() -> None:
    assert said(crl(ROOT, ROOT_KEY, extensions=[scope(only_contains_user_certs=True)])) is None
    made = crl(ROOT, ROOT_KEY, extensions=[scope(only_contains_ca_certs=True)])
    assert said(made, BELOW) is None


def points(*urls: str) -> Certificate:
    uris = [x509.UniformResourceIdentifier(url) for url in urls]
    found = [x509.DistributionPoint([uri], None, None, None) for uri in uris]
    extension = (x509.CRLDistributionPoints(found), False)
    return certificate("leaf", LEAF_KEY, "root", ROOT_KEY, [extension])


def test_a_part_of_a_list_counts_for_certificates_that_name_it() -> None:
    """RFC 5280 §6.3.3 (b)(2)(i): large authorities divide their lists."""
    where = [x509.UniformResourceIdentifier("http://crl.test/1")]
    made = crl(ROOT, ROOT_KEY, extensions=[scope(full_name=where)])
    assert said(made, points("http://crl.test/1")) is None
    refused(made, "another part", points("http://crl.test/2"))
    refused(made, "another part")


def test_points_of_other_issuers_or_for_some_reasons_are_not_asked() -> None:
    uri = [x509.UniformResourceIdentifier("http://crl.test/")]
    issuer = [x509.DirectoryName(ROOT.handle.subject)]
    some = frozenset({x509.ReasonFlags.key_compromise})
    found = [
        x509.DistributionPoint(uri, None, None, issuer),
        x509.DistributionPoint(uri, None, some, None),
        x509.DistributionPoint([x509.DNSName("crl.test")], None, None, None),
    ]
    extension = (x509.CRLDistributionPoints(found), False)
    assert distribution_points(certificate("x", LEAF_KEY, "root", ROOT_KEY, [extension])) == ()
    assert distribution_points(LEAF) == ()


# Deltas -------------------------------------------------------------------------------------------


def delta(base: int, own: int, *revoked: object, more: Extensions = ()) -> bytes:
    extensions = [number(own), (x509.DeltaCRLIndicator(base), True), *more]
    return crl(ROOT, ROOT_KEY, revoked, extensions)  # type: ignore[arg-type]


def test_a_delta_adds_and_takes_away() -> None:
    """RFC 5280 §5.2.4."""
    base = crl(ROOT, ROOT_KEY, [(SIBLING, x509.ReasonFlags.certificate_hold)], [number(7)])
    later = delta(7, 8, LEAF, (SIBLING, x509.ReasonFlags.remove_from_crl))
    assert said(base) is None
    assert said(base, LEAF, later)
    assert said(base, SIBLING) == "revoked: certificateHold"
    assert said(base, SIBLING, later) is None


@pytest.mark.parametrize(("base", "own"), [(8, 9), (5, 7), (5, 6)])
def test_a_delta_for_another_list_is_left_out(base: int, own: int) -> None:
    """One that needs a newer base, or is older than what we have."""
    whole = crl(ROOT, ROOT_KEY, extensions=[number(7)])
    assert said(whole, LEAF, delta(base, own, LEAF)) is None


def test_a_delta_of_another_scope_or_time_is_left_out() -> None:
    whole = crl(ROOT, ROOT_KEY, extensions=[number(7)])
    user = scope(only_contains_user_certs=True)
    assert said(whole, LEAF, delta(7, 8, LEAF, more=[user])) is None
    indicator = (x509.DeltaCRLIndicator(7), True)
    old = crl(ROOT, ROOT_KEY, [LEAF], [number(8), indicator], days=(-5, -1))
    assert said(whole, LEAF, old) is None


def test_a_delta_alone_says_nothing() -> None:
    refused(delta(7, 8), "a delta without its base")
