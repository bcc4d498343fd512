# SPDX-License-Identifier: Apache-2.0
"""Proving our identity and checking the peer's: AUTH (RFC 7296 §2.15, RFC 7427)."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from ikeway.auth import psk
from ikeway.crypto.mac import require_equal
from ikeway.ike.auth_request import EapKeys
from ikeway.ike.features import full_transcript
from ikeway.ike.session import Session, Transcript
from ikeway.model.errors import AuthenticationError, IntegrityError
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.connection import Proof
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Authentication, Certificate, Identification
from ikeway.wire.registry import AuthMethod, CertEncoding

_WITHOUT_CERTIFICATE: Final = frozenset({CertEncoding.RAW_PUBLIC_KEY, CertEncoding.OCSP_CONTENT})


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


def kinds(auth: Authentication, message: Message) -> tuple[Proof, ...]:
    """Return which kinds of proof an AUTH payload can be, the likeliest first.

    A signature goes by the certificate that is sent; where none is, the key has to be known.
    """
    if auth.method is AuthMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE:
        return (Proof.PSK,)
    if auth.method is AuthMethod.NULL:
        return (Proof.NULL,)
    encodings = {payload.encoding for payload in message.all(Certificate)}
    if encodings <= _WITHOUT_CERTIFICATE:
        return Proof.PUBKEY, Proof.CERTIFICATE
    return Proof.CERTIFICATE, Proof.PUBKEY


def kind(auth: Authentication, message: Message, accepted: tuple[Proof, ...]) -> Proof:
    """Return the kind of proof that an AUTH payload is, among those that count.

    Raises:
        AuthenticationError: it is none of them.
    """
    for each in kinds(auth, message):
        if each in accepted:
            return each
    raise AuthenticationError(f"the peer proves itself by {auth.method.name}")


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
