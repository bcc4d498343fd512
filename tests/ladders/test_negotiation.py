# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.7, §3.3: offering, choosing and checking proposals."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ikeway.ike import negotiate
from ikeway.model.errors import NoProposalError
from ikeway.policy.connection import PeerAddress
from ikeway.policy.proposals import parse_esp, parse_ike
from ikeway.wire.attributes import Attribute
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import KeyExchange, Notify, Proposal, SecurityAssociation, Transform
from ikeway.wire.registry import (
    ExchangeType,
    KeMethod,
    NotifyType,
    ProtocolId,
    TransformAttribute,
    TransformType,
)
from support.forge import edited, first_message, put
from support.hosts import CBC, GCM, Row
from support.ladder import Ladder

KEY_LENGTH = TransformAttribute.KEY_LENGTH
T = TransformType
GCM_256 = Transform.of(T.ENCR, 20, 256)
CBC_256 = Transform.of(T.ENCR, 12, 256)
SHA_256 = Transform.of(T.INTEG, 12)
PRF_384 = Transform.of(T.PRF, 6)
X25519 = Transform.of(T.KE, 31)
GOOD = (GCM_256, PRF_384, X25519)
SPEC = parse_ike("aes256gcm16-prfsha384-x25519")
ESP = parse_esp("aes256gcm16-noesn")
ESP_GOOD = (GCM_256, Transform.of(T.ESN, 0))


def ike_offer(*proposals: tuple[Transform, ...]) -> SecurityAssociation:
    return SecurityAssociation(
        tuple(Proposal(at, ProtocolId.IKE, b"", one) for at, one in enumerate(proposals, 1))
    )


def esp_offer(*proposals: tuple[Transform, ...], spi: bytes = b"spi!") -> SecurityAssociation:
    return SecurityAssociation(
        tuple(Proposal(at, ProtocolId.ESP, spi, one) for at, one in enumerate(proposals, 1))
    )


def answer_to(ladder: Ladder, offered: SecurityAssociation) -> Message:
    """Return the responder's answer to an IKE_SA_INIT request with this SA payload."""
    message = first_message(ladder)
    (answer,) = ladder.arrive(ladder.right, put(message, offered).encode())
    return Message.decode(answer)


@pytest.mark.conformance("CF-E01")
@pytest.mark.parametrize("row", [GCM, CBC], ids=str)
def test_the_answer_is_one_proposal_with_one_transform_of_each_type(row: Row) -> None:
    """§2.7: "The responder MUST choose a single suite"; under the number it has."""
    many = (
        parse_ike("chacha20poly1305-prfsha512-x448"),
        parse_ike("aes128-aes256-sha384-sha256-x25519-ecp256"),
        parse_ike("aes256gcm16-prfsha384-x25519"),
    )
    ladder = row.psk(left={"ike": many})
    ladder.connect()
    asked, answered = (Message.decode(ladder.sent[at][1].octets) for at in (-4, -3))
    offered = asked.one(SecurityAssociation)
    chosen = answered.one(SecurityAssociation)
    assert offered
    assert chosen
    (proposal,) = chosen.proposals
    original = offered.proposals[proposal.number - 1]
    assert proposal.number == (3 if row is GCM else 2)
    assert (proposal.protocol, proposal.spi) == (original.protocol, b"")
    kinds = [one.type for one in proposal.transforms]
    assert sorted(kinds) == sorted({one.type for one in original.transforms})
    assert set(proposal.transforms) <= set(original.transforms)


@pytest.mark.conformance("CF-K07", "CF-E08")
def test_our_proposals_are_numbered_and_have_spis_of_the_right_size(row: Row) -> None:
    """§3.3.1: "the first proposal ... MUST be 1"; SPI size 0 in IKE_SA_INIT, 4 for ESP."""
    specs = {"ike": (parse_ike("aes256gcm16-x25519"), parse_ike("aes256-sha256-x25519"))}
    ladder = row.psk(left=specs, right=specs)
    seen: list[SecurityAssociation] = [
        body for body in first_message(ladder).payloads if isinstance(body, SecurityAssociation)
    ]

    def watch(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        seen.extend(body for body in payloads if isinstance(body, SecurityAssociation))
        return payloads

    edited(ladder, watch, ExchangeType.IKE_AUTH, ladder.left)
    ladder.left.timers.clear()
    ladder = row.psk(left=specs, right=specs)
    edited(ladder, watch, ExchangeType.IKE_AUTH, ladder.left)
    ladder.connect()
    for sa, octets in zip(seen, (0, 4), strict=True):
        assert [one.number for one in sa.proposals] == list(range(1, len(sa.proposals) + 1))
        assert {len(one.spi) for one in sa.proposals} == {octets}
    for proposal in seen[0].proposals:
        kinds = {one.type for one in proposal.transforms}
        assert (T.INTEG in kinds) == any(
            one.id == 12 for one in proposal.transforms if one.type == 1
        )


@pytest.mark.conformance("CF-E02")
def test_no_common_proposal_for_the_ike_sa_is_refused_in_the_clear(row: Row) -> None:
    """§2.7: NO_PROPOSAL_CHOSEN, and nothing is kept."""
    ladder = row.psk(left={"ike": (parse_ike("chacha20poly1305-x25519"),)})
    ladder.connect()
    answer = Message.decode(ladder.sent[1][1].octets)
    assert answer.payloads == (Notify(NotifyType.NO_PROPOSAL_CHOSEN),)
    assert answer.header.spi_r == bytes(8)
    assert ladder.right.endpoint.sas == ()


@pytest.mark.conformance("CF-E02", "CF-A13")
def test_no_common_proposal_for_the_child_leaves_the_ike_sa(row: Row) -> None:
    """§2.21.2: the answer proves the identity and has NO_PROPOSAL_CHOSEN, protected."""
    ladder = row.psk(left={"esp": (parse_esp("chacha20poly1305"),)})
    ladder.connect()
    assert ladder.right.said[-1].endswith("AUTH N(NO_PROPOSAL_CHOSEN)]")
    assert ladder.left.established
    assert ladder.right.established
    assert ladder.left.installed == ladder.right.installed == {}


UNKNOWN_TYPE = Transform.of(TransformType(99), 1)
ADDKE = Transform.of(T.ADDKE1, 36)


@pytest.mark.conformance("CF-E04", "CF-E05", "CF-E07", "CF-E08", "CF-K09")
@pytest.mark.parametrize(
    "bad",
    [
        (*GOOD, UNKNOWN_TYPE),
        (*GOOD, ADDKE),
        (PRF_384, X25519),
        (GCM_256, X25519),
        (GCM_256, PRF_384),
        (CBC_256, PRF_384, X25519),
        (*GOOD, SHA_256),
        (Transform.of(T.ENCR, 20), PRF_384, X25519),
        (Transform(T.ENCR, 20, (Attribute(KEY_LENGTH, 0),)), PRF_384, X25519),
        (Transform.of(T.ENCR, 20, 100), PRF_384, X25519),
        (Transform.of(T.ENCR, 20, 512), PRF_384, X25519),
        (Transform(T.ENCR, 20, (Attribute(KEY_LENGTH, b"\1\0"),)), PRF_384, X25519),
        (Transform(T.ENCR, 20, (Attribute(KEY_LENGTH, 256),) * 2), PRF_384, X25519),
        (
            Transform(
                T.ENCR, 20, (Attribute(KEY_LENGTH, 256), Attribute(TransformAttribute(99), 1))
            ),
            PRF_384,
            X25519,
        ),
        (GCM_256, PRF_384, Transform(T.KE, 31, (Attribute(KEY_LENGTH, 256),))),
        (Transform.of(T.ENCR, 999, 256), PRF_384, X25519),
        (),
    ],
)
def test_a_proposal_with_something_odd_is_passed_over_and_the_next_is_taken(
    bad: tuple[Transform, ...],
) -> None:
    """§3.3.6: unknown types refuse a proposal, unknown IDs and attributes a transform."""
    ladder = GCM.psk()
    answer = answer_to(ladder, ike_offer(bad, GOOD))
    chosen = answer.one(SecurityAssociation)
    assert chosen
    assert [one.number for one in chosen.proposals] == [2]
    with pytest.raises(NoProposalError):
        negotiate.choose(ike_offer(bad), (SPEC,), prefer_ke=31)


@pytest.mark.conformance("CF-E05", "CF-K09")
@pytest.mark.parametrize(
    "extra",
    [
        Transform.of(T.ENCR, 20),
        Transform.of(T.ENCR, 20, 192),
        Transform.of(T.ENCR, 28, 256),
        Transform.of(T.ENCR, 4660, 256),
        Transform.of(T.PRF, 4660),
        Transform.of(T.KE, 4660),
        Transform(T.PRF, 6, (Attribute(TransformAttribute(77), 1),)),
    ],
)
def test_a_transform_that_we_do_not_take_leaves_the_others(extra: Transform) -> None:
    """§3.3.6: "other transforms with the same Transform Type are processed as usual"."""
    chosen = negotiate.choose(ike_offer((extra, *GOOD)), (SPEC,), prefer_ke=31)
    assert chosen.answer(b"").proposals[0].transforms == GOOD


@pytest.mark.conformance("CF-K09")
def test_a_cipher_of_one_key_length_takes_no_key_length() -> None:
    """§3.3.5: "MUST NOT include" the attribute for ciphers with keys of fixed size."""
    spec = parse_ike("chacha20poly1305-prfsha384-x25519")
    plain = (Transform.of(T.ENCR, 28), PRF_384, X25519)
    long = (Transform.of(T.ENCR, 28, 256), PRF_384, X25519)
    assert negotiate.choose(ike_offer(long, plain), (spec,), prefer_ke=31).proposal.number == 2


@pytest.mark.conformance("CF-K08")
def test_a_proposal_of_another_protocol_or_spi_size_is_unacceptable() -> None:
    """§3.3.1."""
    other = Proposal(1, ProtocolId.AH, b"spi!", ESP_GOOD)
    with pytest.raises(NoProposalError):
        negotiate.choose(SecurityAssociation((other,)), (ESP,))
    with pytest.raises(NoProposalError):
        negotiate.choose(esp_offer(ESP_GOOD, spi=b"too long"), (ESP,))


def test_integrity_none_goes_with_an_aead_cipher() -> None:
    """RFC 5282 §8: NONE is as good as leaving it out."""
    none = Transform.of(T.INTEG, 0)
    chosen = negotiate.choose(ike_offer((*GOOD, none)), (SPEC,), prefer_ke=31)
    assert none in chosen.answer(b"").proposals[0].transforms
    assert chosen.ike.integ == 0


def test_our_preference_comes_before_the_peers() -> None:
    """§2.7: the responder chooses."""
    ours = (parse_ike("aes256gcm16-aes128gcm16-prfsha384-x25519"),)
    weak_first = (Transform.of(T.ENCR, 20, 128), *GOOD)
    assert negotiate.choose(ike_offer(weak_first), ours, prefer_ke=31).ike.key_bits == 256


def test_the_method_of_the_ke_payload_is_taken_if_it_is_acceptable() -> None:
    """§1.2: another choice costs a round trip."""
    ours = (parse_ike("aes256gcm16-prfsha384-x25519-ecp256"),)
    both = ike_offer((*GOOD, Transform.of(T.KE, 19)))
    assert negotiate.choose(both, ours, prefer_ke=19).ike.ke == 19
    assert negotiate.choose(both, ours, prefer_ke=14).ike.ke == 31


def test_esn_that_is_not_offered_is_not_used() -> None:
    """§3.3.2: the transform type is mandatory for ESP; who leaves it out has no ESN."""
    spec = parse_esp("aes256gcm16")
    assert not negotiate.choose(esp_offer((GCM_256,)), (spec,)).esp.esn
    both = (GCM_256, Transform.of(T.ESN, 0), Transform.of(T.ESN, 1))
    assert negotiate.choose(esp_offer(both), (spec,)).esp.esn
    with pytest.raises(NoProposalError):
        negotiate.choose(esp_offer((GCM_256,)), (parse_esp("aes256gcm16-esn"),))


Change = Callable[[Proposal], tuple[Proposal, ...]]
WRONG_CHOICES: dict[str, Change] = {
    "another cipher": lambda p: (
        replace(p, transforms=(Transform.of(T.ENCR, 28), *p.transforms[1:])),
    ),
    "another key length": lambda p: (
        replace(p, transforms=(Transform.of(T.ENCR, p.transforms[0].id, 192), *p.transforms[1:])),
    ),
    "no key length": lambda p: (
        replace(p, transforms=(Transform.of(T.ENCR, p.transforms[0].id), *p.transforms[1:])),
    ),
    "a transform twice": lambda p: (replace(p, transforms=(*p.transforms, p.transforms[0])),),
    "a type too many": lambda p: (replace(p, transforms=(*p.transforms, UNKNOWN_TYPE)),),
    "a type too few": lambda p: (replace(p, transforms=p.transforms[:-1]),),
    "no transforms": lambda p: (replace(p, transforms=()),),
    "another number": lambda p: (replace(p, number=p.number + 1),),
    "number 0": lambda p: (replace(p, number=0),),
    "another protocol": lambda p: (replace(p, protocol=ProtocolId.AH, spi=b"spi!"),),
    "two proposals": lambda p: (p, p),
    "an unknown attribute": lambda p: (
        replace(
            p,
            transforms=(
                replace(
                    p.transforms[0],
                    attributes=(*p.transforms[0].attributes, Attribute(TransformAttribute(99), 1)),
                ),
                *p.transforms[1:],
            ),
        ),
    ),
}


def spoiled(body: Body, change: Change) -> Body:
    if not isinstance(body, SecurityAssociation):
        return body
    return SecurityAssociation(change(body.proposals[0]))


@pytest.mark.conformance("CF-E03")
@pytest.mark.parametrize("change", WRONG_CHOICES.values(), ids=WRONG_CHOICES)
@pytest.mark.parametrize("row", [GCM, CBC], ids=str)
def test_a_choice_that_was_not_offered_is_refused_in_ike_sa_init(row: Row, change: Change) -> None:
    """§3.3.6: the initiator "MUST check that the accepted offer is consistent" or terminate."""
    ladder = row.psk()
    (answer,) = ladder.arrive(ladder.right, first_message(ladder).encode())
    ladder.wire.clear()
    message = Message.decode(answer)
    payloads = tuple(spoiled(body, change) for body in message.payloads)
    assert ladder.arrive(ladder.left, replace(message, payloads=payloads).encode()) == []
    ladder.fate = lambda _host, _datagram: []
    ladder.wait(40)
    assert ladder.left.endpoint.sas == ()
    assert ladder.left.installs == []


@pytest.mark.conformance("CF-E03")
@pytest.mark.parametrize("change", WRONG_CHOICES.values(), ids=WRONG_CHOICES)
@pytest.mark.parametrize("row", [GCM, CBC], ids=str)
def test_a_choice_that_was_not_offered_costs_the_child(row: Row, change: Change) -> None:
    """§3.3.6, §2.21.2: the Child SA is deleted, the IKE SA stays."""
    ladder = row.psk()
    edited(
        ladder,
        lambda payloads: tuple(spoiled(body, change) for body in payloads),
        ExchangeType.IKE_AUTH,
        ladder.right,
    )
    ladder.connect()
    assert ladder.left.established
    assert ladder.left.installs == []
    assert ladder.left.said[-1] == "INFORMATIONAL request 2 [D(ESP)]"
    assert ladder.right.installed == {}


@pytest.mark.conformance("CF-K10")
@pytest.mark.parametrize("method", [KeMethod.ECP_256, KeMethod(4660), KeMethod.NONE])
def test_a_ke_payload_of_a_method_that_was_not_offered_gets_ours(method: KeMethod) -> None:
    """§3.4: its method has to be one of the proposals'; the answer names the chosen one."""
    ladder = GCM.psk()
    message = put(first_message(ladder), KeyExchange(method, bytes(64)))
    (answer,) = ladder.arrive(ladder.right, message.encode())
    assert Message.decode(answer).payloads == (Notify(NotifyType.INVALID_KE_PAYLOAD, b"\0\x1f"),)


@pytest.mark.conformance("CF-K10")
@pytest.mark.parametrize(
    ("word", "octets"), [("modp2048", 256), ("x25519", 32), ("ecp256", 64), ("modp3072", 384)]
)
def test_a_public_value_of_another_length_is_dropped(word: str, octets: int) -> None:
    """§3.4: "The length of the Diffie-Hellman public value ... MUST be equal" to the prime's."""
    specs = {"ike": (parse_ike(f"aes256gcm16-prfsha384-{word}"),)}
    ladder = GCM.psk(left=specs, right=specs)
    message = first_message(ladder)
    for size in (octets - 1, octets + 1, 1, 0):
        method = specs["ike"][0].ke[0][0]
        short = put(message, KeyExchange(KeMethod(method), b"\2" * size))
        assert ladder.arrive(ladder.right, short.encode()) == []
    assert ladder.right.endpoint.sas == ()


@pytest.mark.conformance("CF-E01")
def test_the_first_connection_with_a_common_proposal_decides() -> None:
    """§2.7: a connection that has nothing in common with the peer is not its connection."""
    ladder = GCM.psk()
    env = ladder.right.endpoint.env
    other = replace(env.connections[0], name="other", ike=(parse_ike("aes128-sha256-modp2048"),))
    ladder.right.endpoint.env = replace(env, connections=(other, *env.connections))
    ladder.connect()
    assert ladder.right.established[0].connection.name == "to-left.example"


@pytest.mark.parametrize("closest", ["198.51.100.0/24", "192.0.2.0/24", "192.0.2.1"])
def test_the_connection_that_fits_the_address_closest_decides(closest: str) -> None:
    """§2.6: who asks shows in IKE_AUTH; until then its address tells most."""
    ladder = GCM.psk()
    env = ladder.right.endpoint.env
    (plain,) = env.connections
    others = [
        replace(plain, name="anybody", ike=(parse_ike("aes128gcm16-prfsha256-x25519"),)),
        replace(plain, name="nearby", peer=PeerAddress.parse(closest)),
    ]
    ladder.right.endpoint.env = replace(env, connections=tuple(others))
    both = replace(ladder.left.endpoint.env.connections[0], ike=(others[0].ike[0], *plain.ike))
    left = ladder.left.endpoint.env
    ladder.left.endpoint.env = replace(left, connections=(both,))
    ladder.connect()
    (state,) = ladder.right.established
    is_near = closest.startswith("192.0.2")
    assert state.connection.name == ("nearby" if is_near else "anybody")
    assert state.session.keyring.suite.key_bits == (256 if is_near else 128)


@pytest.mark.conformance("CF-K08")
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_reserved_spi_makes_no_child(side: str) -> None:
    """RFC 4303 §2.1: values up to 255 are reserved."""
    ladder = GCM.psk()

    def reserved(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(
            spoiled(body, lambda one: (replace(one, spi=b"\0\0\0\xff"),)) for body in payloads
        )

    edited(ladder, reserved, ExchangeType.IKE_AUTH, getattr(ladder, side))
    ladder.connect()
    assert ladder.left.established
    assert ladder.right.established
    assert ladder.left.installed == ladder.right.installed == {}


@pytest.mark.conformance("CF-E03")
def test_a_choice_of_another_method_than_that_of_our_ke_payload_is_dropped() -> None:
    """RFC 7296 §1.2: the responder would have had to ask for it first."""
    specs = {"ike": (parse_ike("aes256gcm16-prfsha384-x25519-ecp256"),)}
    ladder = GCM.psk(left=specs, right=specs)
    (answer,) = ladder.arrive(ladder.right, first_message(ladder).encode())
    ladder.wire.clear()
    message = Message.decode(answer)
    other = ike_offer((GCM_256, PRF_384, Transform.of(T.KE, 19)))
    assert ladder.arrive(ladder.left, put(message, other).encode()) == []
    assert "ours is of another" in ladder.left.drops[-1]
