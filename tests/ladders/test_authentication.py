# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.15, §2.16, §3.5-3.8, RFC 7427: who is it, and how is that proven?"""

from dataclasses import replace
from datetime import timedelta

import pytest

from ikeway.auth import psk, signatures
from ikeway.crypto.authority import issue
from ikeway.crypto.certificate import distinguished_name
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.prf import prf
from ikeway.crypto.profile import Purpose
from ikeway.crypto.sign import SignatureHash
from ikeway.ike.questions import Refused, Sign, VerifyCertificate
from ikeway.ike.states import AwaitAuthRequest
from ikeway.model.identity import Identity, IdType
from ikeway.model.secret import Secret
from ikeway.policy.connection import Proof
from ikeway.policy.credentials import Credentials, IdPattern, PreSharedKey
from ikeway.policy.proposals import parse_ike
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import (
    Authentication,
    Certificate,
    CertificateRequest,
    IdR,
    Notify,
    Unknown,
)
from ikeway.wire.registry import AuthMethod, CertEncoding, ExchangeType, NotifyType, PayloadType
from support.forge import edited, first_message, opened, rewritten
from support.hosts import CA, GCM, LEFT, RIGHT, Row, authority, leaf
from support.ladder import Ladder
from support.pki import private_key
from support.shell import TODAY

AUTH = ExchangeType.IKE_AUTH
P256 = KeyAlgorithm.ECDSA_256
FAILED = "IKE_AUTH response 1 [N(AUTHENTICATION_FAILED)]"
HASHES = NotifyType.SIGNATURE_HASH_ALGORITHMS


def is_up(ladder: Ladder) -> bool:
    return bool(ladder.left.established and ladder.right.established and ladder.right.installed)


def is_down(ladder: Ladder) -> bool:
    ladder.wait(40)
    return not (ladder.left.states or ladder.right.states or ladder.right.installed)


# Shared keys --------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-I01")
@pytest.mark.parametrize("code", [2, 4, 5, 6, 7, 8])
def test_auth_by_shared_key_is_the_prf_of_the_padded_key(code: int) -> None:
    """§2.15: prf(prf(Shared Secret, "Key Pad for IKEv2"), octets), 17 characters without NUL."""
    row = prf(code)
    secret = Secret(b"any key of any length whatever")
    padded = row.compute(secret.octets, b"Key Pad for IKEv2")
    assert psk.compute(row, secret, b"octets") == row.compute(padded, b"octets")


@pytest.mark.conformance("CF-I02", "CF-H08")
@pytest.mark.parametrize("octets", [1, 15, 16, 17, 64, 65, 300])
@pytest.mark.parametrize("suite", ["aes128-aesxcbc-x25519", "aes256-sha256-x25519"])
def test_shared_keys_of_any_length_work(octets: int, suite: str) -> None:
    """§2.15: keys are octets as they are given; the PRF pads or hashes them as it has to."""
    specs = {"ike": (parse_ike(suite),)}
    ladder = GCM.psk(left=specs, right=specs)
    secrets = (PreSharedKey(IdPattern("*"), Secret(bytes(range(1, 256))[:octets] or b"x")),)
    for host in (ladder.left, ladder.right):
        host.endpoint.env = replace(host.endpoint.env, credentials=Credentials(secrets=secrets))
    ladder.connect()
    assert is_up(ladder)


# Identities ---------------------------------------------------------------------------------------


IDENTITIES = (
    Identity.parse("192.0.2.7"),
    Identity.parse("2001:db8::7"),
    Identity.parse("gw.example.com"),
    Identity.parse("user@example.com"),
    Identity.parse("@#00ff00"),
    distinguished_name("C=CH, O=Example, CN=gw"),
)


@pytest.mark.conformance("CF-I18")
@pytest.mark.parametrize("identity", IDENTITIES, ids=str)
@pytest.mark.parametrize("side", ["left", "right"])
def test_identities_of_every_type_are_taken(row: Row, identity: Identity, side: str) -> None:
    """§3.5: "implementations MUST be configurable to send at least one of" these."""
    own = {"local_id": identity}
    anybody = {"peer_id": IdPattern("*")}
    ladder = row.psk(left=own, right=anybody) if side == "left" else row.psk(anybody, own)
    ladder.connect()
    assert is_up(ladder)
    assert getattr(ladder, "right" if side == "left" else "left").established[0].peer_id == identity


@pytest.mark.conformance("CF-I18")
@pytest.mark.parametrize(
    "identity",
    [
        Identity(IdType.FQDN, b"left.example\0"),
        Identity(IdType.FQDN, b"left.example\r\n"),
        Identity(IdType.RFC822_ADDR, b"user@example.com\n"),
        Identity(IdType.FQDN, b""),
        Identity(IdType.IPV4_ADDR, b"\1\2\3"),
        Identity(IdType.IPV6_ADDR, b"\1\2\3\4"),
    ],
    ids=str,
)
def test_identities_that_cannot_be_are_refused(row: Row, identity: Identity) -> None:
    """§3.5: names "MUST NOT contain any terminators"."""
    ladder = row.psk(left={"local_id": identity}, right={"peer_id": IdPattern("*")})
    ladder.connect()
    assert ladder.right.refusals == ["INVALID_SYNTAX"]
    assert is_down(ladder)


@pytest.mark.conformance("CF-I18")
def test_names_have_no_case_and_dns_are_compared_by_x500_rules(row: Row) -> None:
    """§3.5: RFC 4945 §3.1 says how."""
    ladder = row.psk(left={"local_id": Identity.parse("LEFT.Example")})
    ladder.connect()
    assert is_up(ladder)
    ladder = row.psk(
        left={"local_id": distinguished_name("C=CH, O=Example  Corp, CN=Left")},
        right={"peer_id": IdPattern("C=CH, O=example corp, CN=left")},
    )
    ladder.connect()
    assert is_up(ladder)


@pytest.mark.conformance("CF-I04")
def test_a_responder_without_the_identity_that_is_asked_for_refuses(row: Row) -> None:
    """§2.15: ours is to fail: somebody else is meant."""
    ladder = row.psk(left={"peer_id": IdPattern("somebody.example")})
    ladder.connect()
    assert ladder.right.said[-1] == FAILED
    assert is_down(ladder)


@pytest.mark.conformance("CF-I04")
def test_a_responder_with_another_identity_than_asked_for_is_not_the_peer(row: Row) -> None:
    """§2.15: ours is to fail unless the connection allows that identity."""
    ladder = row.psk(right={"local_id": Identity.parse("liar.example")})

    def without(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(body for body in payloads if not isinstance(body, IdR))

    edited(ladder, without, AUTH, ladder.left)
    ladder.connect()
    assert "INFORMATIONAL request 2 [N(AUTHENTICATION_FAILED)]" in ladder.left.said
    assert is_down(ladder)


@pytest.mark.conformance("CF-I04")
def test_an_initiator_that_asks_for_nobody_takes_whom_it_allows(row: Row) -> None:
    """§2.15: a pattern with a wildcard asks for nobody in particular."""
    ladder = row.psk(left={"peer_id": IdPattern("*.example")})
    ladder.connect()
    assert "IDr" not in ladder.left.said[1]
    assert is_up(ladder)


def test_an_exact_identity_comes_before_a_pattern(row: Row) -> None:
    """§2.15: the peer's own connection is its connection."""
    ladder = row.psk()
    env = ladder.right.endpoint.env
    anybody = replace(env.connections[0], name="anybody", peer_id=IdPattern("*"))
    ladder.right.endpoint.env = replace(env, connections=(anybody, *env.connections))
    ladder.connect()
    assert ladder.right.established[0].connection.name == "to-left.example"


# Methods ------------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-I08")
def test_an_initiator_that_wants_eap_is_refused(row: Row) -> None:
    """§2.16: no AUTH in the first request is a wish for EAP, which no connection allows."""
    ladder = row.psk()

    def without(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(body for body in payloads if not isinstance(body, Authentication))

    edited(ladder, without, AUTH, ladder.left)
    ladder.connect()
    assert ladder.right.said[-1] == FAILED
    assert is_down(ladder)


@pytest.mark.conformance("CF-I06")
def test_an_initiator_without_eap_always_sends_auth(row: Row) -> None:
    """§2.16: its absence would ask for EAP."""
    for ladder in (row.psk(), row.certificates()):
        ladder.connect()
        assert " AUTH " in ladder.left.said[1]


@pytest.mark.conformance("CF-I05")
@pytest.mark.parametrize("side", ["left", "right"])
def test_only_the_configured_kinds_of_proof_count(row: Row, side: str) -> None:
    """§2.15: a shared key does where a certificate is wanted, no."""
    strict = {"peer_auth": (Proof.CERTIFICATE,)}
    ladder = row.psk(left=strict) if side == "left" else row.psk(right=strict)
    ladder.connect()
    assert is_down(ladder)


@pytest.mark.parametrize("method", [AuthMethod.NULL, AuthMethod(99), AuthMethod(0)])
@pytest.mark.parametrize("side", ["left", "right"])
def test_other_authentication_methods_prove_nothing(
    row: Row, method: AuthMethod, side: str
) -> None:
    """§3.8."""
    ladder = row.certificates()

    def change(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(
            replace(body, method=method) if isinstance(body, Authentication) else body
            for body in payloads
        )

    edited(ladder, change, AUTH, getattr(ladder, side))
    ladder.connect()
    assert is_down(ladder)


@pytest.mark.conformance("CF-I17")
def test_every_cause_of_failure_gives_the_same_answer(row: Row) -> None:
    """§2.21.2: AUTHENTICATION_FAILED "for whatever reason", and nothing that tells which."""
    ladders = [
        row.psk(left={"local_id": Identity.parse("mallory.example")}),
        row.psk(left={"peer_id": IdPattern("somebody.example")}),
        row.psk(right={"peer_auth": (Proof.CERTIFICATE,)}),
        row.certificates(left={"local_id": Identity.parse("other.example")}),
        untrusted(row),
        wrong_key(row),
    ]
    sizes = set()
    for ladder in ladders:
        ladder.connect()
        assert ladder.right.said[-1] == FAILED
        assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
        sizes.add(len(ladder.sent[3][1].octets))
    assert len(sizes) == 1


def untrusted(row: Row) -> Ladder:
    ladder = row.certificates()
    env = ladder.left.endpoint.env
    own = leaf(LEFT, KeyAlgorithm.ECDSA_256, "Another CA")
    ladder.left.endpoint.env = replace(
        env, credentials=replace(env.credentials, certificates=(own,))
    )
    return ladder


def wrong_key(row: Row) -> Ladder:
    ladder = row.psk()
    wrong = Credentials(secrets=(PreSharedKey(IdPattern("*"), Secret(b"wrong")),))
    ladder.left.endpoint.env = replace(ladder.left.endpoint.env, credentials=wrong)
    return ladder


# Certificates -------------------------------------------------------------------------------------


def test_a_certificate_of_another_authority_is_refused_by_the_responder(row: Row) -> None:
    """§2.21.2: an untrusted certificate issuer."""
    ladder = untrusted(row)
    ladder.connect()
    assert ladder.right.said[-1] == FAILED
    assert is_down(ladder)


def test_a_certificate_of_another_authority_is_refused_by_the_initiator(row: Row) -> None:
    """§2.21.2: the initiator says so in an INFORMATIONAL exchange."""
    ladder = row.certificates()
    env = ladder.right.endpoint.env
    own = leaf(RIGHT, KeyAlgorithm.ECDSA_256, "Another CA")
    ladder.right.endpoint.env = replace(
        env, credentials=replace(env.credentials, certificates=(own,))
    )
    ladder.connect()
    assert "INFORMATIONAL request 2 [N(AUTHENTICATION_FAILED)]" in ladder.left.said
    assert ladder.left.installs == []
    assert is_down(ladder)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_certificate_that_has_expired_is_refused(row: Row, side: str) -> None:
    """§2.21.2: an expired certificate."""
    ladder = row.certificates()
    getattr(ladder, side).pki.today = lambda: TODAY + timedelta(days=60)
    ladder.connect()
    assert is_down(ladder)
    assert (ladder.right.said[-1] == FAILED) == (side == "right")


def test_a_certificate_for_somebody_else_is_refused(row: Row) -> None:
    """RFC 4945 §3.1: the identity stands in subjectAltName."""
    ladder = row.certificates(
        right={"peer_id": IdPattern("*")}, left={"local_id": Identity.parse("boss.example")}
    )
    ladder.connect()
    assert "is not for boss.example" in ladder.right.ends[0].reason
    assert ladder.right.said[-1] == FAILED


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_signer_without_a_certificate_is_refused(row: Row, side: str) -> None:
    """§3.6: its key cannot be known."""
    ladder = row.certificates()

    def without(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(body for body in payloads if not isinstance(body, Certificate))

    edited(ladder, without, AUTH, getattr(ladder, side))
    ladder.connect()
    assert is_down(ladder)


@pytest.mark.parametrize("side", ["left", "right"])
@pytest.mark.parametrize("data", [b"", b"\x30\x82", bytes(1000)])
def test_a_certificate_that_cannot_be_read_is_refused(row: Row, side: str, data: bytes) -> None:
    """§3.6: whatever it holds, it ends in AUTHENTICATION_FAILED."""
    ladder = row.certificates()
    bad = Certificate(CertEncoding.X509_SIGNATURE, data)

    def change(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(bad if isinstance(body, Certificate) else body for body in payloads)

    edited(ladder, change, AUTH, getattr(ladder, side))
    ladder.connect()
    assert is_down(ladder)


@pytest.mark.parametrize("side", ["left", "right"])
def test_more_certificates_than_a_chain_can_have_are_refused(row: Row, side: str) -> None:
    """I5: each costs work."""
    ladder = row.certificates()
    other = Certificate(CertEncoding.X509_SIGNATURE, b"x")
    edited(ladder, lambda payloads: (*payloads, *[other] * 256), AUTH, getattr(ladder, side))
    ladder.connect()
    assert is_down(ladder)
    assert VerifyCertificate not in getattr(ladder, "right" if side == "left" else "left").asked


@pytest.mark.conformance("CF-I20")
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_intermediates_may_be_among_a_hundred_certificates(side: str) -> None:
    """§3.6: "other certificates may be sent in any order" behind the one that signed."""
    ladder = GCM.certificates()
    crowd = [
        Certificate(CertEncoding.X509_SIGNATURE, leaf(f"{number}.example", P256, CA).leaf.der)
        for number in range(100)
    ]
    edited(ladder, lambda payloads: (*payloads, *crowd), AUTH, getattr(ladder, side))
    ladder.connect()
    assert is_up(ladder)


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_certificate_swapped_after_the_signature_is_refused(row: Row, side: str) -> None:
    """§2.15: AUTH verifies with the key of the certificate that is there, or not at all."""
    ladder = row.certificates()
    name = LEFT if side == "left" else RIGHT
    public = private_key(P256, 96).public
    purpose: Purpose = "client" if side == "left" else "server"
    names = (Identity.parse(name),)
    other = issue(authority(CA), public, names, purpose, TODAY, 30)
    swapped = Certificate(CertEncoding.X509_SIGNATURE, other.der)

    def swap(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(swapped if isinstance(body, Certificate) else body for body in payloads)

    edited(ladder, swap, AUTH, getattr(ladder, side))
    ladder.connect()
    assert is_down(ladder)
    judge = ladder.right if side == "left" else ladder.left
    assert "signature does not verify" in judge.ends[0].reason


def test_certificates_of_other_encodings_are_skipped(row: Row) -> None:
    """§3.6: those that we can read are what counts."""
    ladder = row.certificates()
    other = Certificate(CertEncoding(12), b"http://example.com/")
    edited(ladder, lambda payloads: (other, *payloads), AUTH, ladder.left)
    ladder.connect()
    assert is_up(ladder)


@pytest.mark.conformance("CF-I21")
@pytest.mark.parametrize("hashes", [bytes(20), bytes(range(40)), b""])
def test_a_request_for_unknown_authorities_is_no_reason_to_fail(row: Row, hashes: bytes) -> None:
    """§3.7: the certificate is sent all the same: clients fail to ask."""
    ladder = row.certificates()
    request = CertificateRequest(CertEncoding.X509_SIGNATURE, hashes)

    def change(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(request if isinstance(body, CertificateRequest) else body for body in payloads)

    edited(ladder, change, AUTH, ladder.left)
    ladder.connect()
    assert is_up(ladder)


@pytest.mark.conformance("CF-I22")
@pytest.mark.parametrize("octets", [1, 19, 21])
def test_a_certificate_request_of_an_odd_length_does_no_harm(row: Row, octets: int) -> None:
    """§3.7: SHA-1 hashes have 20 octets."""
    ladder = row.certificates()
    odd = Unknown(PayloadType.CERTREQ, b"\4" + bytes(octets))

    def change(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(odd if isinstance(body, CertificateRequest) else body for body in payloads)

    edited(ladder, change, AUTH, ladder.left)
    ladder.connect()
    assert ladder.right.states != [] or ladder.right.refusals == ["INVALID_SYNTAX"]


@pytest.mark.conformance("CF-I21")
def test_certificate_requests_name_the_authorities_that_we_believe(row: Row) -> None:
    """§3.7: the SHA-1 hashes of their public keys."""
    ladder = row.certificates()
    ladder.connect()
    request = Message.decode(ladder.sent[1][1].octets).one(CertificateRequest)
    assert request
    assert request.encode()[1:] == authority(CA).certificate.subject_key_hash


def test_who_needs_no_certificate_asks_for_none(row: Row) -> None:
    """§3.7."""
    ladder = row.psk()
    ladder.connect()
    assert not [line for line in ladder.left.said + ladder.right.said if "CERTREQ" in line]


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_signer_that_is_out_of_order_ends_the_attempt(row: Row, side: str) -> None:
    """§2.21.2: the peer hears no details."""
    ladder = row.certificates()
    host = getattr(ladder, side)
    host.holds = (Sign,)
    ladder.connect()
    ladder.answer(host, Refused("the token is gone"))
    ladder.settle()
    assert is_down(ladder)
    assert "the token is gone" in host.ends[0].reason


@pytest.mark.parametrize("key", [one for one in KeyAlgorithm if "MLDSA" in one.name])
def test_post_quantum_keys_prove_identities(key: KeyAlgorithm) -> None:
    """draft-ietf-ipsecme-ikev2-pqc-auth §3: method 14 with the hash "Identity"."""
    ladder = GCM.certificates(key=key)
    ladder.connect()
    assert is_up(ladder)


# RFC 7427 -----------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-N01", "CF-N08")
def test_both_announce_their_hashes_and_never_sha_1(row: Row) -> None:
    """RFC 7427 §4: 2 octets each; RFC 8247 §4: SHA-1 is not among them."""
    ladder = row.certificates()
    ladder.connect()
    for _, datagram in ladder.sent[:2]:
        notify = Message.decode(datagram.octets).notify(HASHES)
        assert notify
        assert signatures.decode_hashes(notify.data) == {
            SignatureHash.SHA2_256,
            SignatureHash.SHA2_384,
            SignatureHash.SHA2_512,
            SignatureHash.IDENTITY,
        }


def announcing(ladder: Ladder, hashes: tuple[int, ...] | None) -> None:
    """Let the right host believe that the left one announces these hashes, None for no RFC 7427.

    The transcript stays what it was: this is about what the right host makes of it.
    """
    ladder.initiate()
    ladder.deliver(*ladder.wire.popleft())
    (sa,) = ladder.right.endpoint.sas
    state = sa.state
    assert isinstance(state, AwaitAuthRequest)
    known = None if hashes is None else signatures.decode_hashes(signatures.encode_hashes(hashes))
    agreed = replace(state.session.agreed, peer_hashes=known)
    sa._state = replace(state, session=replace(state.session, agreed=agreed))


@pytest.mark.conformance("CF-N03", "CF-N02", "CF-N10")
@pytest.mark.parametrize(
    ("key", "hashes", "scheme"),
    [
        (KeyAlgorithm.RSA, (2,), "RSA_SHA2_256"),
        (KeyAlgorithm.RSA, (3,), "RSA_SHA2_384"),
        (KeyAlgorithm.RSA, (4, 99), "RSA_SHA2_512"),
        (KeyAlgorithm.ECDSA_256, (4,), "ECDSA_SHA2_512"),
        (KeyAlgorithm.ECDSA_384, (2, 3), "ECDSA_SHA2_384"),
        (KeyAlgorithm.ED25519, (5,), "ED25519"),
        (KeyAlgorithm.ED25519, (2, 3), None),
        (KeyAlgorithm.RSA, (99,), None),
        (KeyAlgorithm.ECDSA_256, None, "ECDSA_256"),
        (KeyAlgorithm.ECDSA_384, None, "ECDSA_384"),
        (KeyAlgorithm.ED25519, None, None),
    ],
)
def test_we_sign_with_a_hash_that_the_peer_announced(
    key: KeyAlgorithm, hashes: tuple[int, ...] | None, scheme: str | None
) -> None:
    """RFC 7427 §4: the peer accepts these hashes; without the notify, older methods are left."""
    ladder = GCM.certificates(key=key)
    ladder.right.holds = (Sign,)
    announcing(ladder, hashes)
    ladder.settle()
    signs = [asked.question for asked in ladder.right.held]  # type: ignore[union-attr]
    if scheme is None:
        assert signs == []
        assert ladder.right.said[-1] == FAILED
    else:
        (question,) = signs
        assert isinstance(question, Sign)
        assert question.scheme.startswith(scheme)


@pytest.mark.conformance("CF-N03", "CF-N08")
def test_a_signature_with_a_hash_that_we_did_not_announce_is_refused() -> None:
    """RFC 7427 §4: and RSA with SHA-1 only where the connection allows it."""
    ladder = GCM.certificates({"fragment_size": 0}, key=KeyAlgorithm.RSA)

    def change(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(
            replace(body, method=AuthMethod(1), data=bytes(256))
            if isinstance(body, Authentication)
            else body
            for body in payloads
        )

    edited(ladder, change, AUTH, ladder.left)
    ladder.connect()
    assert "its hash is not one that we allow" in ladder.right.ends[0].reason


@pytest.mark.conformance("CF-N04", "CF-N09")
@pytest.mark.parametrize("data", [b"", b"\0", b"\xff", b"\3abc", b"\3abcdef", bytes(300)])
@pytest.mark.parametrize("side", ["left", "right"])
def test_authentication_data_that_cannot_be_is_refused(row: Row, data: bytes, side: str) -> None:
    """RFC 7427 §3: an ASN.1 length, the AlgorithmIdentifier, the signature."""
    ladder = row.certificates()

    def change(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(
            replace(body, data=data) if isinstance(body, Authentication) else body
            for body in payloads
        )

    edited(ladder, change, AUTH, getattr(ladder, side))
    ladder.connect()
    assert is_down(ladder)


@pytest.mark.conformance("CF-N01")
def test_an_odd_list_of_hashes_is_dropped_with_its_message(row: Row) -> None:
    """RFC 7427 §4: a list of 16-bit numbers."""
    ladder = row.certificates()
    message = first_message(ladder)
    odd = tuple(
        Notify(HASHES, b"\0\2\0") if isinstance(one, Notify) and one.type is HASHES else one
        for one in message.payloads
    )
    assert ladder.arrive(ladder.right, replace(message, payloads=odd).encode()) == []


@pytest.mark.conformance("CF-I03")
def test_a_changed_ike_sa_init_message_is_found_out(row: Row) -> None:
    """§2.15: AUTH covers the whole first message of its sender."""
    for side in ("left", "right"):
        ladder = row.psk()

        def change(message: Message) -> Message:
            return replace(message, payloads=(*message.payloads, Notify(NotifyType(40000), b"!")))

        rewritten(ladder, change, getattr(ladder, side))
        ladder.connect()
        assert is_down(ladder)


def test_a_peer_cannot_reflect_our_own_proof(row: Row) -> None:
    """§2.15: the octets of both sides differ."""
    ladder = row.psk(right={"local_id": Identity.parse(LEFT)}, left={"peer_id": IdPattern("*")})
    seen: list[Authentication] = []

    def reflect(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        asked = opened(ladder.right, ladder.sent[2][1].octets)
        seen.extend(asked.all(Authentication))
        return tuple(seen[0] if isinstance(body, Authentication) else body for body in payloads)

    edited(ladder, reflect, AUTH, ladder.right)
    ladder.connect()
    assert seen
    assert is_down(ladder)


@pytest.mark.parametrize("side", ["left", "right"])
def test_who_has_no_certificate_cannot_prove_an_identity_by_one(row: Row, side: str) -> None:
    """RFC 7296 §2.15: the peer hears AUTHENTICATION_FAILED, or nothing at all."""
    ladder = row.certificates()
    host = getattr(ladder, side)
    none = replace(host.endpoint.env.credentials, certificates=())
    host.endpoint.env = replace(host.endpoint.env, credentials=none)
    ladder.connect()
    assert is_down(ladder)
    assert "but there is none" in host.ends[0].reason
