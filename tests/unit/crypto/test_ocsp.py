# SPDX-License-Identifier: Apache-2.0
"""OCSP (RFC 6960): a request, and every response that is none for us."""

from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp as pyca
from cryptography.x509.oid import ExtendedKeyUsageOID

from ikeway.crypto import ocsp
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.revocation import responders
from ikeway.model.errors import AuthenticationError
from support.pki import CA, NOW, certificate, private_key, root
from support.revoked import ocsp_response

P256 = KeyAlgorithm.ECDSA_256
ROOT_KEY, OTHER_KEY, LEAF_KEY, DESK_KEY = (private_key(P256, which) for which in range(4))
ROOT = root("root", ROOT_KEY)
OTHER = root("other", OTHER_KEY)
LEAF = certificate("leaf", LEAF_KEY, "root", ROOT_KEY)
SIGNING = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), False)
DESK = certificate("desk", DESK_KEY, "root", ROOT_KEY, [SIGNING])
REVOKED, UNKNOWN = pyca.OCSPCertStatus.REVOKED, pyca.OCSPCertStatus.UNKNOWN
NONCE = bytes(range(32))


def said(nonce: bytes | None = None, /, *, by: Any = (ROOT, ROOT_KEY), **odd: Any) -> str | None:
    made = ocsp_response(odd.pop("of", LEAF), odd.pop("below", ROOT), by, **odd)
    return ocsp.status(made, LEAF, ROOT, NOW, nonce).revoked


def test_a_request_names_the_certificate_and_carries_the_nonce() -> None:
    asked = pyca.load_der_ocsp_request(ocsp.request(LEAF, ROOT, NONCE))
    assert asked.serial_number == LEAF.serial
    assert asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == NONCE


def test_the_issuer_says_good_or_revoked() -> None:
    assert said() is None
    assert said(status=REVOKED) == "revoked: keyCompromise"
    assert said(NONCE, nonce=NONCE) is None
    assert said(by_name=True) is None


def test_a_responder_without_nonces_is_bound_by_its_dates() -> None:
    assert said(NONCE) is None


def test_an_answer_to_another_request_is_refused() -> None:
    """RFC 9654: else yesterday's "good" could be played again."""
    with pytest.raises(AuthenticationError, match="another nonce"):
        said(NONCE, nonce=bytes(32))


def test_an_appointed_responder_counts() -> None:
    for by_name in (False, True):
        assert said(by=(DESK, DESK_KEY), with_signer=True, by_name=by_name) is None


def test_what_nobody_known_has_signed_is_refused() -> None:
    """Whoever sits in the middle could say what he likes."""
    with pytest.raises(AuthenticationError, match="whose certificate is not there"):
        said(by=(DESK, DESK_KEY))
    with pytest.raises(AuthenticationError, match="CN=other is not appointed by CN=root"):
        said(by=(OTHER, OTHER_KEY), with_signer=True)
    made = ocsp_response(LEAF, ROOT, (ROOT, ROOT_KEY))
    serial = LEAF.serial.to_bytes(20)
    sibling = certificate("leaf", LEAF_KEY, "root", ROOT_KEY)
    swapped = made.replace(serial[-8:], sibling.serial.to_bytes(20)[-8:])
    with pytest.raises(AuthenticationError, match="signature does not verify"):
        ocsp.status(swapped, LEAF, ROOT, NOW, None)


def test_any_other_certificate_of_the_issuer_is_no_responder() -> None:
    """RFC 6960 §4.2.2.2: each user could else vouch for himself."""
    with pytest.raises(AuthenticationError, match="CN=leaf: it is not for signing OCSP"):
        said(by=(LEAF, LEAF_KEY), with_signer=True)


def test_an_appointed_responder_must_be_valid_and_truly_appointed() -> None:
    old = certificate("desk", DESK_KEY, "root", ROOT_KEY, [SIGNING], days=(-9, -1))
    forged = certificate("desk", DESK_KEY, "root", OTHER_KEY, [SIGNING])
    for signer, reason in ((old, "valid from"), (forged, "signature does not verify")):
        with pytest.raises(AuthenticationError, match=reason):
            said(by=(signer, DESK_KEY), with_signer=True)


def test_a_response_for_another_certificate_is_refused() -> None:
    sibling = certificate("leaf", LEAF_KEY, "root", ROOT_KEY)
    with pytest.raises(AuthenticationError, match="for others than CN=leaf"):
        said(of=sibling)


def test_a_response_for_the_same_number_of_another_issuer_is_refused() -> None:
    with pytest.raises(AuthenticationError, match="for others than CN=leaf"):
        said(below=OTHER)


@pytest.mark.parametrize(
    ("hours", "reason"),
    [((-48, -1), "out of date"), ((-2, None), "out of date"), ((1, 24), "begins only")],
)
def test_a_response_counts_in_its_time_only(hours: tuple[float, float | None], reason: str) -> None:
    with pytest.raises(AuthenticationError, match=reason):
        said(hours=hours)
    assert said(hours=(-0.5, None)) is None


def test_a_responder_that_does_not_know_the_certificate_says_nothing() -> None:
    with pytest.raises(AuthenticationError, match="does not know CN=leaf"):
        said(status=UNKNOWN)


def test_a_weak_signature_is_refused() -> None:
    with pytest.raises(AuthenticationError, match="a signature algorithm"):
        said(digest=hashes.SHA224())


def test_a_refusal_says_nothing() -> None:
    busy = pyca.OCSPResponseBuilder.build_unsuccessful(pyca.OCSPResponseStatus.TRY_LATER)
    with pytest.raises(AuthenticationError, match="TRY_LATER"):
        ocsp.status(busy.public_bytes(Encoding.DER), LEAF, ROOT, NOW, None)


@pytest.mark.parametrize("octets", [b"", b"\x30\x00", b"<html>", LEAF.der])
def test_what_is_no_response_is_refused(octets: bytes) -> None:
    with pytest.raises(AuthenticationError, match="no OCSP response that we can read"):
        ocsp.status(octets, LEAF, ROOT, NOW, None)


def test_the_responders_stand_in_the_certificate() -> None:
    url = x509.UniformResourceIdentifier("http://ocsp.test/")
    methods = x509.oid.AuthorityInformationAccessOID
    access = x509.AuthorityInformationAccess(
        [
            x509.AccessDescription(methods.CA_ISSUERS, url),
            x509.AccessDescription(methods.OCSP, url),
            x509.AccessDescription(methods.OCSP, x509.DNSName("ocsp.test")),
        ]
    )
    found = certificate("x", LEAF_KEY, "root", ROOT_KEY, [(access, False), (CA, True)])
    assert responders(found) == ("http://ocsp.test/",)
    assert responders(LEAF) == ()
