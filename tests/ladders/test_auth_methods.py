# SPDX-License-Identifier: Apache-2.0
"""RFC 9593: who hears by which methods a peer may be proven shows the right one of its keys."""

from dataclasses import replace

import pytest

from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.sign import scheme_named
from ikeway.ike.features import auth_methods
from ikeway.ike.features.auth_methods import Announced
from ikeway.ike.reports import MessageSent
from ikeway.policy.connection import Proof
from ikeway.policy.proposals import parse_ike
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Authentication, Certificate, CertificateRequest, IdI, Notify
from ikeway.wire.registry import AuthMethod, CertEncoding, ExchangeType, NotifyType
from ladders.test_own_certificates import believes, own, plainly, said, showing, shown
from support.forge import edited, rewritten, session_of
from support.hosts import CA, GCM, LEFT, RIGHT, Changes, Row
from support.hybrid import KEM
from support.ladder import Ladder

AUTH, INTERMEDIATE = ExchangeType.IKE_AUTH, ExchangeType.IKE_INTERMEDIATE
KIND = NotifyType.SUPPORTED_AUTH_METHODS
P256, ED25519, RSA = KeyAlgorithm.ECDSA_256, KeyAlgorithm.ED25519, KeyAlgorithm.RSA
OTHER = "Another CA"
SAYS: Changes = {"announce_methods": True}


def blob(method: int, link: int | None = None, scheme: str = "") -> bytes:
    """Return an announcement in the format that its parts call for (§3.2)."""
    rest = bytes([method]) + (b"" if link is None else bytes([link]))
    rest += scheme_named(scheme).identifier if scheme else b""
    return bytes([1 + len(rest)]) + rest


def notify(*blobs: bytes) -> Notify:
    return Notify(KIND, b"".join(blobs))


def announcing(ladder: Ladder, *notifies: Notify) -> Ladder:
    """Let the client announce this in its first IKE_AUTH request, for the gateway to see."""

    def edit(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        is_first = any(isinstance(body, IdI) for body in payloads)
        return (*payloads, *notifies) if is_first else payloads

    edited(ladder, edit, AUTH, ladder.left)
    return ladder


def x509(ladder: Ladder, side: str, fitting: Certificate | bytes) -> bool:
    der = fitting if isinstance(fitting, bytes) else fitting.data
    return shown(ladder, side) == (Certificate(CertEncoding.X509_SIGNATURE, der),)


def is_up(ladder: Ladder) -> bool:
    return bool(ladder.left.established and ladder.right.established)


def sent(ladder: Ladder, exchange: ExchangeType) -> list[Message]:
    """Return the gateway's messages of an exchange."""
    found = [event for event in ladder.right.events if isinstance(event, MessageSent)]
    return [one.message for one in found if one.message.header.exchange is exchange]


# What is heard decides among keys of ours ---------------------------------------------------------


def test_of_several_keys_the_one_that_is_announced_signs(row: Row) -> None:
    """§3: "may take this information into consideration when selecting an algorithm ... if several
    alternatives are available".
    """
    ladder = showing(row, "right", own("right", P256), own("right", ED25519))
    announcing(ladder, notify(blob(14, 0, "ED25519")))
    ladder.connect()
    assert is_up(ladder)
    assert x509(ladder, "right", own("right", ED25519).leaf.der)


def test_of_several_schemes_the_one_that_is_announced_is_used(row: Row) -> None:
    """§1: "a single credential may be used to produce different types of authentication tokens"."""
    ladder = showing(row, "right", own("right", RSA))
    announcing(ladder, notify(blob(14, 0, "RSA_PSS_SHA2_384")))
    ladder.connect()
    assert is_up(ladder)
    auth = said(ladder, "right").one(Authentication)
    assert auth is not None
    assert scheme_named("RSA_PSS_SHA2_384").identifier in auth.data


def test_an_announcement_may_be_for_one_authority(row: Row) -> None:
    """§3.2.2: Cert Link N is "the N-th trust anchor ... from the Certificate Request"."""
    ladder = showing(row, "right", own("right", P256, CA), own("right", P256, OTHER))
    believes(ladder.left, CA, OTHER)
    announcing(ladder, notify(blob(14, 2, "ECDSA_SHA2_256")))
    ladder.connect()
    assert is_up(ladder)
    assert x509(ladder, "right", own("right", P256, OTHER).leaf.der)


def test_the_initiator_hears_it_in_ike_sa_init(row: Row) -> None:
    """§3.1: the responder says it in the IKE_SA_INIT response."""
    ladder = showing(row, "left", own("left", P256), own("left", ED25519))
    added = notify(blob(14, 0, "ED25519"))
    rewritten(
        ladder,
        lambda message: replace(message, payloads=(*message.payloads, added)),
        ladder.right,
    )
    ladder.connect()
    assert x509(ladder, "left", own("left", ED25519).leaf.der)


# It is no tool to make us weaker ------------------------------------------------------------------


@pytest.mark.parametrize(
    "said_",
    [
        blob(14, 0, "RSA_SHA1"),
        blob(1, 0),
        blob(AuthMethod.SHARED_KEY_MESSAGE_INTEGRITY_CODE),
        blob(AuthMethod.NULL),
        blob(201, 0) + blob(14, 0, "ED448"),
        b"",
    ],
)
def test_what_policy_does_not_have_is_not_shown_for_it(said_: bytes) -> None:
    """§6: "authentication methods in IKEv2 are not negotiated": a list of weak ones, or of none of
    ours, changes nothing of what the configuration says.
    """
    ladder = showing(GCM, "right", own("right", RSA))
    announcing(ladder, notify(said_))
    ladder.connect()
    assert is_up(ladder)
    auth = said(ladder, "right").one(Authentication)
    assert auth is not None
    assert auth.method is AuthMethod.DIGITAL_SIGNATURE
    assert scheme_named("RSA_SHA2_256").identifier in auth.data


def test_who_removes_the_list_wins_nothing() -> None:
    """§6: without it we do as without the extension."""
    ladder = GCM.certificates(SAYS, SAYS)

    def edit(body: Body) -> Body | None:
        return None if isinstance(body, Notify) and body.type is KIND else body

    plainly(ladder, edit)
    ladder.connect()
    assert said(ladder, "left").one(Authentication) is not None


# Reading it ---------------------------------------------------------------------------------------


def read(*payloads: Body, may_link: bool = True) -> tuple[Announced, ...]:
    return auth_methods.learn(Message(None, payloads), may_link=may_link)  # type: ignore[arg-type]


def test_all_three_formats_are_read() -> None:
    """§3.2.1 to §3.2.3: "the length octet fully defines both the format and the semantics"."""
    identifier = scheme_named("ED25519").identifier
    found = read(notify(blob(2), blob(1, 0), blob(14, 0, "ED25519")))
    assert found == (Announced(2), Announced(1), Announced(14, identifier))


def test_several_notifies_are_one_list() -> None:
    """§3.1: "all their announcements form a single ordered list"."""
    assert read(notify(blob(2)), notify(blob(13))) == (Announced(2), Announced(13))


@pytest.mark.parametrize("rest", [b"\0\0", b"\1\2", b"\x05\x0e", b"\xff"])
def test_what_cannot_be_read_ends_the_list(rest: bytes) -> None:
    """A length that cannot be says nothing of where the next one begins."""
    assert read(notify(blob(2), rest)) == (Announced(2),)


def test_links_are_to_the_authorities_of_the_same_message() -> None:
    """§3.2.2: those of several CERTREQs are "a single list"; without any a link is zero."""
    linked = notify(blob(1, 3), blob(9, 4))
    first = CertificateRequest(CertEncoding.X509_SIGNATURE, b"a" * 20 + b"b" * 20)
    second = CertificateRequest(CertEncoding.X509_SIGNATURE, b"c" * 20)
    assert read(first, linked, second) == (Announced(1, b"", b"c" * 20),)
    assert read(linked) == (Announced(1), Announced(9))


def test_links_in_ike_intermediate_without_authorities_are_left_out() -> None:
    """§3.1: the initiator "MAY ignore the Announcements containing links to CAs"."""
    assert read(notify(blob(1, 3), blob(2)), may_link=False) == (Announced(2),)


def test_no_more_are_read_than_a_peer_can_mean() -> None:
    assert len(read(notify(*[blob(2)] * 1000))) == auth_methods.MOST


# Saying it ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "some"),
    [
        ({"peer_auth": (Proof.PSK,)}, blob(2)),
        ({"peer_auth": (Proof.NULL,)}, blob(13)),
        ({"peer_auth": (Proof.CERTIFICATE,)}, blob(14, 0, "ED25519")),
        ({"peer_auth": (Proof.CERTIFICATE,), "allow_sha1_signatures": True}, blob(1, 0)),
    ],
)
def test_what_we_accept_is_said_in_its_format(changes: Changes, some: bytes) -> None:
    """§3.2: 2 octets without keys, 3 for the older signatures, more for Digital Signature."""
    (told,) = auth_methods.announce((GCM.connection(RIGHT, LEFT, **SAYS, **changes),))
    assert some in told.data
    assert scheme_named("RSA_SHA1").identifier not in told.data
    assert read(told)


def test_it_is_said_only_where_it_is_wanted(row: Row) -> None:
    ladder = row.certificates()
    ladder.connect()
    assert KIND.name not in " ".join((*ladder.left.said, *ladder.right.said))
    ladder = row.certificates(SAYS)
    ladder.connect()
    assert is_up(ladder)
    assert said(ladder, "left").notify(KIND)


def test_an_answer_to_a_stranger_is_no_longer_than_what_he_sent() -> None:
    """§3.1 leaves it out where the response grows: it would be a weapon against whom he names."""
    ladder = GCM.certificates(right=SAYS)
    ladder.connect()
    (asked, answered) = (ladder.sent[0][1].octets, ladder.sent[1][1].octets)
    assert len(answered) <= len(asked) or not Message.decode(answered).notify(KIND)
    two = (parse_ike(GCM.ike), parse_ike("aes256-sha256-x25519"))
    short = GCM.psk({"ike": two}, SAYS)
    short.connect()
    told = Message.decode(short.sent[1][1].octets).notify(KIND)
    assert told is not None
    assert told.data == blob(2)


def test_a_long_list_comes_in_ike_intermediate(row: Row) -> None:
    """§3.1: "a SUPPORTED_AUTH_METHODS notification containing no data in the IKE_SA_INIT response",
    and the list in the last exchange before IKE_AUTH.
    """
    ike = (parse_ike(f"{row.ike}-{KEM}"),)
    ladder = row.certificates({"ike": ike}, {"ike": ike, **SAYS})
    ladder.connect()
    assert is_up(ladder)
    told = Message.decode(ladder.sent[1][1].octets).notify(KIND)
    assert told is not None
    assert told.data == b""
    (listed,) = sent(ladder, INTERMEDIATE)
    assert listed.notify(KIND) is not None
    assert auth_methods.learn(listed) == session_of(ladder.left).wishes.methods != ()


def test_what_ike_intermediate_says_is_heeded(row: Row) -> None:
    ike = (parse_ike(f"{row.ike}-{KEM}"),)
    ladder = showing(row, "left", own("left", P256), own("left", ED25519))
    for side in (ladder.left, ladder.right):
        env = side.endpoint.env
        plain = replace(env.connections[0], ike=ike, fragment_size=0)
        both = (replace(plain, announce_methods=True),)
        side.endpoint.env = replace(env, connections=both)
    added = notify(blob(14, 0, "ED25519"))

    def edit(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        kept = tuple(b for b in payloads if not (isinstance(b, Notify) and b.type is KIND))
        return (*kept, added)

    edited(ladder, edit, INTERMEDIATE, ladder.right)
    ladder.connect()
    assert x509(ladder, "left", own("left", ED25519).leaf.der)
