# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.8.1, §2.8.2, §2.25: single crossings, each with what the RFC says of it."""

from collections.abc import Callable

import pytest

from ikeway.ike import reports
from ikeway.ike.io import Datagram, InstallChild
from ikeway.ike.questions import Installed, Refused
from ikeway.policy.lifetimes import Retransmission
from ikeway.wire.message import Message
from ikeway.wire.payloads import Delete
from ikeway.wire.registry import ExchangeType
from support.agreement import agree
from support.crossing import delete_child, delete_ike, forget_child, rekey_child, rekey_ike
from support.hosts import Changes, Row
from support.ladder import Ladder
from support.shell import Host, Question

Fate = Callable[[Host, Datagram], list[Datagram]]


def up(row: Row) -> Ladder:
    ladder = row.psk()
    ladder.connect()
    return ladder


def pass_all(_host: Host, datagram: Datagram) -> list[Datagram]:
    return [datagram]


def losing(loser: Host, kind: ExchangeType) -> Fate:
    """Lose what one host sends of an exchange."""

    def fate(host: Host, datagram: Datagram) -> list[Datagram]:
        exchange = Message.decode(datagram.octets).header.exchange
        return [] if host is loser and exchange is kind else [datagram]

    return fate


@pytest.mark.conformance("CF-F10")
@pytest.mark.parametrize("by", ["left", "right"])
def test_a_rekey_that_was_lost_and_comes_late_is_of_no_use(row: Row, by: str) -> None:
    """§2.8.1: the peer has rekeyed and deleted the old one meanwhile: "the responder replies with
    CHILD_SA_NOT_FOUND", which is ignored."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    ladder.fate = losing(host, ExchangeType.CREATE_CHILD_SA)
    rekey_child(ladder, host)
    ladder.fate = pass_all
    rekey_child(ladder, ladder.other(host))
    ladder.settle()
    ladder.wait(30)
    agree(ladder)
    assert ladder.other(host).refusals == ["CHILD_SA_NOT_FOUND"]
    assert not host.seen(reports.ChildFailed)


@pytest.mark.conformance("CF-F17")
@pytest.mark.parametrize("by", ["left", "right"])
def test_a_child_that_the_peer_does_not_have_is_made_anew(row: Row, by: str) -> None:
    """§2.25: on CHILD_SA_NOT_FOUND "the SA should be silently deleted, and a new one created from
    scratch if it is still needed"."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    old, other = host.child, ladder.other(host)
    forget_child(ladder, other)
    rekey_child(ladder, host)
    ladder.wait(10)
    agree(ladder)
    assert host.child.spi_in != old.spi_in
    assert not any("D(ESP)" in what for what in host.said)


@pytest.mark.conformance("CF-F20")
def test_both_sides_delete_the_child_at_once(row: Row) -> None:
    """§2.25.1: "If a peer receives a request to delete a Child SA that it is currently trying to
    close, it SHOULD reply as usual, with no Delete payload"."""
    ladder = up(row)
    delete_child(ladder, ladder.left)
    delete_child(ladder, ladder.right)
    answers = _answers(ladder)
    assert len(answers) == 2
    assert all(answer.all(Delete) == () for answer in answers)
    ladder.wait(10)
    agree(ladder, 0)


@pytest.mark.conformance("CF-F21")
@pytest.mark.parametrize("by", ["left", "right"])
def test_a_child_is_deleted_while_it_is_being_rekeyed(row: Row, by: str) -> None:
    """§2.25.1: "If a peer receives a request to delete a Child SA that it is currently rekeying, it
    SHOULD reply as usual, with a Delete payload"."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    rekey_child(ladder, host)
    delete_child(ladder, ladder.other(host))
    answers = _answers(ladder, host)
    assert len(answers) == 1
    assert answers[0].all(Delete)
    ladder.wait(60)
    agree(ladder, len(host.installed))


@pytest.mark.conformance("CF-F26", "CF-F13")
@pytest.mark.parametrize("by", ["left", "right"])
def test_the_ike_sa_is_deleted_while_it_is_being_rekeyed(row: Row, by: str) -> None:
    """§2.25.2: "If a peer receives a request to close an IKE SA that it is currently rekeying, it
    SHOULD reply as usual, and forget its own rekeying request"."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    ladder.fate = losing(host, ExchangeType.CREATE_CHILD_SA)
    rekey_ike(ladder, host)
    ladder.fate = pass_all
    delete_ike(ladder, ladder.other(host))
    ladder.settle()
    repeats = host.repeats
    ladder.wait(100)
    assert host.repeats == repeats
    assert not host.endpoint.sas
    assert not host.installed
    assert not ladder.other(host).endpoint.sas


@pytest.mark.conformance("CF-F13")
@pytest.mark.parametrize("by", ["left", "right"])
def test_the_peer_rekeyed_and_deleted_while_our_rekey_was_lost(row: Row, by: str) -> None:
    """§2.8.2: the old IKE SA goes, our rekey is forgotten, and the peer's new one has the child."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    ladder.fate = losing(host, ExchangeType.CREATE_CHILD_SA)
    rekey_ike(ladder, host)
    ladder.fate = pass_all
    rekey_ike(ladder, ladder.other(host))
    ladder.settle()
    ladder.wait(100)
    agree(ladder)
    assert not host.ends


@pytest.mark.conformance("CF-F25")
@pytest.mark.parametrize("by", ["left", "right"])
def test_the_ike_sa_is_rekeyed_while_it_is_being_deleted(row: Row, by: str) -> None:
    """§2.25.2: "If a peer receives a request to rekey an IKE SA that it is currently trying to
    close, it SHOULD reply with TEMPORARY_FAILURE"."""
    ladder = up(row)
    host: Host = getattr(ladder, by)
    delete_ike(ladder, host)
    rekey_ike(ladder, ladder.other(host))
    ladder.wait(60)
    assert not ladder.left.endpoint.sas
    assert not ladder.right.endpoint.sas
    assert not ladder.left.installed
    assert not ladder.right.installed


def _answers(ladder: Ladder, only: Host | None = None) -> list[Message]:
    """Deliver all, and return the INFORMATIONAL responses on the way, opened."""
    keyring = ladder.left.established[0].session.keyring, ladder.right.established[0].session
    before = len(ladder.sent)
    ladder.settle()
    opened = []
    for sender, datagram in ladder.sent[before:]:
        head = Message.decode(datagram.octets).header
        is_answer = head.is_response and head.exchange is ExchangeType.INFORMATIONAL
        if is_answer and only in (None, sender):
            reader = keyring[1].keyring if sender is ladder.left else keyring[0]
            opened.append(reader.open(head, datagram.octets))
    return opened[: 1 if only else 2]


@pytest.mark.conformance("CF-F08", "CF-F27")
@pytest.mark.parametrize("by", ["left", "right"])
@pytest.mark.parametrize("given", [Installed(), Refused("no room"), None])
@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_our_answer_comes_while_the_peers_rekey_waits_for_the_data_plane(
    row: Row, by: str, given: Installed | Refused | None, first: str
) -> None:
    """§2.8.1: the nonces decide between two exchanges. One that the data plane refuses, or never
    answers, has made nothing: what it would have beaten is the successor then."""
    patient: Changes = {"retransmission": Retransmission(give_up=100.0)}
    ladder = row.psk(patient, patient)
    ladder.connect()
    host: Host = getattr(ladder, by)
    old = host.child
    host.holds = (InstallChild,)
    rekey_child(ladder, host)
    rekey_child(ladder, ladder.other(host))
    ladder.settle()
    (state,) = host.established
    theirs = state.answering[0].child.sa.spi_in
    host.held.sort(key=lambda held: (spi_of(held) == theirs) is (first == "ours"))
    assert len(host.held) == 2
    host.holds = ()
    for held in host.held:
        answer = given if spi_of(held) == theirs else Installed()
        if answer is not None:
            host.refuse_install = "no room" if isinstance(answer, Refused) else None
            ladder.give(host, held, host.answer(held) or answer)
            ladder.settle()
    host.refuse_install = None
    ladder.wait(60)
    agree(ladder)
    assert host.child.spi_in != old.spi_in


def spi_of(held: Question) -> int:
    assert isinstance(held, InstallChild)
    return held.child.spi_in
