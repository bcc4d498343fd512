# SPDX-License-Identifier: Apache-2.0
"""RFC 7670: public keys without certificates, each for the identity that the operator gave it."""

from dataclasses import replace

import pytest

from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import PublicKey
from ikeway.ike.questions import VerifyCertificate
from ikeway.model.identity import Identity
from ikeway.policy.connection import Proof
from ikeway.policy.credentials import IdPattern, LocalKey, PeerKey
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Authentication, Certificate, CertificateRequest
from ikeway.wire.registry import AuthMethod, CertEncoding, ExchangeType
from support.eap_hosts import eap
from support.forge import edited, opened
from support.hosts import LEFT, RIGHT, Changes, Row, which
from support.ladder import Ladder
from support.pki import private_key
from support.resuming import ON, lost, resumed, secrets
from support.shell import Host

AUTH = ExchangeType.IKE_AUTH
P256 = KeyAlgorithm.ECDSA_256
RAW = CertEncoding.RAW_PUBLIC_KEY
BOTH: Changes = {"local_auth": Proof.PUBKEY, "peer_auth": (Proof.PUBKEY,)}


def public(name: str, kind: KeyAlgorithm = P256) -> PublicKey:
    return private_key(kind, which(name)).public


def keyed(
    row: Row,
    kind: KeyAlgorithm = P256,
    left: Changes | None = None,
    right: Changes | None = None,
) -> Ladder:
    """Two hosts, each with its own key and that of the other; they have certificates as well."""
    ladder = row.certificates(BOTH | (left or {}), BOTH | (right or {}), kind)
    for host, own, peer in ((ladder.left, LEFT, RIGHT), (ladder.right, RIGHT, LEFT)):
        known = PeerKey(Identity.parse(peer), public(peer, kind))
        gets(host, keys=(LocalKey(public(own, kind), own),), public_keys=(known,))
    return ladder


def gets(host: Host, **changes: object) -> None:
    """Change the credentials of a host."""
    env = host.endpoint.env
    host.endpoint.env = replace(env, credentials=replace(env.credentials, **changes))  # type: ignore[arg-type]


def is_up(ladder: Ladder) -> bool:
    return bool(ladder.left.established and ladder.right.established and ladder.right.installed)


def is_down(ladder: Ladder) -> bool:
    ladder.wait(40)
    return not (ladder.left.states or ladder.right.states or ladder.right.installed)


def swapped(ladder: Ladder, side: str, key: PublicKey | None, encoding: CertEncoding = RAW) -> Host:
    """Have one side show another key than its own, or none; return who judges it."""

    def swap(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        shown = [] if key is None else [Certificate(encoding, key.der)]
        return tuple(
            new for body in payloads for new in (shown if isinstance(body, Certificate) else [body])
        )

    sender = ladder.left if side == "left" else ladder.right
    edited(ladder, swap, AUTH, sender)
    return ladder.other(sender)


@pytest.mark.parametrize("kind", [P256, KeyAlgorithm.RSA, KeyAlgorithm.ED25519], ids=str)
def test_both_prove_themselves_by_their_keys(row: Row, kind: KeyAlgorithm) -> None:
    """§3: "the SubjectPublicKeyInfo structure of the PKIX certificate is used"."""
    ladder = keyed(row, kind)
    ladder.connect()
    assert is_up(ladder)
    assert VerifyCertificate not in ladder.left.asked + ladder.right.asked
    request = opened(ladder.right, ladder.sent[2][1].octets)
    assert request.all(Certificate) == (Certificate(RAW, public(LEFT, kind).der),)
    assert request.all(Authentication)[0].method is AuthMethod.DIGITAL_SIGNATURE


def test_both_ask_for_keys_and_name_no_authority(row: Row) -> None:
    """§3: "the Certification Authority field MUST be empty"."""
    ladder = keyed(row)
    ladder.connect()
    init = Message.decode(ladder.sent[1][1].octets)
    assert init.all(CertificateRequest) == (CertificateRequest(RAW, b""),)
    auth = opened(ladder.right, ladder.sent[2][1].octets)
    assert auth.all(CertificateRequest) == (CertificateRequest(RAW, b""),)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_key_that_is_known_need_not_be_sent(row: Row, side: str) -> None:
    """strongSwan never sends it."""
    ladder = keyed(row)
    swapped(ladder, side, None)
    ladder.connect()
    assert is_up(ladder)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_peer_may_have_several_keys(row: Row, side: str) -> None:
    """The old one and the new one, while it changes from one to the other."""
    ladder = keyed(row)
    judge = swapped(ladder, side, None)
    name = LEFT if side == "left" else RIGHT
    known = judge.endpoint.env.credentials.public_keys
    old = PeerKey(Identity.parse(name), private_key(KeyAlgorithm.ED25519, 95).public)
    gets(judge, public_keys=(old, *known))
    ladder.connect()
    assert is_up(ladder)


def test_a_client_with_a_password_takes_a_gateway_by_its_key(row: Row) -> None:
    """RFC 7296 §2.16: the responder signs before EAP; the client knows its key."""
    ladder = eap(row, left={"peer_auth": (Proof.PUBKEY,)}, right={"local_auth": Proof.PUBKEY})
    gets(ladder.left, public_keys=(PeerKey(Identity.parse(RIGHT), public(RIGHT)),))
    gets(ladder.right, keys=(LocalKey(public(RIGHT), RIGHT),), certificates=())
    ladder.connect()
    assert is_up(ladder)
    assert VerifyCertificate not in ladder.left.asked


# What proves nothing ------------------------------------------------------------------------------


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_key_of_another_identity_proves_nothing(row: Row, side: str) -> None:
    """§4: what a key stands for is what the operator says, not what its owner does."""
    ladder = keyed(row, left={"peer_id": IdPattern("*")}, right={"peer_id": IdPattern("*")})
    name = LEFT if side == "left" else RIGHT
    judge = ladder.right if side == "left" else ladder.left
    others = PeerKey(Identity.parse("other.example"), public(name))
    gets(judge, public_keys=(others,))
    ladder.connect()
    assert is_down(ladder)
    assert f"no public key is known for {name}" in judge.ends[0].reason


@pytest.mark.parametrize("side", ["left", "right"])
def test_who_signs_with_its_own_key_cannot_be_somebody_else(row: Row, side: str) -> None:
    """Two peers are known; one says that it is the other."""
    ladder = keyed(row)
    name = LEFT if side == "left" else RIGHT
    judge = ladder.right if side == "left" else ladder.left
    true = PeerKey(Identity.parse(name), private_key(P256, 96).public)
    liar = PeerKey(Identity.parse("other.example"), public(name))
    gets(judge, public_keys=(true, liar))
    ladder.connect()
    assert is_down(ladder)
    assert "another public key than is known" in judge.ends[0].reason


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_signature_of_another_key_than_the_known_one_is_refused(row: Row, side: str) -> None:
    """It shows the key that we know, and has signed with its own."""
    ladder = keyed(row)
    name = LEFT if side == "left" else RIGHT
    known = private_key(P256, 96).public
    judge = swapped(ladder, side, known)
    gets(judge, public_keys=(PeerKey(Identity.parse(name), known),))
    ladder.connect()
    assert is_down(ladder)
    assert "signature does not verify" in judge.ends[0].reason


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_key_that_is_not_known_is_refused(row: Row, side: str) -> None:
    ladder = keyed(row)
    judge = swapped(ladder, side, private_key(P256, 96).public)
    ladder.connect()
    assert is_down(ladder)
    assert "another public key than is known" in judge.ends[0].reason


@pytest.mark.parametrize("side", ["left", "right"])
def test_where_only_certificates_count_a_known_key_does_not(row: Row, side: str) -> None:
    only: Changes = {"peer_auth": (Proof.CERTIFICATE,)}
    ladder = keyed(row, left=only if side == "right" else {}, right=only if side == "left" else {})
    ladder.connect()
    judge = ladder.right if side == "left" else ladder.left
    assert is_down(ladder)
    assert "sent no X.509 certificate, but RAW_PUBLIC_KEY" in judge.ends[0].reason


@pytest.mark.parametrize("side", ["left", "right"])
def test_where_only_keys_count_a_certificate_of_our_authority_does_not(row: Row, side: str) -> None:
    shows: Changes = {"local_auth": Proof.CERTIFICATE}
    ladder = keyed(
        row, left=shows if side == "left" else {}, right=shows if side == "right" else {}
    )
    judge = ladder.right if side == "left" else ladder.left
    gets(judge, public_keys=())
    ladder.connect()
    assert is_down(ladder)
    assert "no public key is known" in judge.ends[0].reason


@pytest.mark.conformance("CF-I17")
def test_the_peer_hears_nothing_of_why(row: Row) -> None:
    ladder = keyed(row)
    swapped(ladder, "left", private_key(P256, 96).public)
    ladder.connect()
    assert ladder.right.said[-1] == "IKE_AUTH response 1 [N(AUTHENTICATION_FAILED)]"


def test_a_ticket_of_a_key_that_is_no_longer_known_is_not_taken(row: Row) -> None:
    """RFC 5723 §6.2: what proved the client would have to prove it today."""
    ladder = secrets(keyed(row, left=ON, right=ON))
    ladder.connect()
    lost(ladder)
    gets(ladder.right, public_keys=())
    ladder.initiate()
    ladder.settle()
    assert ladder.right.refusals[0] == "TICKET_NACK"


def test_a_ticket_of_a_key_that_is_known_is_taken(row: Row) -> None:
    ladder = secrets(keyed(row, left=ON, right=ON))
    ladder.connect()
    lost(ladder)
    ladder.connect()
    assert resumed(ladder.right)
