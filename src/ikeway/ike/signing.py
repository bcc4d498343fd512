# SPDX-License-Identifier: Apache-2.0
"""Our signature in AUTH, and what goes with it (RFC 7296 §2.15, §3.6; RFC 7427, RFC 7670)."""

from ikeway.auth import signatures
from ikeway.auth.certificates import identity_matches
from ikeway.ike.io import Ask
from ikeway.ike.proof import Claim
from ikeway.ike.questions import Sign
from ikeway.ike.session import Session
from ikeway.ike.signing_scheme import SigningScheme
from ikeway.model.errors import AuthenticationError
from ikeway.policy.connection import Connection, Proof
from ikeway.policy.credentials import LocalCertificate, LocalKey
from ikeway.wire.codec import Body
from ikeway.wire.payloads import Authentication, Certificate
from ikeway.wire.registry import AuthMethod, CertEncoding

SIGN = "sign"


def ask(session: Session, connection: Connection, ours: Claim) -> tuple[SigningScheme, Ask]:
    """Return how we sign and the question that makes the shell do it.

    Raises:
        AuthenticationError: we have no key, or the peer accepts nothing that it signs.
    """
    own = _own(session, connection)
    # INTEROP apple: certificate clients announce no hashes, so RSA keys sign by method 1 for them.
    hashes = session.agreed.peer_hashes
    method, name = signatures.choose(own.public, hashes, allow_sha1=True)
    question = Sign(own.key, name, ours.octets(session))
    return SigningScheme(method, name, own), Ask(session.ticket(SIGN), question)


def _own(session: Session, connection: Connection) -> LocalCertificate | LocalKey:
    """Return our certificate for this identity, or the first one; or the key that does without.

    Raises:
        AuthenticationError: we have none.
    """
    credentials = session.env.credentials
    if connection.local_auth is Proof.PUBKEY and credentials.keys:
        return credentials.keys[0]
    ours = credentials.certificates
    if connection.local_auth is Proof.PUBKEY or not ours:
        by = connection.local_auth.value
        raise AuthenticationError(f"the connection proves our identity by {by}, but there is none")
    local = connection.local_id
    return next((own for own in ours if identity_matches(local, own.leaf)), ours[0])


def proof(scheme: SigningScheme, signature: bytes) -> tuple[Body, ...]:
    """Return our certificates, or our key, and our AUTH with this signature."""
    data = signatures.encode(scheme.method, scheme.scheme, signature)
    return (*_shown(scheme.own), Authentication(AuthMethod(scheme.method), data))


def _shown(own: LocalCertificate | LocalKey) -> tuple[Body, ...]:
    """Return our CERT payloads: always, since clients fail to ask, ours first (§3.6)."""
    if isinstance(own, LocalKey):
        return (Certificate(CertEncoding.RAW_PUBLIC_KEY, own.public.der),)
    return tuple(Certificate(CertEncoding.X509_SIGNATURE, each.der) for each in own.chain)
