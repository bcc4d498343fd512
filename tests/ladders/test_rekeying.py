# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §1.3.2, §1.3.3, §2.8: rekeying by either side, while nothing else happens."""

from dataclasses import replace

import pytest

from ikeway.ike import reports
from ikeway.ike.exchanges import child_sa_responder
from ikeway.ike.io import InstallChild, Rekey
from ikeway.ike.negotiate import offer
from ikeway.ike.states import Established
from ikeway.policy.lifetimes import Lifetimes
from ikeway.policy.proposals import parse_esp, parse_ike
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import (
    KeyExchange,
    Nonce,
    Notify,
    Proposal,
    SecurityAssociation,
    TsI,
    TsR,
)
from ikeway.wire.registry import ExchangeType, NotifyType, ProtocolId
from support.agreement import agree
from support.forge import opened, request, session_of
from support.hosts import Row
from support.ladder import Ladder
from support.shell import Host

CREATE = ExchangeType.CREATE_CHILD_SA


def up(row: Row, **changes: object) -> Ladder:
    ladder = row.psk(dict(changes), dict(changes))
    ladder.connect()
    return ladder


def rekey(ladder: Ladder, host: Host, *, child: bool) -> None:
    """Have a host rekey its only child, or its IKE SA, and let both sides finish."""
    want(ladder, host, child=child)
    ladder.settle()


def want(ladder: Ladder, host: Host, *, child: bool) -> None:
    (sa,) = (sa for sa in host.endpoint.sas if isinstance(sa.state, Established))
    spi = next(iter(host.installed)) if child else 0
    ladder.perform(host, host.endpoint.handle(sa.spi, Rekey(spi), ladder.now))


def said(ladder: Ladder, host: Host, exchange: ExchangeType, response: bool) -> Message:
    """Return the last message of that kind that a host sent, opened by the other one."""
    reader = ladder.other(host)
    for sender, datagram in reversed(ladder.sent):
        message = Message.decode(datagram.octets)
        head = message.header
        if sender is host and head.exchange is exchange and head.is_response is response:
            return session_of(reader).keyring.open(head, datagram.octets)
    raise AssertionError(f"{host.name} sent no {exchange.name}")


@pytest.mark.conformance("CF-A18", "CF-F02", "CF-G10", "CF-H10")
@pytest.mark.parametrize("by", ["left", "right"])
def test_a_child_is_replaced_by_whoever_rekeys_it(row: Row, by: str) -> None:
    """§1.3.3, §2.8: a new SA, then "the initiator ... deletes the old one"."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    old = host.child
    rekey(ladder, host, child=True)
    asked = said(ladder, host, CREATE, response=False)
    named = asked.notify(NotifyType.REKEY_SA)
    assert named == Notify(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=old.spi_in.to_bytes(4))
    assert asked.one(TsI) == TsI(old.local_ts)
    assert asked.one(TsR) == TsR(old.peer_ts)
    agree(ladder)
    assert host.child.spi_in != old.spi_in
    assert host.child.keys_in != old.keys_in


def test_what_the_peer_has_deleted_does_not_send_a_moment_longer(row: Row) -> None:
    """§2.8: only who deletes may still be sent to on the old SA; its peer's successor may wait."""
    ladder = up(row)
    old = ladder.left.child, ladder.right.child
    rekey(ladder, ladder.left, child=True)
    ladder.settle()
    assert ladder.left.fading == (old[0].spi_in,)
    assert ladder.right.fading == ()
    agree(ladder)


@pytest.mark.parametrize("by", ["left", "right"])
def test_a_delete_of_the_old_child_wakes_its_successor(row: Row, by: str) -> None:
    """§2.8: what the responder may wait for: it "can be assured that the initiator is prepared"."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    rekey(ladder, host, child=True)
    ladder.settle()
    peer = ladder.other(host)
    assert peer.activated == [peer.child.spi_in]
    assert host.activated == []
    agree(ladder)


@pytest.mark.conformance("CF-F03")
def test_the_responder_receives_before_it_answers(row: Row) -> None:
    """§2.8: the responder "MUST be prepared to receive messages on" the SA when it answers."""
    ladder = up(row)
    ladder.right.holds = (InstallChild,)
    rekey(ladder, ladder.left, child=True)
    before = len(ladder.sent)
    assert ladder.right.held
    install = ladder.right.held[0]
    assert isinstance(install, InstallChild)
    assert install.is_standby
    ladder.right.holds = ()
    ladder.answer(ladder.right)
    assert len(ladder.sent) > before
    ladder.settle()
    agree(ladder)


@pytest.mark.conformance("CF-A16", "CF-F05", "CF-B14", "CF-C06", "CF-H11", "CF-A21")
@pytest.mark.parametrize("by", ["left", "right"])
def test_the_ike_sa_is_replaced_and_the_child_goes_along(row: Row, by: str) -> None:
    """§2.8: "the new IKE SA ... inherits all of the original IKE SA's Child SAs"."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    child, before = host.child, session_of(host)
    want(ladder, host, child=False)
    (datagram,) = [one for sender, one in ladder.sent[-1:]]
    asked = before.keyring  # the request leaves under the old keys
    assert datagram.octets[:8] == before.link.spi_i
    ladder.settle()
    agree(ladder)
    after = session_of(host)
    assert host.child == child
    assert after.link.is_initiator
    assert (after.link.spi_i, after.link.spi_r) != (before.link.spi_i, before.link.spi_r)
    assert after.keyring.keys != asked.keys
    assert after.window.next_request == 0
    assert after.window.expected == 0


def test_an_ike_sa_lives_through_many_rekeys(row: Row) -> None:
    """§2.8: rekeying may go on for ever, by both sides in turn, of both kinds."""
    ladder = up(row)
    for turn in range(12):
        host = ladder.left if turn % 2 else ladder.right
        rekey(ladder, host, child=turn % 3 == 0)
        agree(ladder)


@pytest.mark.conformance("CF-F07")
def test_age_calls_for_rekeys_before_lifetimes_end(row: Row) -> None:
    """§2.8.1: rekeying times are jittered, so that two sides seldom rekey at once."""
    ladder = up(row, lifetimes=Lifetimes(ike=40.0, child=10.0))
    first = {
        host.name: host.established[0].children[0].rekey_at for host in (ladder.left, ladder.right)
    }
    assert first["left"] != first["right"]
    ladder.wait(120)
    agree(ladder)
    assert len(ladder.left.seen(reports.ChildEstablished)) > 10
    assert ladder.left.seen(reports.Rekeyed)


@pytest.mark.conformance("CF-F01")
def test_a_child_that_cannot_be_rekeyed_is_closed(row: Row) -> None:
    """§2.8: an SA is not used any more once its lifetime is over."""
    ladder = up(row, lifetimes=Lifetimes(child=10.0))
    for host in (ladder.left, ladder.right):
        host.refuse_install = "no room"
    ladder.wait(120)
    assert not ladder.left.installed
    assert not ladder.right.installed


@pytest.mark.conformance("CF-A19", "CF-F16")
@pytest.mark.parametrize("by", ["left", "right"])
def test_a_rekey_of_an_unknown_child_is_told_so(row: Row, by: str) -> None:
    """§2.25: CHILD_SA_NOT_FOUND with the SPI; the IKE SA stays."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    named = Notify(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=b"none")
    answer = asked(ladder, host, (named, *proposal(host)))
    found = answer.notify(NotifyType.CHILD_SA_NOT_FOUND)
    assert found is not None
    assert (found.protocol, found.spi) == (ProtocolId.ESP, b"none")
    assert ladder.other(host).established


@pytest.mark.conformance("CF-F06")
def test_one_more_child_may_have_the_same_selectors(row: Row) -> None:
    """§2.8: "Child SAs with identical traffic selectors" are allowed."""
    ladder = up(row)
    answer = asked(ladder, ladder.left, proposal(ladder.left))
    assert answer.one(SecurityAssociation) is not None
    assert len(ladder.right.installed) == 2


@pytest.mark.conformance("CF-A10")
def test_there_is_a_limit_of_children(row: Row, monkeypatch: pytest.MonkeyPatch) -> None:
    """§1.3: NO_ADDITIONAL_SAS; what is there stays."""
    monkeypatch.setattr(child_sa_responder, "CHILDREN_MOST", 1)
    ladder = up(row)
    answer = asked(ladder, ladder.left, proposal(ladder.left))
    assert answer.payloads == (Notify(NotifyType.NO_ADDITIONAL_SAS),)
    assert len(ladder.right.installed) == 1


@pytest.mark.conformance("CF-A09", "CF-E06")
def test_a_child_may_be_rekeyed_with_a_key_exchange(row: Row) -> None:
    """§1.3: the responder asks for another method, and the retry has a new message ID."""
    left = (parse_esp(row.esp + "-ecp256-x25519"),)
    right = (parse_esp(row.esp + "-x25519"),)
    ladder = row.psk({"esp": left}, {"esp": right})
    ladder.connect()
    rekey(ladder, ladder.left, child=True)
    agree(ladder)
    assert said(ladder, ladder.left, CREATE, response=False).one(KeyExchange) is not None
    refusals = [event.notify for event in ladder.right.seen(reports.RefusedRequest)]
    assert refusals == ["INVALID_KE_PAYLOAD"]
    rekey(ladder, ladder.left, child=True)
    agree(ladder)


@pytest.mark.conformance("CF-A03", "CF-A16")
@pytest.mark.parametrize("by", ["left", "right"])
def test_an_ike_sa_may_be_rekeyed_with_another_method(row: Row, by: str) -> None:
    """§1.3: "the initiator SHOULD retry the request with the group that the responder indicates".

    The peer has lost the method in use meanwhile, as after another configuration.
    """
    both = (parse_ike(row.ike + "-ecp256"),)
    ladder = up(row, ike=both)
    host: Host = getattr(ladder, by)
    other = ladder.other(host)
    (sa,) = other.endpoint.sas
    narrowed = replace(both[0], ke=tuple(choice for choice in both[0].ke if choice[0] == 19))
    connection = replace(other.established[0].connection, ike=(narrowed,))
    sa._state = replace(other.established[0], connection=connection)
    old = session_of(host).sa
    rekey(ladder, host, child=False)
    agree(ladder)
    refusals = [event.notify for event in other.seen(reports.RefusedRequest)]
    assert refusals == ["INVALID_KE_PAYLOAD"]
    (after,) = host.established
    assert after.session.sa != old
    assert after.session.keyring.suite.ke == 19


@pytest.mark.conformance("CF-A13", "CF-G09")
def test_a_refused_rekey_costs_nothing(row: Row) -> None:
    """§1.3.1: "Failure of an attempt to create a Child SA SHOULD NOT tear down the IKE SA"."""
    ladder = up(row)
    child = ladder.left.child
    none = SecurityAssociation((Proposal(1, ProtocolId.ESP, b"spi!", ()),))
    ts = TsI(child.local_ts), TsR(child.peer_ts)
    answer = asked(ladder, ladder.left, (none, Nonce(bytes(32)), *ts))
    assert answer.payloads == (Notify(NotifyType.NO_PROPOSAL_CHOSEN),)
    agree(ladder)


def proposal(host: Host) -> tuple[Body, ...]:
    """Return what asks for one more child like the one that is there."""
    child, connection = host.child, host.established[0].connection
    specs = offer(connection.esp, b"spi!", with_ke=False)
    return specs, Nonce(bytes(32)), TsI(child.local_ts), TsR(child.peer_ts)


def asked(ladder: Ladder, host: Host, payloads: tuple[Body, ...]) -> Message:
    """Let one side ask CREATE_CHILD_SA, and return the answer, opened."""
    datagram = request(ladder, host, payloads, CREATE)
    (answer,) = ladder.arrive(ladder.other(host), datagram.octets)
    return opened(host, answer)
