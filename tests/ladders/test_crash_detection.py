# SPDX-License-Identifier: Apache-2.0
"""RFC 6290, RFC 7296 §1.5, §2.21.4: a peer that lost its IKE SAs, and those who only say so."""

from dataclasses import replace

import pytest

from ikeway.ike.endpoint import Endpoint as IkeEndpoint
from ikeway.ike.hints import PAUSE
from ikeway.ike.io import CheckLiveness, Datagram, Rekey, Send
from ikeway.ike.states import Established
from ikeway.ike.strangers import outside
from ikeway.model.address import Endpoint
from ikeway.model.secret import Secret
from ikeway.wire.message import Flags, Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType, PayloadType, ProtocolId
from support.forge import request, session_of
from support.hosts import GCM, LEFT, RIGHT, Row, host
from support.ladder import Ladder
from support.shell import Host

QCD = NotifyType.QUICK_CRASH_DETECTION
KEYS = {LEFT: Secret(b"left".ljust(32)), RIGHT: Secret(b"right".ljust(32))}


def makers(ladder: Ladder, *, left: bool = True, right: bool = True) -> Ladder:
    """Let the hosts make tokens."""
    for one, makes, name in ((ladder.left, left, LEFT), (ladder.right, right, RIGHT)):
        secrets = (KEYS[name],) if makes else ()
        env = replace(one.endpoint.env, crash_secrets=secrets)
        one.endpoint = IkeEndpoint(env)
    return ladder


def restart(ladder: Ladder) -> None:
    """Let the right host forget everything but its configuration and its secret."""
    ladder.right.endpoint = IkeEndpoint(ladder.right.endpoint.env)
    ladder.right.timers.clear()
    ladder.right.installed.clear()


def state_of(one: Host) -> Established:
    (state,) = one.established
    return state


def tokens_in(message: Message) -> list[bytes]:
    found = [one for one in message.all(Notify) if one.type is QCD]
    assert all(one.protocol is ProtocolId.IKE and one.spi == b"" for one in found)
    return [one.data for one in found]


@pytest.mark.conformance("CF-W09")
@pytest.mark.parametrize("who", ["left", "right"])
def test_a_peer_that_restarted_proves_it_at_once(row: Row, who: str) -> None:
    """RFC 6290 §4.5: a sealed request of an unknown IKE SA is answered with the token."""
    ladder = makers(row.psk())
    ladder.connect()
    survivor, lost = (ladder.left, ladder.right) if who == "left" else (ladder.right, ladder.left)
    lost.endpoint = IkeEndpoint(lost.endpoint.env)
    lost.timers.clear()
    asked_at = len(ladder.sent)
    ladder.check_liveness(survivor)
    ladder.settle()
    asked, answer = [one.octets for _, one in ladder.sent[asked_at:]]
    assert len(answer) <= len(asked), "I2"
    assert tokens_in(Message.decode(answer))
    assert survivor.endpoint.sas == ()
    assert survivor.installed == {}
    (end,) = survivor.ends
    assert end.is_failure
    assert "restarted" in end.reason


@pytest.mark.conformance("CF-W09")
def test_a_wrong_token_changes_nothing(row: Row) -> None:
    """§4.5: "If the QCD_TOKEN cannot be validated, a response MUST NOT be sent"."""
    ladder = makers(row.psk())
    ladder.connect()
    ladder.check_liveness(ladder.left)
    _, asked = ladder.wire.popleft()
    head = Message.decode(asked.octets).header
    for token in (bytes(16), b"", bytes(200), state_of(ladder.left).crash_tokens[0][:-1]):
        payloads = (
            Notify(NotifyType.INVALID_IKE_SPI),
            Notify(QCD, token, protocol=ProtocolId.IKE),
        )
        forged = Message(replace(head, flags=Flags.RESPONSE), payloads)
        assert ladder.arrive(ladder.left, forged.encode()) == []
        assert state_of(ladder.left).children
    assert ladder.left.drops == ["no crash token of the peer"] * 4
    ladder.deliver(ladder.right, asked)
    ladder.settle()
    assert state_of(ladder.left)


def test_any_of_four_tokens_may_fit() -> None:
    """§4.5: the taker "MUST support at least four QCD_TOKEN notifications in a single packet"."""
    ladder = makers(GCM.psk())
    ladder.connect()
    (token,) = state_of(ladder.left).crash_tokens
    ladder.check_liveness(ladder.left)
    head = Message.decode(ladder.wire.popleft()[1].octets).header
    wrong = [Notify(QCD, bytes([n]) * 16, protocol=ProtocolId.IKE) for n in range(3)]
    last = Notify(QCD, token, protocol=ProtocolId.IKE)
    forged = Message(replace(head, flags=Flags.RESPONSE), (*wrong, last))
    ladder.arrive(ladder.left, forged.encode())
    assert ladder.left.endpoint.sas == ()


def test_tokens_are_sealed_while_the_ike_sa_lives() -> None:
    """§9.2: "MUST NOT send a valid QCD token in an unprotected message for an existing IKE SA"."""
    ladder = makers(GCM.psk())
    ladder.connect()
    tokens = [*state_of(ladder.left).crash_tokens, *state_of(ladder.right).crash_tokens]
    assert len(set(tokens)) == 2
    ladder.deliver(ladder.right, request(ladder, ladder.left, (), message_id=77))
    ladder.settle()
    assert not [one for _, one in ladder.sent if any(token in one.octets for token in tokens)]


def test_the_token_of_another_worker_is_not_ours_to_tell() -> None:
    """§9.2: nor for an IKE SA that another member of a cluster may have; its SPI says whose."""
    ladder = makers(GCM.psk())
    ladder.connect()
    asking = request(ladder, ladder.left, ())
    ladder.right.endpoint = IkeEndpoint(replace(ladder.right.endpoint.env, worker=1))
    (answer,) = ladder.arrive(ladder.right, asking.octets)
    assert Message.decode(answer).payloads == (Notify(NotifyType.INVALID_IKE_SPI),)


def test_what_is_not_sealed_draws_no_token() -> None:
    """§4.5: it is "a response to a protected IKE request"."""
    ladder = makers(GCM.psk())
    ladder.connect()
    head = Message.decode(request(ladder, ladder.left, ()).octets).header
    restart(ladder)
    for kind in (PayloadType.NOTIFY, PayloadType.NONE):
        plain = Message(replace(head, next_payload=kind), (Notify(NotifyType.COOKIE, bytes(60)),))
        for octets in ladder.arrive(ladder.right, plain.encode()):
            assert tokens_in(Message.decode(octets)) == []


def test_tokens_have_a_rate() -> None:
    """§8.1: with too many requests it is as if there were no tokens."""
    ladder = makers(GCM.psk())
    ladder.connect()
    asking = request(ladder, ladder.left, ())
    restart(ladder)
    drawn = sum(len(ladder.arrive(ladder.right, asking.octets)) for _ in range(3000))
    limits = ladder.right.endpoint.env.limits
    assert drawn == limits.tokens_burst + limits.answers_burst


@pytest.mark.parametrize(("left", "right"), [(True, False), (False, True)])
def test_one_side_alone_may_make_tokens(left: bool, right: bool) -> None:
    """§4.2: "not required ... that every implementation be both token maker and token taker"."""
    ladder = makers(GCM.psk(), left=left, right=right)
    ladder.connect()
    assert bool(state_of(ladder.left).crash_tokens) == right
    assert bool(state_of(ladder.right).crash_tokens) == left


@pytest.mark.parametrize("who", ["left", "right"])
def test_the_successor_of_an_ike_sa_has_tokens_of_its_own(who: str) -> None:
    """§4.3: the responder's in its answer, the initiator's in an exchange of its own."""
    ladder = makers(GCM.psk())
    ladder.connect()
    old = [state_of(one).crash_tokens for one in (ladder.left, ladder.right)]
    asks: Host = getattr(ladder, who)
    spi = asks.endpoint.sas[0].spi
    ladder.perform(asks, asks.endpoint.handle(spi, Rekey(), ladder.now))
    ladder.wait(5)
    new = [state_of(one).crash_tokens for one in (ladder.left, ladder.right)]
    assert all(len(tokens) == 1 for tokens in new)
    assert not {*old} & {*new}
    restart(ladder)
    spi = state_of(ladder.left).session.sa
    ladder.perform(ladder.left, ladder.left.endpoint.handle(spi, CheckLiveness(), ladder.now))
    ladder.settle()
    assert ladder.left.established == []
    assert "restarted" in ladder.left.ends[-1].reason


def test_a_token_may_be_replaced_in_any_sealed_request() -> None:
    """§4.4: "MUST accept such gratuitous QCD_TOKEN notifications"; the last four are kept."""
    ladder = makers(GCM.psk())
    ladder.connect()
    for number in range(6):
        told = Notify(QCD, bytes([number]) * 16, protocol=ProtocolId.IKE)
        ladder.arrive(ladder.left, request(ladder, ladder.right, (told,), message_id=number).octets)
    assert state_of(ladder.left).crash_tokens == tuple(bytes([n]) * 16 for n in (2, 3, 4, 5))


# Hints --------------------------------------------------------------------------------------------


def hint(ladder: Ladder, notify: Notify, **changes: object) -> bytes:
    """Return an unprotected answer about the only IKE SA."""
    link = session_of(ladder.left).link
    head = Message.decode(request(ladder, ladder.left, ()).octets).header
    flags = Flags.RESPONSE
    made = replace(head, spi_i=link.spi_i, spi_r=link.spi_r, flags=flags, **changes)  # type: ignore[arg-type]
    return Message(made, (notify,)).encode()


@pytest.mark.conformance("CF-A26", "CF-C11")
def test_a_hint_alone_is_a_question_to_the_peer_at_most(row: Row) -> None:
    """RFC 7296 §2.4, §2.21.4: no reply and no change: a true one answers a question of ours."""
    ladder = row.psk()
    ladder.connect()
    forged = hint(ladder, Notify(NotifyType.INVALID_IKE_SPI))
    before = ladder.left.states
    for _ in range(10):
        ladder.now += PAUSE
        assert ladder.arrive(ladder.left, forged) == []
    assert ladder.left.states == before
    assert state_of(ladder.left).children


@pytest.mark.conformance("CF-A26", "CF-C11")
@pytest.mark.parametrize(
    "kind",
    [NotifyType.INVALID_MAJOR_VERSION, NotifyType.INVALID_SYNTAX, NotifyType.NO_PROPOSAL_CHOSEN],
)
def test_other_unprotected_words_are_nothing(row: Row, kind: NotifyType) -> None:
    """RFC 7296 §1.5: only what says that an SA is unknown is a hint."""
    ladder = row.psk()
    ladder.connect()
    ladder.now += PAUSE
    before = ladder.left.states
    assert ladder.arrive(ladder.left, hint(ladder, Notify(kind))) == []
    assert ladder.left.states == before


def lost_child(ladder: Ladder, spi: int, *more: Notify) -> Datagram:
    """Return INVALID_SPI outside of any exchange, as it arrives at the left host."""
    peer, local = (Endpoint(one, 4500) for one in reversed(ladder.addresses))
    sent = outside(Notify(NotifyType.INVALID_SPI, spi.to_bytes(4)), (peer, local))
    message = Message.decode(sent.octets)
    whole = replace(message, payloads=(*message.payloads, *more))
    link = session_of(ladder.left).link
    return Datagram(local, Endpoint(link.peer.address, 4500), whole.encode())


@pytest.mark.conformance("CF-A26")
def test_a_packet_that_the_peer_does_not_know_is_a_hint_too(row: Row) -> None:
    """RFC 7296 §1.5: "a hint that something might be wrong"; "MUST NOT respond to it"."""
    ladder = row.psk()
    ladder.connect()
    told = lost_child(ladder, ladder.left.child.spi_out)
    ladder.now += PAUSE
    ladder.deliver(ladder.left, told)
    assert len(ladder.wire) == 1
    ladder.deliver(ladder.left, told)
    assert len(ladder.wire) == 1
    ladder.settle()
    assert state_of(ladder.left).children


@pytest.mark.conformance("CF-A26")
def test_hints_about_nothing_here_are_nothing() -> None:
    ladder = GCM.psk()
    ladder.connect()
    ladder.now += PAUSE
    told = lost_child(ladder, ladder.left.child.spi_out)
    elsewhere = replace(told, peer=Endpoint(told.local.address, 4500))
    for one in (lost_child(ladder, 4711), elsewhere, replace(told, octets=told.octets[:36])):
        ladder.deliver(ladder.left, one)
    assert not ladder.wire
    assert len(ladder.left.drops) == 3


def test_a_token_with_invalid_spi_counts_as_well() -> None:
    """RFC 6290 §8.2: "the same as if it arrived with the IKE SPIs of the parent IKE SA"."""
    ladder = makers(GCM.psk())
    ladder.connect()
    (token,) = state_of(ladder.left).crash_tokens
    proof = Notify(QCD, token, protocol=ProtocolId.IKE)
    ladder.deliver(ladder.left, lost_child(ladder, ladder.left.child.spi_out, proof))
    assert ladder.left.endpoint.sas == ()
    assert ladder.left.timers == {}


@pytest.mark.conformance("CF-A26")
def test_a_packet_of_no_child_sa_is_told_of_to_strangers_only(row: Row) -> None:
    """RFC 7296 §1.5: "If no suitable IKE SA exists", to where it came from, at a limited rate."""
    ladder = row.psk()
    ladder.connect()
    path = Endpoint(ladder.addresses[0], 4500), session_of(ladder.left).link.peer
    assert ladder.left.endpoint.unknown_packet(4711, path, ladder.now) == ()
    lost = host("rebooted", (), ladder.left.endpoint.env.credentials)
    (told,) = lost.endpoint.unknown_packet(4711, path, ladder.now)
    assert isinstance(told, Send)
    assert (told.local, told.peer) == path
    message = Message.decode(told.octets)
    assert message.payloads == (Notify(NotifyType.INVALID_SPI, (4711).to_bytes(4)),)
    assert message.header.is_request
    assert message.header.is_from_initiator
    assert (message.header.spi_i, message.header.spi_r) == (bytes(8), bytes(8))
    drawn = sum(len(lost.endpoint.unknown_packet(1, path, ladder.now)) for _ in range(100))
    assert drawn == lost.endpoint.env.limits.answers_burst - 1
