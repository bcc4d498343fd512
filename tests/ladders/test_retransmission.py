# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.1: the requester repeats, the responder remembers."""

from dataclasses import replace
from itertools import pairwise

import pytest

from ikeway.ike.io import Datagram
from ikeway.ike.states import Lingering
from ikeway.model.address import Endpoint
from ikeway.policy.lifetimes import Retransmission
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType
from support.forge import first_message, put, request, sealed, session_of, with_header
from support.hosts import Row
from support.shell import Host


def lose(count: int) -> object:
    """Return a fate that loses the first `count` datagrams."""
    left = [count]

    def fate(_host: Host, datagram: Datagram) -> list[Datagram]:
        left[0] -= 1
        return [datagram] if left[0] < 0 else []

    return fate


@pytest.mark.conformance("CF-B07")
@pytest.mark.parametrize("lost", range(1, 5))
def test_a_lost_request_is_sent_again_unchanged(row: Row, lost: int) -> None:
    """§2.1: "retransmissions ... MUST be bitwise identical" from the IKE header on."""
    ladder = row.psk({"liveness": 100.0}, {"liveness": 100.0})
    ladder.fate = lose(lost)  # type: ignore[assignment]
    ladder.connect()
    ladder.wait(25)
    mine = [sent.octets for host, sent in ladder.sent if host is ladder.left]
    assert len(set(mine)) == 2
    assert len(mine) > 2
    assert ladder.left.child.spi_in == ladder.right.child.spi_out


@pytest.mark.conformance("CF-B05", "CF-B10")
def test_a_repeated_request_gets_the_same_response_and_no_second_effect(row: Row) -> None:
    """§2.1: the responder "MUST remember each response" until a newer request comes."""
    ladder = row.psk()
    ladder.fate = lambda host, datagram: [datagram] * (3 if host is ladder.left else 1)
    ladder.connect()
    for index in (0, 1):
        requests = [one.octets for host, one in ladder.sent if host is ladder.left]
        answers = [
            one.octets
            for host, one in ladder.sent
            if host is ladder.right and Message.decode(one.octets).header.message_id == index
        ]
        assert len(requests) == 2
        assert len(answers) == 3
        assert len(set(answers)) == 1
    assert len(ladder.right.endpoint.sas) == 1
    assert len(ladder.right.installs) == len(ladder.left.installs) == 1


@pytest.mark.conformance("CF-B04")
def test_a_responder_never_repeats_of_its_own_accord(row: Row) -> None:
    """§2.1: the responder "MUST never retransmit a response unless" the request is repeated."""
    ladder = row.psk()
    ladder.fate = lambda host, datagram: [datagram] if host is ladder.left else []
    ladder.initiate()
    ladder.settle()
    ladder.wire.clear()
    before = sum(host is ladder.right for host, _ in ladder.sent)
    ladder.left.timers.clear()
    ladder.wait(25)
    assert sum(host is ladder.right for host, _ in ladder.sent) == before == 1
    assert ladder.right.repeats == 0


@pytest.mark.conformance("CF-B06")
def test_another_request_with_the_same_message_id_is_a_repetition(row: Row) -> None:
    """§2.1: the Message ID says what is a repetition; other content is not looked at."""
    ladder = row.psk()
    ladder.connect()
    deletion = Notify(NotifyType.AUTHENTICATION_FAILED)
    first = request(ladder, ladder.left, ()).octets
    (answer,) = ladder.arrive(ladder.right, first)
    (before,) = ladder.right.states
    other = sealed(session_of(ladder.left), (deletion,), 2)
    assert ladder.arrive(ladder.right, other) == [answer]
    assert ladder.right.states == [before]


@pytest.mark.conformance("CF-B08")
@pytest.mark.parametrize("up_first", [True, False])
def test_an_sa_whose_peer_does_not_answer_is_discarded_with_its_children(
    row: Row, up_first: bool
) -> None:
    """§2.1: "the initiator discards all state associated with the IKE SA and any Child SAs"."""
    ladder = row.psk({"liveness": 100.0})
    if up_first:
        ladder.connect()
        ladder.fate = lambda _host, _datagram: []
        ladder.check_liveness(ladder.left)
    else:
        ladder.fate = lambda _host, _datagram: []
        ladder.connect()
    ladder.wait(29)
    assert len(ladder.left.endpoint.sas) == 1
    ladder.wait(2)
    assert ladder.left.endpoint.sas == ()
    assert ladder.left.installed == {}
    assert [end.is_failure for end in ladder.left.ends] == [True]


@pytest.mark.conformance("CF-B08", "CF-C14")
def test_the_waits_between_repetitions_grow(row: Row) -> None:
    """§2.1: "retransmission times MUST increase exponentially"."""
    ladder = row.psk()
    ladder.fate = lambda _host, _datagram: []
    ladder.initiate()
    times = [ladder.now]
    while ladder.left.timers:
        count = ladder.left.repeats
        ladder.wait(0.25)
        if ladder.left.repeats > count:
            times.append(ladder.now)
    waits = [b - a for a, b in pairwise(times)]
    assert waits == sorted(waits)
    assert waits[:4] == [0.5, 1.0, 2.0, 4.0]


@pytest.mark.conformance("CF-C14")
def test_the_schedule_is_the_operators(row: Row) -> None:
    """§2.4: "at least a dozen times over a period of at least several minutes" is possible."""
    timing = Retransmission(first=1.0, factor=1.5, longest=30.0, give_up=300.0)
    ladder = row.psk(left={"retransmission": timing})
    ladder.fate = lambda _host, _datagram: []
    ladder.initiate()
    ladder.wait(299)
    assert ladder.left.repeats >= 12
    assert len(ladder.left.endpoint.sas) == 1
    ladder.wait(2)
    assert ladder.left.endpoint.sas == ()


@pytest.mark.conformance("CF-B09")
def test_an_old_request_is_ignored_once_its_response_is_forgotten(row: Row) -> None:
    """§2.1: what is no longer remembered is no longer answered."""
    ladder = row.psk()
    ladder.connect()
    first = request(ladder, ladder.left, ()).octets
    ladder.arrive(ladder.right, first)
    ladder.arrive(ladder.right, sealed(session_of(ladder.left), (), 3))
    assert ladder.arrive(ladder.right, first) == []
    assert ladder.right.drops[-1] == "request 2 is long answered"


@pytest.mark.conformance("CF-B09")
def test_a_deleted_sa_answers_repetitions_for_a_while_and_then_no_more(row: Row) -> None:
    """§2.1: the response to a Delete may have been lost, too."""
    ladder = row.psk()
    ladder.connect()
    ladder.disconnect(ladder.left)
    (_, asked) = ladder.sent[4]
    ladder.settle()
    assert isinstance(ladder.right.states[0], Lingering)
    assert ladder.arrive(ladder.right, asked.octets) == [ladder.sent[5][1].octets]
    ladder.wait(16)
    assert ladder.right.states == []
    answers = ladder.arrive(ladder.right, asked.octets)
    assert all(b"\0\0\0\4" in answer for answer in answers), "INVALID_IKE_SPI at most"


@pytest.mark.conformance("CF-B10")
def test_a_repeated_ike_sa_init_request_makes_one_half_open_sa(row: Row) -> None:
    """§2.1: a repetition is told from a new request by all of its octets."""
    ladder = row.psk()
    octets = first_message(ladder).encode()
    (first,) = ladder.arrive(ladder.right, octets)
    assert ladder.arrive(ladder.right, octets) == [first]
    assert len(ladder.right.endpoint.sas) == 1


@pytest.mark.conformance("CF-B11")
def test_two_initiators_behind_one_nat_may_choose_the_same_spi(row: Row) -> None:
    """§2.1: "a robust responder will do the IKE SA lookup using the whole packet"."""
    ladder = row.psk()
    message = first_message(ladder)
    other = put(message, replace(message.payloads[2], data=bytes(range(32))))  # type: ignore[call-arg]
    (one,) = ladder.arrive(ladder.right, message.encode())
    (two,) = ladder.arrive(ladder.right, other.encode())
    spis = {Message.decode(answer).header.spi_r for answer in (one, two)}
    assert len(spis) == len(ladder.right.endpoint.sas) == 2
    ladder.wire.clear()
    ladder.arrive(ladder.left, one)
    ladder.settle()
    assert len(ladder.right.established) == 1


@pytest.mark.conformance("CF-B11")
def test_the_same_request_from_another_port_is_another_attempt(row: Row) -> None:
    """§2.1: the source is part of what tells initiators apart."""
    ladder = row.psk()
    octets = first_message(ladder).encode()
    there, here = ladder.addresses
    for port in (500, 1024):
        ladder.deliver(ladder.right, Datagram(Endpoint(here, 500), Endpoint(there, port), octets))
    assert len(ladder.right.endpoint.sas) == 2


@pytest.mark.conformance("CF-B16")
def test_a_response_that_nobody_waits_for_is_dropped(row: Row) -> None:
    """§2.2: a response belongs to the request with its Message ID."""
    ladder = row.psk()
    ladder.connect()
    (before,) = ladder.left.states
    for number in (0, 1, 2, 7):
        octets = sealed(session_of(ladder.right), (), number, is_response=True)
        assert ladder.arrive(ladder.left, octets) == []
    assert ladder.left.states == [before]


@pytest.mark.conformance("CF-B12")
def test_a_second_ike_auth_response_changes_nothing(row: Row) -> None:
    """§2.2: the Message ID of a concluded exchange is spent."""
    ladder = row.psk()
    ladder.connect()
    (before,) = ladder.left.states
    answer = ladder.sent[3][1].octets
    assert ladder.arrive(ladder.left, answer) == []
    assert ladder.left.states == [before]


@pytest.mark.conformance("CF-B12")
def test_an_ike_sa_init_request_has_message_id_0(row: Row) -> None:
    """§2.2: "Message ID 0" for all IKE_SA_INIT messages, retries included."""
    ladder = row.psk()
    message = first_message(ladder)
    assert ladder.arrive(ladder.right, with_header(message, message_id=1).encode()) == []
    assert ladder.right.endpoint.sas == ()


@pytest.mark.conformance("CF-B10")
@pytest.mark.parametrize("by", ["left", "right"])
def test_an_ike_sa_that_is_gone_answers_for_as_long_as_it_is_asked(row: Row, by: str) -> None:
    """§2.1: the response "MUST" be there for each repetition: where answers to a Delete are lost
    again and again, the peer is not left to give up."""
    patient = {"retransmission": Retransmission(give_up=600.0)}
    ladder = row.psk(patient, patient)
    ladder.connect()
    host: Host = getattr(ladder, by)
    other, heals = ladder.other(host), ladder.now + 60

    def fate(sender: Host, datagram: Datagram) -> list[Datagram]:
        return [datagram] if sender is host or ladder.now > heals else []

    ladder.fate = fate
    ladder.disconnect(host)
    ladder.wait(75)
    assert host.endpoint.sas == ()
    ladder.wait(20)
    assert other.endpoint.sas == ()


def test_who_replays_a_delete_for_ever_keeps_nothing_alive(row: Row) -> None:
    """I5: the attack: Deletes of many peers, recorded and sent again before their SAs are gone."""
    ladder = row.psk()
    ladder.connect()
    ladder.disconnect(ladder.left)
    deletion = ladder.sent[-1][1].octets
    ladder.settle()
    (answer,) = ladder.arrive(ladder.right, deletion)
    answered = 1
    for _ in range(60):
        answered += ladder.arrive(ladder.right, deletion) == [answer]
        ladder.wait(10)
    assert 10 <= answered <= 20
    assert ladder.right.endpoint.sas == ()
    assert ladder.right.timers == {}
