# SPDX-License-Identifier: Apache-2.0
"""The status of one certificate, asked of a responder (RFC 6960; nonces of RFC 9654)."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import ExtendedKeyUsageOID

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.der import decode
from ikeway.crypto.names import names_equal
from ikeway.crypto.profile import check_certificate, check_signature
from ikeway.crypto.revocation import Status, check_period
from ikeway.crypto.sign import SignatureHash, scheme_of, verify
from ikeway.model.errors import AuthenticationError

NONCE_OCTETS: Final = 32
WITHOUT_END: Final = timedelta(hours=1)
"""How long a response counts that does not say when there is newer information (§4.2.2.1)."""
_CERTIFICATES_MOST: Final = 4
_SINGLES_MOST: Final = 64
_SHA1: Final = hashes.SHA1()  # noqa: S303 - it names a certificate, as every responder knows it


def request(certificate: Certificate, issuer: Certificate, nonce: bytes | None) -> bytes:
    """Return the request for the status of a certificate (§4.1).

    Without a nonce the answer may be one that others have got as well, and may be passed on.
    """
    builder = ocsp.OCSPRequestBuilder()
    asked = builder.add_certificate(certificate.handle, issuer.handle, _SHA1)
    if nonce is not None:
        asked = asked.add_extension(x509.OCSPNonce(nonce), critical=False)
    return asked.build().public_bytes(Encoding.DER)


def status(
    octets: bytes, certificate: Certificate, issuer: Certificate, at: datetime, nonce: bytes | None
) -> Status:
    """Return what a response says of a certificate; `nonce` is that of our request (§3.2).

    Raises:
        AuthenticationError: nothing: it is no answer, for another certificate, signed by somebody
            else, out of date, or an answer to another request.
    """
    try:
        response = ocsp.load_der_ocsp_response(octets)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            raise AuthenticationError(f"the OCSP responder says {response.response_status.name}")
        _check_signature(response, octets, issuer, at)
        single = _single(response, certificate, issuer)
        _check_nonce(response, nonce)
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        raise AuthenticationError(f"no OCSP response that we can read: {error}") from error
    begins = single.this_update_utc
    ends = single.next_update_utc or begins + WITHOUT_END
    check_period(f"the OCSP response for {certificate.subject}", begins, ends, at)
    if single.certificate_status is ocsp.OCSPCertStatus.REVOKED:
        return Status(f"revoked: {_why(single)}", ends)
    if single.certificate_status is not ocsp.OCSPCertStatus.GOOD:
        raise AuthenticationError(f"the OCSP responder does not know {certificate.subject}")
    return Status(None, ends)


def _why(single: ocsp.OCSPSingleResponse) -> str:
    if single.revocation_reason is not None:
        return single.revocation_reason.value
    return f"on {single.revocation_time_utc:%Y-%m-%d}"


def _single(
    response: ocsp.OCSPResponse, certificate: Certificate, issuer: Certificate
) -> ocsp.OCSPSingleResponse:
    """Return the part that is about this certificate: issuer and serial number (§4.1.1)."""
    key = decode(issuer.fields.public_key_info).children()[1].contents[1:]
    for count, single in enumerate(response.responses):
        if count >= _SINGLES_MOST:
            break
        wanted = tuple(_digest(single.hash_algorithm, part) for part in (issuer.subject_der, key))
        found = single.issuer_name_hash, single.issuer_key_hash
        if single.serial_number == certificate.serial and found == wanted:
            return single
    raise AuthenticationError(f"the OCSP response is for others than {certificate.subject}")


def _digest(algorithm: hashes.HashAlgorithm, octets: bytes) -> bytes:
    digest = hashes.Hash(algorithm)
    digest.update(octets)
    return digest.finalize()


def _check_nonce(response: ocsp.OCSPResponse, nonce: bytes | None) -> None:
    """A response without one is an older one, which its own dates bound (RFC 9654 §2.1)."""
    try:
        seen = response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
    except x509.ExtensionNotFound:
        return
    if nonce is not None and seen != nonce:
        raise AuthenticationError("the OCSP response answers another request: another nonce")


def _check_signature(
    response: ocsp.OCSPResponse, octets: bytes, issuer: Certificate, at: datetime
) -> None:
    """Check that the issuer signed, or a responder that it has appointed (§4.2.2.2)."""
    scheme = scheme_of(_algorithm(octets))
    if scheme.hash is SignatureHash.SHA1:
        raise AuthenticationError("the OCSP response is signed with SHA-1")
    reasons = []
    for signer in _signers(response, issuer):
        try:
            if signer != issuer:
                _check_appointed(signer, issuer, at)
            verify(signer.public_key, scheme, response.tbs_response_bytes, response.signature)
        except AuthenticationError as error:
            reasons.append(error.reason)
        else:
            return
    why = "; ".join(reasons) or "by a responder whose certificate is not there"
    raise AuthenticationError(f"the OCSP response is signed by nobody whom we believe: {why}")


def _signers(response: ocsp.OCSPResponse, issuer: Certificate) -> Iterator[Certificate]:
    """Return who may have signed, of those who are there: the one that the response names."""
    for handle in (None, *response.certificates[:_CERTIFICATES_MOST]):
        signer = issuer if handle is None else Certificate.of(handle.public_bytes(Encoding.DER))
        name, key = response.responder_name, response.responder_key_hash
        if name is not None and names_equal(name.public_bytes(), signer.subject_der):
            yield signer
        elif key is not None:
            own = decode(signer.fields.public_key_info).children()[1].contents[1:]
            if key == _digest(_SHA1, own):
                yield signer


def _check_appointed(signer: Certificate, issuer: Certificate, at: datetime) -> None:
    """An appointed responder has a certificate of the issuer itself, for this and nothing less."""
    if not names_equal(signer.issuer_der, issuer.subject_der):
        raise AuthenticationError(f"{signer.subject} is not appointed by {issuer.subject}")
    usages = signer.find(x509.ExtendedKeyUsage)
    if not usages or ExtendedKeyUsageOID.OCSP_SIGNING not in usages:
        raise AuthenticationError(f"{signer.subject}: it is not for signing OCSP responses")
    check_certificate(signer, at)
    check_signature(signer, issuer)


def _algorithm(octets: bytes) -> bytes:
    """Return the AlgorithmIdentifier of a BasicOCSPResponse (§4.2.1)."""
    _status, held = decode(octets).children()
    _kind, inner = held.children(0xA0)[0].children()
    return decode(inner.contents).children()[1].whole
