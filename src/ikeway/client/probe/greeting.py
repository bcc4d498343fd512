# SPDX-License-Identifier: Apache-2.0
"""How a peer proves itself, and whether it would take a password: IKE_AUTH without a proof of ours.

A peer that speaks EAP answers with its own identity, certificate and AUTH first (RFC 7296 §2.16).
All others refuse, which says that they want a key or a certificate at once.
"""

import ipaddress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from ikeway.client.probe.line import WAITS, Line
from ikeway.client.probe.survey import Opened
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.encr import KEY_BITS
from ikeway.crypto.kex import key_exchange
from ikeway.crypto.random import Random
from ikeway.ike.features.nat_traversal import endpoint_hash
from ikeway.ike.keys import Keyring
from ikeway.model.address import NAT_PORT, Endpoint
from ikeway.model.errors import AuthenticationError, MalformedError, NoProposalError
from ikeway.model.identity import Identity
from ikeway.model.selectors import TrafficSelector
from ikeway.policy.proposals import IkeSuite
from ikeway.wire.message import Flags, Header, Message
from ikeway.wire.payloads import (
    Authentication,
    CertificateRequest,
    Eap,
    IdI,
    IdR,
    KeyExchange,
    Nonce,
    Notify,
    Proposal,
    SecurityAssociation,
    Transform,
    TsI,
    TsR,
)
from ikeway.wire.payloads import Certificate as CertificatePayload
from ikeway.wire.payloads.certificate import AUTHORITY_OCTETS
from ikeway.wire.registry import (
    CertEncoding,
    EncrId,
    EsnId,
    ExchangeType,
    IntegId,
    NotifyType,
    ProtocolId,
    TransformType,
)

_ESP: Final = SecurityAssociation(
    (
        Proposal(
            1,
            ProtocolId.ESP,
            b"prob",
            (
                Transform.of(TransformType.ENCR, EncrId.AES_GCM_16, 256),
                Transform.of(TransformType.ENCR, EncrId.AES_GCM_16, 128),
                Transform.of(TransformType.ESN, EsnId.NO),
            ),
        ),
        Proposal(
            2,
            ProtocolId.ESP,
            b"prob",
            (
                Transform.of(TransformType.ENCR, EncrId.AES_CBC, 256),
                Transform.of(TransformType.ENCR, EncrId.AES_CBC, 128),
                Transform.of(TransformType.INTEG, IntegId.HMAC_SHA2_256_128),
                Transform.of(TransformType.INTEG, IntegId.HMAC_SHA1_96),
                Transform.of(TransformType.ESN, EsnId.NO),
            ),
        ),
    )
)
_WANTED: Final = CertificateRequest(CertEncoding.X509_SIGNATURE, bytes(AUTHORITY_OCTETS))
"""Of an authority that there is not: many peers show their certificate to whoever asks for any."""
_ALL: Final = (TrafficSelector.of("0.0.0.0/0"), TrafficSelector.of("::/0"))


@dataclass(frozen=True, slots=True)
class ServerCertificate:
    """What a client would see of the peer's certificate."""

    subject: str
    issuer: str
    names: tuple[str, ...]
    key: str
    not_after: datetime
    weakness: str = ""


@dataclass(frozen=True, slots=True)
class Greeting:
    """What the peer said to an initiator that offers no proof.

    `refused` is the error that it answered with, empty where it took up EAP.
    """

    suite: str
    identity: str = ""
    method: str = ""
    certificate: ServerCertificate | None = None
    offers_eap: bool = False
    refused: str = ""


async def greet(
    line: Line, opened: Opened, random: Random, local: Identity, peer: Identity | None
) -> Greeting:
    """Return what the peer says to IKE_AUTH without AUTH, as the initiator `local`.

    Raises:
        IkewayError: it says nothing, or nothing that makes sense.
    """
    suite = _suite(opened.answer)
    keyring = _keys(opened, suite)
    head = _header(opened)
    named = (IdR.of(peer),) if peer else ()
    _, octets = keyring.seal(
        head, (IdI.of(local), *named, _WANTED, _ESP, TsI(_ALL), TsR(_ALL)), random
    )
    answer = await _exchange(line, opened, octets)
    said = keyring.open(Header.decode(answer), answer)
    return _read(str(suite), said)


async def _exchange(line: Line, opened: Opened, octets: bytes) -> bytes:
    """Return the answer, from port 4500 if there is a NAT between us (§2.23)."""
    if not _is_behind_nat(line, opened):
        return await line.exchange(opened.request.spi, octets, WAITS, message_id=1)
    elsewhere = await Line.open(line.host, NAT_PORT)
    try:
        return await elsewhere.exchange(opened.request.spi, octets, WAITS, message_id=1)
    finally:
        elsewhere.close()


def _is_behind_nat(line: Line, opened: Opened) -> bool:
    told = opened.answer.notify(NotifyType.NAT_DETECTION_DESTINATION_IP)
    (address, port), _ = line.ends
    here = Endpoint(ipaddress.ip_address(address.partition("%")[0]), port)
    spis = opened.request.spi, opened.answer.header.spi_r
    return told is not None and told.data != endpoint_hash(*spis, here)


def _suite(answer: Message) -> IkeSuite:
    """Return the suite that the peer has chosen."""
    chosen = answer.one(SecurityAssociation)
    if chosen is None or len(chosen.proposals) != 1:
        raise NoProposalError("IKE_SA_INIT response without a choice")
    by_type = {one.type: one for one in chosen.proposals[0].transforms}
    try:
        encr, integ = by_type[TransformType.ENCR], by_type.get(TransformType.INTEG)
        prf, ke = by_type[TransformType.PRF].id, by_type[TransformType.KE].id
    except KeyError as error:
        raise NoProposalError(f"IKE_SA_INIT response without {error}") from None
    bits = encr.key_bits or KEY_BITS.get(encr.id, (0,))[0]
    return IkeSuite(encr.id, bits, prf, integ.id if integ else 0, ke)


def _keys(opened: Opened, suite: IkeSuite) -> Keyring:
    request, answer = opened.request, opened.answer
    value, nonce = answer.one(KeyExchange), answer.one(Nonce)
    if value is None or nonce is None:
        raise MalformedError("IKE_SA_INIT response without KE or Nonce")
    shared = key_exchange(request.method).finish(request.key.private, value.data)
    spis = request.spi, answer.header.spi_r
    nonces = request.nonce, nonce.data
    try:
        return Keyring.derive(suite, shared, nonces, spis, is_initiator=True)
    except LookupError as error:
        raise NoProposalError(f"{suite}: {error}") from None


def _header(opened: Opened) -> Header:
    spis = opened.request.spi, opened.answer.header.spi_r
    kind = ExchangeType.IKE_AUTH
    return Message.build(*spis, kind, Flags.INITIATOR, 1, ()).header


def _read(suite: str, said: Message) -> Greeting:
    identity, proof = said.one(IdR), said.one(Authentication)
    errors = [one.type for one in said.all(Notify) if one.type.is_error]
    return Greeting(
        suite,
        identity=str(identity.identity) if identity else "",
        method=proof.method.name if proof else "",
        certificate=_certificate(said),
        offers_eap=said.one(Eap) is not None,
        refused=errors[0].name if errors else "",
    )


def _certificate(said: Message) -> ServerCertificate | None:
    first = said.one(CertificatePayload)
    if first is None or first.encoding is not CertEncoding.X509_SIGNATURE:
        return None
    try:
        found = Certificate.of(first.data)
    except AuthenticationError as error:
        nothing = datetime.fromtimestamp(0, UTC)
        return ServerCertificate("", "", (), "", nothing, error.reason)
    key, weakness = _key(found)
    names = tuple(str(one) for one in found.sans)
    return ServerCertificate(found.subject, found.issuer, names, key, found.not_after, weakness)


def _key(found: Certificate) -> tuple[str, str]:
    """Return the kind of key, and why it is weak, if it is."""
    try:
        return found.public_key.algorithm.value, ""
    except AuthenticationError as error:
        return "", error.reason
