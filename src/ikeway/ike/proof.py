# SPDX-License-Identifier: Apache-2.0
"""Proving our identity and checking the peer's: AUTH (RFC 7296 §2.15, RFC 7427)."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from ikeway.auth import psk, signatures
from ikeway.auth.certificates import identity_matches
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.mac import require_equal
from ikeway.crypto.profile import Purpose
from ikeway.ike.auth_request import EapKeys
from ikeway.ike.features import full_transcript
from ikeway.ike.io import Ask
from ikeway.ike.questions import Sign, VerifyCertificate
from ikeway.ike.session import Session, Transcript
from ikeway.ike.signing_scheme import SigningScheme
from ikeway.model.errors import AuthenticationError, IntegrityError
from ikeway.model.identity import Identity
from ikeway.model.reference import HASH_OCTETS, Reference
from ikeway.model.secret import Secret
from ikeway.policy.connection import Connection, Proof
from ikeway.policy.credentials import LocalCertificate
from ikeway.policy.revocation import Revocation
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Authentication, Identification
from ikeway.wire.payloads import Certificate as CertificatePayload
from ikeway.wire.registry import AuthMethod, CertEncoding

_BY_URL: Final = frozenset({CertEncoding.HASH_AND_URL_X509, CertEncoding.HASH_AND_URL_BUNDLE})
STAPLES_MOST: Final = 8
"""OCSP responses of the peer's, one for each certificate of a chain (RFC 4806 §4.2)."""
REFERENCES_MOST: Final = 4
"""As many certificates by URL as RFC 7296 §3.6 asks for; each may cost a fetch."""
SIGN = "sign"
VERIFY = "verify"


@dataclass(frozen=True, slots=True)
class Claim:
    """What the AUTH of one side covers: its IKE_SA_INIT message, the other's nonce, its ID.

    With a peer that can, `message` are both messages of IKE_SA_INIT.

    `int_auth` is of the exchanges between IKE_SA_INIT and IKE_AUTH (RFC 9242 §3.3.2).
    """

    message: bytes
    nonce: bytes
    sk_p: bytes
    body: bytes
    int_auth: bytes

    def octets(self, session: Session) -> bytes:
        """Return InitiatorSignedOctets or ResponderSignedOctets (§2.15)."""
        prf = session.keyring.prf
        octets = psk.auth_octets(self.message, self.nonce, prf, self.sk_p, self.body)
        return octets + self.int_auth


def claim(
    session: Session, transcript: Transcript, identity: Identification, *, is_local: bool
) -> Claim:
    """Return what the AUTH of one side covers."""
    is_initiators = session.link.is_initiator == is_local
    both = transcript.request, transcript.response
    own, peers = both if is_initiators else both[::-1]
    message = full_transcript.signed(own, peers, is_full=session.agreed.full_transcript)
    nonce = transcript.nonce_r if is_initiators else transcript.nonce_i
    sk_p = session.keyring.sk_p_local if is_local else session.keyring.sk_p_peer
    return Claim(message, nonce, sk_p, identity.body(), transcript.int_auth.octets)


# Ours ---------------------------------------------------------------------------------------------


def find_psk(session: Session, local: Identity, peer: Identity) -> Secret:
    """Return the pre-shared key for a pair of identities.

    Raises:
        AuthenticationError: there is none.
    """
    secret = session.env.credentials.psk(local, peer)
    if secret is None:
        raise AuthenticationError(f"no pre-shared key for {local} with {peer}")
    return secret


def psk_proof(session: Session, ours: Claim, secret: Secret) -> tuple[Body, ...]:
    """Return our AUTH by pre-shared key."""
    data = psk.compute(session.keyring.prf, secret, ours.octets(session))
    return (Authentication(AuthMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE, data),)


def local_certificate(session: Session, local: Identity) -> LocalCertificate:
    """Return our certificate for this identity, or the first one.

    Raises:
        AuthenticationError: we have none.
    """
    ours = session.env.credentials.certificates
    if not ours:
        raise AuthenticationError(
            "the connection proves our identity by certificate, but there is none"
        )
    return next((own for own in ours if identity_matches(local, own.leaf)), ours[0])


def ask_signature(session: Session, ours: Claim, local: Identity) -> tuple[SigningScheme, Ask]:
    """Return how we sign and the question that makes the shell do it.

    Raises:
        AuthenticationError: we have no certificate, or the peer accepts nothing that its key signs.
    """
    own = local_certificate(session, local)
    # INTEROP apple: certificate clients announce no hashes, so RSA keys sign by method 1 for them.
    method, scheme = signatures.choose(
        own.leaf.public_key, session.agreed.peer_hashes, allow_sha1=True
    )
    sign = Sign(own.key, scheme, ours.octets(session))
    return SigningScheme(method, scheme), Ask(session.ticket(SIGN), sign)


def signature_proof(
    session: Session, local: Identity, scheme: SigningScheme, signature: bytes
) -> tuple[Body, ...]:
    """Return our certificates and our AUTH with this signature."""
    data = signatures.encode(scheme.method, scheme.scheme, signature)
    return (*certificates(session, local), Authentication(AuthMethod(scheme.method), data))


def certificates(session: Session, local: Identity) -> tuple[Body, ...]:
    """Return our CERT payloads: always, since clients fail to ask, ours first (§3.6)."""
    return tuple(
        CertificatePayload(CertEncoding.X509_SIGNATURE, certificate.der)
        for certificate in local_certificate(session, local).chain
    )


def eap_proof(session: Session, ours: Claim, keys: EapKeys) -> tuple[Body, ...]:
    """Return our AUTH after EAP (§2.16)."""
    return psk_proof(session, ours, keys.local)


# Of an IKE SA that is resumed ---------------------------------------------------------------------


class Covers(Enum):
    """What the AUTH of an IKE SA covers that is resumed."""

    ALL = "message, nonce and identity"
    MESSAGE = "message"


def resumed_proof(session: Session, ours: Claim, covers: Covers = Covers.ALL) -> tuple[Body, ...]:
    """Return our AUTH = prf(SK_px, octets) with the keys of the new IKE SA (RFC 5723 §4.3.3)."""
    octets = ours.octets(session) if covers is Covers.ALL else ours.message
    data = session.keyring.prf.compute(ours.sk_p, octets)
    return (Authentication(AuthMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE, data),)


def check_resumed(
    session: Session, theirs: Claim, auth: Authentication, identities: tuple[Identity, Identity]
) -> Covers:
    """Check the peer's AUTH and return what it covers.

    `identities` are the one that the peer says and the one of the ticket.

    Raises:
        AuthenticationError: it is wrong, or of somebody else than the ticket.
    """
    said, known = identities
    if said != known:
        raise AuthenticationError(f"the peer is {said}, the ticket is of {known}")
    # INTEROP libreswan: 5.2's AUTH covers its message alone, by what was on the wire; and so it has
    # to be with ours. Nothing is lost: SK_px comes of both nonces, and identities are the ticket's.
    reason = ""
    for covers, octets in ((Covers.MESSAGE, theirs.message), (Covers.ALL, theirs.octets(session))):
        try:
            wanted = session.keyring.prf.compute(theirs.sk_p, octets)
            require_equal(wanted, auth.data, "the AUTH of a resumed IKE SA")
        except IntegrityError as error:
            reason = str(error)
        else:
            return covers
    raise AuthenticationError(reason)


# The peer's ---------------------------------------------------------------------------------------


def kind(auth: Authentication) -> Proof:
    """Return which kind of proof an AUTH payload is."""
    is_psk = auth.method is AuthMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE
    return Proof.PSK if is_psk else Proof.CERTIFICATE


def check_psk(
    session: Session, theirs: Claim, auth: Authentication, identities: tuple[Identity, Identity]
) -> None:
    """Check the peer's AUTH by pre-shared key; `identities` are ours and the peer's.

    Raises:
        AuthenticationError: it is wrong, or we share no key with that identity.
    """
    secret = find_psk(session, *identities)
    psk.verify(session.keyring.prf, secret, theirs.octets(session), auth.data)


def check_eap(session: Session, theirs: Claim, auth: Authentication, keys: EapKeys) -> None:
    """Check the peer's AUTH after EAP (§2.16).

    Raises:
        AuthenticationError: it is wrong, or made in another way than with the key of EAP.
    """
    if auth.method is not AuthMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE:
        raise AuthenticationError(f"AUTH by {auth.method.name} after EAP")
    psk.verify(session.keyring.prf, keys.peer, theirs.octets(session), auth.data)


def eap_keys(session: Session, msk: Secret | None) -> EapKeys:
    """Return what AUTH is made with: the MSK, or SK_pi and SK_pr where there is none (§2.16)."""
    if msk is not None:
        return EapKeys(msk, msk)
    return EapKeys(Secret(session.keyring.sk_p_local), Secret(session.keyring.sk_p_peer))


def ask_certificate(
    session: Session, connection: Connection, message: Message, purpose: Purpose
) -> Ask:
    """Return the question whether the peer's certificate is to be believed.

    Raises:
        AuthenticationError: it sent none that we can read.
    """
    question = certificate_question(session, connection, message, purpose)
    if not question.chain and not question.references:
        raise AuthenticationError(_without_certificate(message))
    return Ask(session.ticket(VERIFY), question)


def certificate_question(
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
