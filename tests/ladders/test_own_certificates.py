# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §3.7: of several certificates of ours the one that suits the peer, as far as it says."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from hashlib import sha1

import pytest

from ikeway.crypto.authority import issue
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.profile import Purpose
from ikeway.crypto.sign import SignatureHash
from ikeway.ike.io import Datagram
from ikeway.ike.questions import VerifyCertificate
from ikeway.ike.reports import MessageSent
from ikeway.model.identity import Identity
from ikeway.policy.credentials import LocalCertificate
from ikeway.runtime.pki import Pki
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Authentication, Certificate, CertificateRequest, Notify
from ikeway.wire.registry import AuthMethod, CertEncoding, ExchangeType, NotifyType
from support.forge import edited
from support.hosts import CA, LEFT, RIGHT, Row, authority
from support.ladder import Ladder
from support.pki import private_key
from support.shell import TODAY, Host

INIT, AUTH = ExchangeType.IKE_SA_INIT, ExchangeType.IKE_AUTH
HASHES = NotifyType.SIGNATURE_HASH_ALGORITHMS
LOOKUP = Notify(NotifyType.HTTP_CERT_LOOKUP_SUPPORTED)
RSA, P256, ED25519 = KeyAlgorithm.RSA, KeyAlgorithm.ECDSA_256, KeyAlgorithm.ED25519
OTHER = "Another CA"
URL = "http://certs.example.com/ours.der"


@cache
def own(side: str, kind: KeyAlgorithm, issuer: str = CA, name: str = "") -> LocalCertificate:
    """A certificate of a host, with a key of its own."""
    who = name or (LEFT if side == "left" else RIGHT)
    purpose: Purpose = "client" if side == "left" else "server"
    public = private_key(kind, 90).public
    made = issue(authority(issuer), public, (Identity.parse(who),), purpose, TODAY, 30)
    return LocalCertificate((made,), f"{kind.value} {issuer} {who}")


def showing(row: Row, side: str, *certificates: LocalCertificate) -> Ladder:
    """Two hosts, of which one has these certificates."""
    ladder = row.certificates()
    host: Host = getattr(ladder, side)
    believes(host, CA, OTHER)
    env = host.endpoint.env
    has = replace(env.credentials, certificates=certificates)
    host.endpoint.env = replace(env, credentials=has)
    keys = {each.key: private_key(each.public.algorithm, 90) for each in certificates}
    host.pki = Pki(keys, has.authorities, lambda: TODAY)
    return ladder


def believes(host: Host, *names: str) -> None:
    found = tuple(authority(name).certificate for name in names)
    env = host.endpoint.env
    host.endpoint.env = replace(env, credentials=replace(env.credentials, authorities=found))
    host.pki = Pki(host.pki._keys, found, lambda: TODAY)


def shown(ladder: Ladder, side: str) -> tuple[Certificate, ...]:
    """What a side has shown of itself in IKE_AUTH."""
    return said(ladder, side).all(Certificate)


def said(ladder: Ladder, side: str) -> Message:
    """The IKE_AUTH message of a side."""
    host: Host = getattr(ladder, side)
    sent = [event.message for event in host.seen(MessageSent)]
    return next(message for message in sent if message.header.exchange is AUTH)


def plainly(ladder: Ladder, edit: Callable[[Body], Body | None]) -> None:
    """Change the payloads of both IKE_SA_INIT messages, and what AUTH covers is as it was sent."""

    def fate(_host: Host, datagram: Datagram) -> list[Datagram]:
        message = Message.decode(datagram.octets)
        if message.header.exchange is not INIT:
            return [datagram]
        changed = tuple(new for body in message.payloads if (new := edit(body)) is not None)
        return [replace(datagram, octets=replace(message, payloads=changed).encode())]

    ladder.fate = fate


@pytest.mark.conformance("CF-I21")
@pytest.mark.parametrize("wanted", [CA, OTHER])
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_certificate_of_an_authority_that_the_peer_names_is_shown(
    row: Row, side: str, wanted: str
) -> None:
    """§3.7: CERTREQ is there "to allow" us "to select" it; the other way the peer refuses ours."""
    ladder = showing(row, side, own(side, P256, CA), own(side, P256, OTHER))
    believes(ladder.other(getattr(ladder, side)), wanted)
    ladder.connect()
    fitting = own(side, P256, wanted)
    assert shown(ladder, side) == (Certificate(CertEncoding.X509_SIGNATURE, fitting.leaf.der),)
    assert ladder.left.established
    assert ladder.right.established


@pytest.mark.conformance("CF-I21")
@pytest.mark.parametrize("side", ["left", "right"])
def test_where_the_peer_names_none_the_first_is_shown(row: Row, side: str) -> None:
    ladder = showing(row, side, own(side, RSA), own(side, P256))
    sender = ladder.other(getattr(ladder, side))
    edited(ladder, without_requests, AUTH, sender)
    if side == "left":
        plainly(ladder, lambda body: None if isinstance(body, CertificateRequest) else body)
    ladder.connect()
    leaf = own(side, RSA).leaf.der
    assert shown(ladder, side) == (Certificate(CertEncoding.X509_SIGNATURE, leaf),)


def without_requests(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
    return tuple(body for body in payloads if not isinstance(body, CertificateRequest))


@pytest.mark.conformance("CF-N03")
def test_a_key_that_signs_with_no_hash_of_the_peers_is_not_used(row: Row) -> None:
    """RFC 7427 §4: Ed25519 needs Identity among the announced; RSA does with SHA-256."""
    ladder = showing(row, "left", own("left", ED25519), own("left", RSA))
    sha256 = SignatureHash.SHA2_256.to_bytes(2)
    plainly(
        ladder,
        lambda body: (
            Notify(HASHES, sha256) if isinstance(body, Notify) and body.type is HASHES else body
        ),
    )
    ladder.connect()
    assert shown(ladder, "left")[0].data == own("left", RSA).leaf.der


def test_without_rfc_7427_a_key_that_needs_no_sha_1_comes_first(row: Row) -> None:
    """RFC 4754: ECDSA names its hash itself; method 1 has SHA-1."""
    ladder = showing(row, "left", own("left", RSA), own("left", P256))
    plainly(ladder, lambda body: None if isinstance(body, Notify) and body.type is HASHES else body)
    ladder.connect()
    assert said(ladder, "left").all(Authentication)[0].method is AuthMethod.ECDSA_SHA256_P256


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_certificate_for_our_identity_comes_before_all_others(row: Row, side: str) -> None:
    """RFC 4945 §3.1: with another one the peer would refuse us, whoever has issued it."""
    stranger, ours = own(side, P256, name="other.example"), own(side, RSA)
    ladder = showing(row, side, stranger, ours)
    ladder.connect()
    assert shown(ladder, side)[0].data == ours.leaf.der
    assert ladder.left.established


# Hash and URL -------------------------------------------------------------------------------------


def by_url(row: Row, side: str) -> tuple[Ladder, LocalCertificate]:
    """One side has a URL for its certificate; the other fetches if `fetches` is called."""
    named = replace(own(side, P256), url=URL)
    return showing(row, side, named), named


def fetches(host: Host) -> None:
    env = host.endpoint.env
    allowed = replace(env.credentials, certificate_urls=("http://certs.example.com/",))
    host.endpoint.env = replace(env, credentials=allowed)
    host.holds = (VerifyCertificate,)


@pytest.mark.conformance("CF-I20")
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_peer_that_fetches_gets_the_hash_and_the_url(row: Row, side: str) -> None:
    """§3.6: "the SHA-1 hash of the replaced value followed by a variable-length URL"."""
    ladder, ours = by_url(row, side)
    fetches(ladder.other(getattr(ladder, side)))
    ladder.connect()
    data = sha1(ours.leaf.der).digest() + URL.encode()
    assert shown(ladder, side) == (Certificate(CertEncoding.HASH_AND_URL_X509, data),)


@pytest.mark.conformance("CF-I20")
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_peer_that_does_not_fetch_gets_the_certificate(row: Row, side: str) -> None:
    """§3.6: only to a peer that "has indicated support" by HTTP_CERT_LOOKUP_SUPPORTED."""
    ladder, ours = by_url(row, side)
    ladder.connect()
    assert shown(ladder, side) == (Certificate(CertEncoding.X509_SIGNATURE, ours.leaf.der),)
    assert ladder.left.established
    assert ladder.right.established


@pytest.mark.conformance("CF-I20")
def test_intermediates_are_sent_whole(row: Row) -> None:
    ladder, ours = by_url(row, "left")
    middle = authority(OTHER).certificate
    env = ladder.left.endpoint.env
    longer = replace(ours, chain=(*ours.chain, middle))
    ladder.left.endpoint.env = replace(
        env, credentials=replace(env.credentials, certificates=(longer,))
    )
    fetches(ladder.right)
    ladder.connect()
    encodings = [each.encoding for each in shown(ladder, "left")]
    assert encodings == [CertEncoding.HASH_AND_URL_X509, CertEncoding.X509_SIGNATURE]


def test_a_certificate_without_a_url_is_sent_to_whoever_fetches(row: Row) -> None:
    ladder = showing(row, "left", own("left", P256))
    fetches(ladder.right)
    ladder.connect()
    assert shown(ladder, "left")[0].encoding is CertEncoding.X509_SIGNATURE
    assert Message.decode(ladder.sent[1][1].octets).notify(LOOKUP.type)
