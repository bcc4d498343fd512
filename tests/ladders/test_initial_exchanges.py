# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §1.2: IKE_SA_INIT and IKE_AUTH, what they set up and what they refuse."""

from dataclasses import replace

import pytest

from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.ike.io import Datagram, InstallChild
from ikeway.ike.questions import Sign, VerifyCertificate
from ikeway.ike.states import AwaitAuthRequest, Established
from ikeway.model.esp import Mode
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.connection import Proof
from ikeway.policy.credentials import Credentials, IdPattern, PreSharedKey
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import (
    Authentication,
    Certificate,
    Notify,
    SecurityAssociation,
    Transform,
    TsI,
    TsR,
)
from ikeway.wire.registry import CertEncoding, ExchangeType, NotifyType, TransformType
from support.forge import edited, first_message, opened, sealed, session_of
from support.hosts import CA, CBC, GCM, LEFT, Row, leaf
from support.ladder import Ladder

AUTH = ExchangeType.IKE_AUTH


@pytest.mark.conformance("CF-B12")
def test_two_hosts_with_a_shared_key_establish_an_ike_sa_with_one_child(row: Row) -> None:
    """§1.2: four messages set up the IKE SA and the first Child SA.

    §2.2: IKE_SA_INIT has Message ID 0, the first IKE_AUTH request 1.
    """
    ladder = row.psk()
    ladder.connect()
    assert_up(ladder)
    assert [line.split(" [")[0] for line in ladder.left.said + ladder.right.said] == [
        "IKE_SA_INIT request 0",
        "IKE_AUTH request 1",
        "IKE_SA_INIT response 0",
        "IKE_AUTH response 1",
    ]


@pytest.mark.conformance("CF-N02", "CF-N07")
@pytest.mark.parametrize("key", list(KeyAlgorithm), ids=lambda key: key.value)
def test_two_hosts_with_certificates_establish_an_ike_sa_with_one_child(
    row: Row, key: KeyAlgorithm
) -> None:
    """RFC 7427 §3: "the Digital Signature authentication method"; RFC 8420 for Edwards curves."""
    ladder = row.certificates({"fragment_size": 0}, key=key)
    methods: list[int] = []

    def watch(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        methods.extend(int(body.method) for body in payloads if isinstance(body, Authentication))
        return payloads

    edited(ladder, watch, AUTH, ladder.left)
    ladder.connect()
    assert_up(ladder)
    assert methods == [14]


@pytest.mark.conformance("CF-I05")
def test_each_side_proves_itself_in_its_own_way(row: Row) -> None:
    """§2.15: initiator and responder need not "sign with the same cryptographic algorithms"."""
    ladder = row.certificates()
    one, two = ladder.left.endpoint.env, ladder.right.endpoint.env
    secrets = (PreSharedKey(IdPattern("*"), Secret(b"secret")),)
    ways = (one, Proof.PSK, Proof.CERTIFICATE), (two, Proof.CERTIFICATE, Proof.PSK)
    for env, local, peer in ways:
        changed = replace(env.connections[0], local_auth=local, peer_auth=(peer,))
        host = ladder.left if env is one else ladder.right
        credentials = replace(env.credentials, secrets=secrets)
        host.endpoint.env = replace(env, connections=(changed,), credentials=credentials)
    ladder.connect()
    assert_up(ladder)


@pytest.mark.conformance("CF-A04", "CF-A06", "CF-I17", "CF-C09")
def test_a_wrong_shared_key_ends_the_sa_on_both_sides_and_installs_nothing(row: Row) -> None:
    """§2.21.2: an authentication failure "SHOULD result in an AUTHENTICATION_FAILED"."""
    ladder = row.psk()
    wrong = Credentials(secrets=(PreSharedKey(IdPattern("*"), Secret(b"wrong")),))
    ladder.left.endpoint.env = replace(ladder.left.endpoint.env, credentials=wrong)
    ladder.connect()
    assert ladder.right.said[-1] == "IKE_AUTH response 1 [N(AUTHENTICATION_FAILED)]"
    assert_down(ladder)


@pytest.mark.conformance("CF-A04")
def test_a_responder_with_another_key_is_not_believed(row: Row) -> None:
    """§1.2: all signatures and MACs have to be "computed correctly"."""
    ladder = row.psk()

    def spoil(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(
            replace(body, data=bytes(len(body.data))) if isinstance(body, Authentication) else body
            for body in payloads
        )

    edited(ladder, spoil, AUTH, ladder.right)
    ladder.connect()
    assert "INFORMATIONAL request 2 [N(AUTHENTICATION_FAILED)]" in ladder.left.said
    assert_down(ladder)


@pytest.mark.conformance("CF-A04")
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_signature_by_another_key_is_not_believed(row: Row, side: str) -> None:
    """§1.2: a signature that does not fit the first CERT payload proves nothing."""
    ladder = row.certificates()

    def spoil(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(
            replace(body, data=body.data[:-1] + bytes([body.data[-1] ^ 1]))
            if isinstance(body, Authentication)
            else body
            for body in payloads
        )

    edited(ladder, spoil, AUTH, getattr(ladder, side))
    ladder.connect()
    assert_down(ladder)


@pytest.mark.conformance("CF-A05")
@pytest.mark.parametrize("side", ["left", "right"])
def test_the_first_certificate_is_the_one_that_signs(row: Row, side: str) -> None:
    """§1.2: the first certificate "MUST contain the public key used to verify the AUTH field"."""
    ladder = row.certificates()
    other = Certificate(
        CertEncoding.X509_SIGNATURE, leaf("other.example", KeyAlgorithm.ECDSA_256, CA).leaf.der
    )

    def before(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return (other, *payloads)

    edited(ladder, before, AUTH, getattr(ladder, side))
    ladder.connect()
    assert_down(ladder)


@pytest.mark.conformance("CF-A05")
@pytest.mark.parametrize("side", ["left", "right"])
def test_further_certificates_may_follow(row: Row, side: str) -> None:
    """§1.2: certificates after the first may help, and need not."""
    ladder = row.certificates()
    other = Certificate(
        CertEncoding.X509_SIGNATURE, leaf("other.example", KeyAlgorithm.ECDSA_256, CA).leaf.der
    )
    edited(ladder, lambda payloads: (*payloads, other), AUTH, getattr(ladder, side))
    ladder.connect()
    assert_up(ladder)


@pytest.mark.conformance("CF-I20", "CF-O04")
@pytest.mark.parametrize("side", ["left", "right"])
def test_four_certificates_and_two_urls_are_taken_and_nothing_is_fetched(
    row: Row, side: str
) -> None:
    """§3.6: "Implementations MUST be capable of being configured to send and accept up to four
    X.509 certificates", and the two URL formats, which we are not configured for.

    The attack (RFC 8019 §4.7): whoever is not authentic yet has us send requests to where it likes.
    """
    ladder = row.certificates()
    names = ("other.example", "third.example", "fourth.example")
    more = tuple(
        Certificate(CertEncoding.X509_SIGNATURE, leaf(name, KeyAlgorithm.ECDSA_256, CA).leaf.der)
        for name in names
    )
    urls = tuple(
        Certificate(encoding, bytes(20) + b"http://192.0.2.53/an-address-of-yours")
        for encoding in (CertEncoding.HASH_AND_URL_X509, CertEncoding.HASH_AND_URL_BUNDLE)
    )
    edited(ladder, lambda payloads: (*payloads, *more, *urls), AUTH, getattr(ladder, side))
    ladder.connect()
    assert_up(ladder)
    for host in (ladder.left, ladder.right):
        assert set(host.asked) <= {Sign, VerifyCertificate, InstallChild}
        assert not any("HTTP_CERT_LOOKUP_SUPPORTED" in what for what in host.said)


@pytest.mark.conformance("CF-I20", "CF-O04")
@pytest.mark.parametrize("side", ["left", "right"])
def test_who_sends_nothing_but_urls_proves_nothing(row: Row, side: str) -> None:
    """§3.6: without a certificate there is no key, whatever a URL might lead to."""
    ladder = row.certificates()

    def by_url(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        url = Certificate(CertEncoding.HASH_AND_URL_X509, bytes(20) + b"http://192.0.2.53/")
        return tuple(url if isinstance(body, Certificate) else body for body in payloads)

    edited(ladder, by_url, AUTH, getattr(ladder, side))
    ladder.connect()
    ladder.wait(60)
    assert_down(ladder)
    assert VerifyCertificate not in ladder.other(getattr(ladder, side)).asked


@pytest.mark.conformance("CF-A06")
def test_a_shared_key_of_somebody_else_does_not_prove_this_identity(row: Row) -> None:
    """§1.2: the key has to be the one of the name in the ID payload."""
    ladder = row.psk(right={"peer_id": IdPattern("*")})
    keys = Credentials(
        secrets=(
            PreSharedKey(IdPattern(LEFT), Secret(b"of left")),
            PreSharedKey(IdPattern("mallory.example"), Secret(b"of mallory")),
        )
    )
    ladder.right.endpoint.env = replace(ladder.right.endpoint.env, credentials=keys)
    stolen = Credentials(secrets=(PreSharedKey(IdPattern("*"), Secret(b"of mallory")),))
    ladder.left.endpoint.env = replace(ladder.left.endpoint.env, credentials=stolen)
    ladder.connect()
    assert_down(ladder)


@pytest.mark.conformance("CF-A07")
@pytest.mark.parametrize(("methods", "is_granted"), [((31,), False), ((31, 0), True)])
def test_key_exchange_methods_in_ike_auth_are_not_selected(
    methods: tuple[int, ...], is_granted: bool
) -> None:
    """§1.2: there is no KE payload in IKE_AUTH; §3.3.6: NONE makes the other methods harmless."""
    ladder = GCM.psk()

    def add_ke(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(_add_ke(body, methods) for body in payloads)

    edited(ladder, add_ke, AUTH, ladder.left)
    ladder.connect()
    answer = opened(ladder.left, ladder.sent[3][1].octets)
    chosen = answer.one(SecurityAssociation)
    assert (chosen is not None) == is_granted == bool(ladder.right.installs)
    assert (answer.notify(NotifyType.NO_PROPOSAL_CHOSEN) is None) == is_granted
    if chosen is not None:
        (transform,) = (one for one in chosen.proposals[0].transforms if one.type == 4)
        assert transform.id == 0


def _add_ke(body: Body, methods: tuple[int, ...]) -> Body:
    if not isinstance(body, SecurityAssociation):
        return body
    added = tuple(Transform.of(TransformType.KE, method) for method in methods)
    return SecurityAssociation(
        tuple(replace(one, transforms=(*one.transforms, *added)) for one in body.proposals)
    )


@pytest.mark.conformance("CF-A08", "CF-A13")
@pytest.mark.parametrize(
    "error",
    [
        NotifyType.NO_PROPOSAL_CHOSEN,
        NotifyType.TS_UNACCEPTABLE,
        NotifyType.FAILED_CP_REQUIRED,
        NotifyType.INTERNAL_ADDRESS_FAILURE,
        NotifyType.SINGLE_PAIR_REQUIRED,
        NotifyType(4095),
    ],
)
def test_an_error_about_the_child_leaves_the_ike_sa(row: Row, error: NotifyType) -> None:
    """§2.21.2: "the initiator MUST NOT fail the authentication because of this"."""
    ladder = row.psk()

    def refuse(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        kept = (body for body in payloads if not isinstance(body, SecurityAssociation | TsI | TsR))
        return (*kept, Notify(error))

    edited(ladder, refuse, AUTH, ladder.right)
    ladder.connect()
    (left,) = ladder.left.established
    assert left.children == ()
    assert ladder.left.installed == {}
    assert len(ladder.sent) == 4


@pytest.mark.conformance("CF-A22", "CF-B03")
def test_nothing_but_ike_auth_is_taken_before_ike_auth(row: Row) -> None:
    """§1.4: "INFORMATIONAL exchanges MUST ONLY occur after the initial exchanges"."""
    ladder = row.psk()
    ladder.fate = lambda _, datagram: [] if kind_of(datagram) is AUTH else [datagram]
    ladder.connect()
    (before,) = ladder.right.states
    assert isinstance(before, AwaitAuthRequest)
    for exchange in (ExchangeType.INFORMATIONAL, ExchangeType.CREATE_CHILD_SA):
        octets = sealed(session_of(ladder.left), (), 1, exchange)
        assert ladder.arrive(ladder.right, octets) == []
        assert ladder.right.states == [before]
    octets = sealed(session_of(ladder.right), (), 0, ExchangeType.INFORMATIONAL)
    assert ladder.arrive(ladder.left, octets) == []
    ladder.fate = lambda _, datagram: [datagram]
    ladder.wait(1)
    assert_up(ladder, sends=None)


@pytest.mark.conformance("CF-B03", "CF-K05")
def test_ike_auth_before_ike_sa_init_is_refused(row: Row) -> None:
    """§2: "all IKE_SA_INIT exchanges MUST complete before any other exchange type"."""
    ladder = row.psk()
    message = first_message(ladder)
    header = replace(message.header, exchange=AUTH, message_id=1)
    ladder.arrive(ladder.right, replace(message, header=header).encode())
    assert ladder.right.states == []


@pytest.mark.conformance("CF-C26")
@pytest.mark.parametrize("side", ["left", "right"])
def test_payloads_may_come_in_any_order(row: Row, side: str) -> None:
    """§2.5: "MUST NOT reject as invalid a message with those payloads in any other order"."""
    ladder = row.certificates()
    edited(ladder, lambda payloads: payloads[::-1], AUTH, getattr(ladder, side))
    ladder.connect()
    assert_up(ladder)


@pytest.mark.conformance("CF-B13")
def test_the_first_request_of_the_responder_has_message_id_0(row: Row) -> None:
    """§2.2: each endpoint counts its own requests, from 0 on."""
    ladder = row.psk()
    ladder.connect()
    ladder.check_liveness(ladder.right)
    header = Message.decode(ladder.sent[-1][1].octets).header
    assert (header.message_id, header.is_request, header.is_from_initiator) == (0, True, False)
    ladder.settle()
    assert isinstance(ladder.right.states[0], Established)
    assert ladder.left.said[-1] == "INFORMATIONAL response 0 []"


@pytest.mark.conformance("CF-A06")
def test_an_identity_that_no_connection_is_for_is_refused(row: Row) -> None:
    """§2.21.2: an invalid ID is an authentication failure."""
    ladder = row.psk(left={"local_id": Identity.parse("mallory.example")})
    ladder.connect()
    assert ladder.right.said[-1] == "IKE_AUTH response 1 [N(AUTHENTICATION_FAILED)]"
    assert_down(ladder)


def test_a_request_that_lacks_what_ike_auth_needs_is_malformed() -> None:
    """§2.21.2: a malformed message "MUST only lead to" INVALID_SYNTAX."""
    ladder = CBC.psk()

    def without(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(body for body in payloads if not isinstance(body, TsI))

    edited(ladder, without, AUTH, ladder.left)
    ladder.connect()
    assert ladder.right.said[-1] == "IKE_AUTH response 1 [N(INVALID_SYNTAX)]"
    assert_down(ladder)


def kind_of(datagram: Datagram) -> ExchangeType:
    return Message.decode(datagram.octets).header.exchange


def assert_up(ladder: Ladder, sends: int | None = 4) -> None:
    assert sends in {None, len(ladder.sent)}, ladder.left.events + ladder.right.events
    left, right = ladder.left.child, ladder.right.child
    assert (left.keys_in, left.keys_out) == (right.keys_out, right.keys_in)
    assert (left.spi_in, left.spi_out) == (right.spi_out, right.spi_in)
    assert (left.local_ts, left.peer_ts) == (right.peer_ts, right.local_ts)
    assert (left.suite, left.encapsulation) == (right.suite, right.encapsulation)
    assert len(ladder.left.established) == len(ladder.right.established) == 1


def assert_down(ladder: Ladder) -> None:
    """Both sides are rid of the IKE SA as soon as nobody can repeat anything any more."""
    assert ladder.left.installs == ladder.right.installs == [] or not ladder.left.installed
    ladder.wait(60)
    for host in (ladder.left, ladder.right):
        assert host.states == []
        assert host.installed == {}
        assert host.timers == {}
        assert len(host.ends) == 1


@pytest.mark.conformance("CF-A11")
def test_transport_mode_that_we_do_not_do_becomes_tunnel_mode(row: Row) -> None:
    """§1.3.1: "If the request is accepted, the response MUST also include a notification"."""
    ladder = row.psk()
    wish = Notify(NotifyType.USE_TRANSPORT_MODE)
    edited(ladder, lambda payloads: (*payloads, wish), AUTH, ladder.left)
    ladder.connect()
    assert "USE_TRANSPORT_MODE" not in ladder.right.said[-1]
    assert ladder.right.child.mode is Mode.TUNNEL


@pytest.mark.conformance("CF-J16")
@pytest.mark.parametrize(
    "granted",
    [Notify(NotifyType.IPCOMP_SUPPORTED, b"\0\1\2"), Notify(NotifyType.USE_TRANSPORT_MODE)],
)
def test_what_we_did_not_ask_for_costs_the_child(row: Row, granted: Notify) -> None:
    """§2.22, §1.3.1: the two sides would not understand each other's packets."""
    ladder = row.psk()
    edited(ladder, lambda payloads: (*payloads, granted), AUTH, ladder.right)
    ladder.connect()
    assert ladder.left.established
    assert ladder.left.installs == []
    assert ladder.left.said[-1] == "INFORMATIONAL request 2 [D(ESP)]"
    assert ladder.right.installed == {}
