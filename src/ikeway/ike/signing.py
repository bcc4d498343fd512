# SPDX-License-Identifier: Apache-2.0
"""Our signature in AUTH, and what goes with it (RFC 7296 §2.15, §3.6; RFC 7427, RFC 7670)."""

from ikeway.auth import signatures
from ikeway.auth.certificates import identity_matches
from ikeway.crypto.sign import scheme_named
from ikeway.ike.certificate_requests import issuers
from ikeway.ike.io import Ask
from ikeway.ike.proof import Claim
from ikeway.ike.questions import Sign, Signed
from ikeway.ike.session import Session
from ikeway.ike.signing_scheme import SigningScheme
from ikeway.model.errors import AuthenticationError
from ikeway.model.reference import refer
from ikeway.policy.connection import Connection, Proof
from ikeway.policy.credentials import LocalCertificate, LocalKey
from ikeway.wire.codec import Body
from ikeway.wire.payloads import Authentication, Certificate
from ikeway.wire.registry import AuthMethod, CertEncoding

SIGN = "sign"


def ask(session: Session, connection: Connection, ours: Claim) -> tuple[SigningScheme, Ask]:
    """Return how we sign and the question that makes the shell do it.

    Raises:
        AuthenticationError: we have no key, or the peer accepts nothing that ours sign.
    """
    chosen = _choose(session, connection)
    own = chosen.own
    chain = own.chain if isinstance(own, LocalCertificate) and session.wishes.ocsp else ()
    question = Sign(own.key, chosen.scheme, ours.octets(session), chain)
    return chosen, Ask(session.ticket(SIGN), question)


def _choose(session: Session, connection: Connection) -> SigningScheme:
    """Return the best of our keys of which the peer understands a signature.

    Raises:
        AuthenticationError: there is none.
    """
    by, reason = connection.local_auth, ""
    fitting: list[SigningScheme] = []
    for own in _ours(session, by):
        try:
            # INTEROP apple: certificate clients announce no hashes, so RSA signs by method 1 there.
            how = signatures.choose(
                own.public, session.agreed.peer_hashes, allow_sha1=True, liked=_liked(session, own)
            )
        except AuthenticationError as error:
            reason = reason or error.reason
        else:
            fitting.append(SigningScheme(*how, own))
    if not fitting:
        lacking = f"the connection proves our identity by {by.value}, but there is none"
        raise AuthenticationError(reason or lacking)
    if len(fitting) == 1:
        return fitting[0]
    return min(fitting, key=lambda each: _rank(session, connection, each))


def _liked(session: Session, own: LocalCertificate | LocalKey) -> signatures.Liked:
    """Return what says whether the peer has announced a signature of that key (RFC 9593 §3)."""
    above = frozenset[bytes]()
    if isinstance(own, LocalCertificate):
        above = issuers(own.chain, session.env.credentials.authorities)
    announced = session.wishes.methods
    return lambda method, scheme: any(
        each.fits(method, scheme.identifiers, above) for each in announced
    )


def _ours(session: Session, by: Proof) -> tuple[LocalCertificate | LocalKey, ...]:
    credentials = session.env.credentials
    return credentials.keys if by is Proof.PUBKEY else credentials.certificates


def _rank(
    session: Session, connection: Connection, chosen: SigningScheme
) -> tuple[bool, bool, bool, bool]:
    """Return how well a key of ours suits, smaller being better; the first listed of equal ones.

    It has to be for our identity, by which the responder was asked for (IDr). Then comes whether
    the peer names an authority of its (§3.7), whether it has announced such a signature (RFC 9593),
    then whether it signs without SHA-1.
    """
    own, is_weak = chosen.own, chosen.method == signatures.RSA_SHA1
    is_liked = _liked(session, own)(chosen.method, scheme_named(chosen.scheme))
    if isinstance(own, LocalKey):
        return False, False, not is_liked, is_weak
    known = issuers(own.chain, session.env.credentials.authorities)
    is_ours = identity_matches(connection.local_id, own.leaf)
    return not is_ours, known.isdisjoint(session.wishes.authorities), not is_liked, is_weak


def proof(session: Session, scheme: SigningScheme, answer: Signed) -> tuple[Body, ...]:
    """Return our certificates with what is known of their status, or our key, and our AUTH."""
    data = signatures.encode(scheme.method, scheme.scheme, answer.signature)
    shown = _shown(scheme.own, by_url=session.wishes.by_url)
    status = [Certificate(CertEncoding.OCSP_CONTENT, each) for each in answer.ocsp]
    return (*shown, *status, Authentication(AuthMethod(scheme.method), data))


def _shown(own: LocalCertificate | LocalKey, *, by_url: bool) -> tuple[Body, ...]:
    """Return our CERT payloads: always, since clients fail to ask, ours first (§3.6).

    A peer that fetches gets the URL of ours, if it has one; intermediates always go whole.
    """
    if isinstance(own, LocalKey):
        return (Certificate(CertEncoding.RAW_PUBLIC_KEY, own.public.der),)
    whole = [Certificate(CertEncoding.X509_SIGNATURE, each.der) for each in own.chain]
    if own.url and by_url:
        named = refer(own.leaf.der, own.url)
        whole[0] = Certificate(CertEncoding.HASH_AND_URL_X509, named)
    return tuple(whole)
