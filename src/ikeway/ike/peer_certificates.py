# SPDX-License-Identifier: Apache-2.0
"""The peer's certificates, and its AUTH by the key of the first (RFC 7296 §3.6, RFC 4945 §3.1)."""

from typing import Final

from ikeway.auth import signatures
from ikeway.auth.certificates import identity_matches
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.profile import Purpose
from ikeway.ike.io import Ask
from ikeway.ike.proof import Claim
from ikeway.ike.questions import VerifyCertificate
from ikeway.ike.session import Session
from ikeway.model.errors import AuthenticationError
from ikeway.model.identity import Identity
from ikeway.model.reference import HASH_OCTETS, Reference
from ikeway.policy.connection import Connection
from ikeway.policy.revocation import Revocation
from ikeway.wire.message import Message
from ikeway.wire.payloads import Authentication
from ikeway.wire.payloads import Certificate as CertificatePayload
from ikeway.wire.registry import CertEncoding

_BY_URL: Final = frozenset({CertEncoding.HASH_AND_URL_X509, CertEncoding.HASH_AND_URL_BUNDLE})
STAPLES_MOST: Final = 8
"""OCSP responses of the peer's, one for each certificate of a chain (RFC 4806 §4.2)."""
REFERENCES_MOST: Final = 4
"""As many certificates by URL as RFC 7296 §3.6 asks for; each may cost a fetch."""
VERIFY = "verify"


def ask(session: Session, connection: Connection, message: Message, purpose: Purpose) -> Ask:
    """Return the question whether the peer's certificate is to be believed.

    Raises:
        AuthenticationError: it sent none that we can read.
    """
    question = question_of(session, connection, message, purpose)
    if not question.chain and not question.references:
        raise AuthenticationError(_without_certificate(message))
    return Ask(session.ticket(VERIFY), question)


def question_of(
    session: Session, connection: Connection, message: Message, purpose: Purpose
) -> VerifyCertificate:
    """Return what is to be found out about the certificates in a message."""
    chain = _contents(message, CertEncoding.X509_SIGNATURE)
    policy = connection.revocation
    stapled = () if policy is Revocation.OFF else _contents(message, CertEncoding.OCSP_CONTENT)
    references = _references(message) if session.env.credentials.certificate_urls else ()
    return VerifyCertificate(chain, purpose, policy, stapled[:STAPLES_MOST], references)


def _references(message: Message) -> tuple[Reference, ...]:
    """Return the certificates that are named by hash and URL, and where in the chain they are."""
    found: list[Reference] = []
    place = 0
    for payload in message.all(CertificatePayload):
        if payload.encoding in _BY_URL and len(payload.data) > HASH_OCTETS:
            url = payload.data[HASH_OCTETS:].decode("ascii", "replace")
            is_bundle = payload.encoding is CertEncoding.HASH_AND_URL_BUNDLE
            found.append(Reference(place, payload.data[:HASH_OCTETS], url, is_bundle))
        elif payload.encoding is CertEncoding.X509_SIGNATURE:
            place += 1
    return tuple(found[:REFERENCES_MOST])


def _contents(message: Message, encoding: CertEncoding) -> tuple[bytes, ...]:
    payloads = message.all(CertificatePayload)
    return tuple(payload.data for payload in payloads if payload.encoding is encoding)


def _without_certificate(message: Message) -> str:
    """Return why there is nothing to check a signature with.

    A URL is fetched only within what the operator allows: whoever is not authentic yet could else
    have us send requests to where it likes. Nor do we ask for one then (§3.6).
    """
    encodings = {payload.encoding for payload in message.all(CertificatePayload)}
    if encodings & _BY_URL:
        return "the peer sent the URL of its certificate, which we do not fetch, instead of it"
    if encodings:
        names = ", ".join(sorted(encoding.name for encoding in encodings))
        return f"the peer signs and sent no X.509 certificate, but {names}"
    return "the peer signs but sent no X.509 certificate"


def check_signature(
    session: Session,
    connection: Connection,
    theirs: Claim,
    auth: Authentication,
    certificate: Certificate,
) -> None:
    """Check the peer's AUTH with the key of its certificate, the first one it sent (§1.2).

    Raises:
        AuthenticationError: the signature is wrong or of a kind that we do not accept.
    """
    signatures.verify(
        auth.method,
        auth.data,
        certificate.public_key,
        theirs.octets(session),
        allow_sha1=connection.allow_sha1_signatures,
    )


def check_identity(identity: Identity, certificate: Certificate) -> None:
    """Check that a certificate is for the identity that the peer claims (RFC 4945 §3.1).

    Raises:
        AuthenticationError: it is for others.
    """
    if not identity_matches(identity, certificate):
        names = ", ".join(map(str, certificate.sans)) or "none"
        raise AuthenticationError(
            f"the certificate of {certificate.subject} is not for {identity}; its names are {names}"
        )
