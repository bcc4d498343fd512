# SPDX-License-Identifier: Apache-2.0
"""RFC 9347 §5.1: IP-TFS is agreed on for each Child SA, by USE_AGGFRAG."""

from dataclasses import replace

import pytest

from ikeway.ike.io import Rekey
from ikeway.ike.reports import ChildFailed
from ikeway.ike.states import Established
from ikeway.model.esp import Mode
from ikeway.model.traffic_flow import OPEN, Breaker, Stream, TrafficFlow
from ikeway.wire.codec import Body
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType
from support.agreement import agree
from support.forge import edited
from support.hosts import Changes, Row, template
from support.ladder import Ladder

AUTH, CREATE = ExchangeType.IKE_AUTH, ExchangeType.CREATE_CHILD_SA
SLOW, FAST = Stream(1300, 50.0), Stream(1400, 500.0, reorder=9)


def wanting(stream: Stream, pad_to: int = 0) -> Changes:
    return {"traffic_flow": TrafficFlow(pad_to, stream=stream)}


def up(row: Row, left: Changes, right: Changes) -> Ladder:
    ladder = row.psk(left, right)
    ladder.connect()
    return ladder


def flags(value: int, ladder: Ladder, side: str, exchange: ExchangeType = AUTH) -> None:
    """Have one side's USE_AGGFRAG say something else."""

    def change(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        notify = Notify(NotifyType.USE_AGGFRAG, bytes([value]))
        return (notify, *(each for each in payloads if not is_aggfrag(each)))

    edited(ladder, change, exchange, getattr(ladder, side))


def is_aggfrag(body: Body) -> bool:
    return isinstance(body, Notify) and body.type is NotifyType.USE_AGGFRAG


def rekey(ladder: Ladder, side: str) -> None:
    host = getattr(ladder, side)
    (sa,) = (sa for sa in host.endpoint.sas if isinstance(sa.state, Established))
    ladder.perform(host, host.endpoint.handle(sa.spi, Rekey(host.child.spi_in), ladder.now))
    ladder.wait(2)


@pytest.mark.parametrize("by", ["left", "right"])
def test_both_want_it_and_each_has_a_rate_of_its_own(row: Row, by: str) -> None:
    """§5.1: "If the request is accepted, then the response MUST also include a notification of type
    USE_AGGFRAG"; §2.4: "AGGFRAG SAs are unidirectional". A rekey is agreed on anew."""
    ladder = up(row, wanting(SLOW), wanting(FAST))
    agree(ladder)
    assert "N(USE_AGGFRAG)" in ladder.left.said[1]
    assert "N(USE_AGGFRAG)" in ladder.right.said[1]
    for _ in range(2):
        assert ladder.left.child.traffic_flow == TrafficFlow(stream=SLOW)
        assert ladder.right.child.traffic_flow == TrafficFlow(stream=FAST)
        rekey(ladder, by)


@pytest.mark.parametrize(("left", "right"), [(wanting(SLOW, 600), {}), ({}, wanting(SLOW, 600))])
def test_without_the_other_side_there_is_what_one_can_do_alone(
    row: Row, left: Changes, right: Changes
) -> None:
    """§5.1: "the Child SA will be established without AGGFRAG_PAYLOAD payload use enabled"."""
    ladder = up(row, left, right)
    agree(ladder)
    flows = [host.child.traffic_flow for host in (ladder.left, ladder.right)]
    assert flows == [TrafficFlow(600) if side else OPEN for side in (left, right)]
    assert "USE_AGGFRAG" not in ladder.right.said[1]


def test_an_initiator_that_needs_it_deletes_a_child_without(row: Row) -> None:
    """§5.1: "If this is unacceptable to the initiator, the initiator MUST delete the Child SA"."""
    ladder = up(row, wanting(replace(SLOW, is_required=True)), {})
    assert ladder.left.installed == ladder.right.installed == {}
    assert ladder.left.established
    (failed,) = ladder.left.seen(ChildFailed)
    assert isinstance(failed, ChildFailed)
    assert "declines IP-TFS" in failed.reason


def test_a_responder_that_needs_it_refuses_a_child_without(row: Row) -> None:
    ladder = up(row, {}, wanting(replace(SLOW, is_required=True)))
    assert ladder.left.installed == ladder.right.installed == {}
    assert "N(NO_PROPOSAL_CHOSEN)" in ladder.right.said[1]


@pytest.mark.parametrize("side", ["left", "right"])
def test_who_takes_no_fragments_gets_none(row: Row, side: str) -> None:
    """§6.1.4, D: "This value only applies to what the sender is capable of receiving; the sender
    MAY still send packet fragments"."""
    whole = wanting(replace(SLOW, takes_fragments=False))
    ladder = up(row, *((whole, wanting(SLOW)) if side == "left" else (wanting(SLOW), whole)))
    streams = {name: getattr(ladder, name).child.traffic_flow.stream for name in ("left", "right")}
    assert streams[side].may_fragment
    del streams[side]
    (other,) = streams.values()
    assert not other.may_fragment


@pytest.mark.parametrize("side", ["left", "right"])
def test_who_is_controlled_wants_reports_and_gets_them(row: Row, side: str) -> None:
    """§6.1.4, C: "the sender is requiring that congestion control information MUST be returned to
    it periodically": both sides say what they hear, and the rate of one of them follows it."""
    controlled = wanting(replace(SLOW, is_controlled=True))
    hosts = (controlled, wanting(FAST)) if side == "left" else (wanting(FAST), controlled)
    ladder = up(row, *hosts)
    agree(ladder)
    for _ in range(2):
        streams = {
            name: getattr(ladder, name).child.traffic_flow.stream for name in ("left", "right")
        }
        assert all(stream.reports for stream in streams.values())
        controls = {name for name, stream in streams.items() if stream.is_controlled}
        assert controls == {side}
        rekey(ladder, side)


@pytest.mark.parametrize("value", [4, 6, 0x81])
@pytest.mark.parametrize("exchange", [AUTH, CREATE])
def test_a_request_with_a_flag_that_we_cannot_fulfil_gets_a_child_without(
    row: Row, value: int, exchange: ExchangeType
) -> None:
    """§5.1: "If any requirement flags are not understood or cannot be supported by the receiver,
    then the receiver SHOULD NOT enable use of AGGFRAG_PAYLOAD"."""
    ladder = row.psk(wanting(SLOW), wanting(SLOW))
    flags(value, ladder, "left", exchange)
    ladder.connect()
    if exchange is CREATE:
        rekey(ladder, "left")
    agree(ladder)
    assert ladder.left.child.traffic_flow == ladder.right.child.traffic_flow == OPEN


@pytest.mark.parametrize("value", [4, 7])
def test_an_answer_with_such_a_flag_costs_the_child(row: Row, value: int) -> None:
    """§5.1: "or, in the case of the initiator, by deleting the Child SA"."""
    ladder = row.psk(wanting(SLOW), wanting(SLOW))
    flags(value, ladder, "right")
    ladder.connect()
    assert ladder.left.installed == {}
    assert ladder.left.established


def test_an_answer_that_nobody_asked_for_costs_the_child(row: Row) -> None:
    """Its packets would not be understood, and none of ours."""
    ladder = row.psk({}, {})
    flags(0, ladder, "right")
    ladder.connect()
    assert ladder.left.installed == {}
    (failed,) = ladder.left.seen(ChildFailed)
    assert isinstance(failed, ChildFailed)
    assert "USE_AGGFRAG" in failed.reason


def test_transport_mode_has_none(row: Row) -> None:
    """§5.1: "USE_AGGFRAG notification MUST NOT be combined with the USE_TRANSPORT notification"."""
    hosts: Changes = {
        "mode": Mode.TRANSPORT,
        "local_ts": (template("dynamic"),),
        "peer_ts": (template("dynamic"),),
    }
    ladder = row.psk(hosts, hosts | wanting(SLOW))
    flags(0, ladder, "left")
    ladder.connect()
    assert "USE_AGGFRAG" not in ladder.right.said[1]
    assert ladder.right.child.traffic_flow == OPEN


def test_who_has_a_breaker_tells_unasked_and_asks_for_nothing(row: Row) -> None:
    """§2.4.2: "An implementation MAY choose to always include the congestion information"; so two
    breakers have something to act on, and a peer that cannot report is none the worse."""
    guarded = wanting(replace(SLOW, breaker=Breaker()))
    ladder = up(row, guarded, wanting(FAST))
    agree(ladder)
    streams = [host.child.traffic_flow.stream for host in (ladder.left, ladder.right)]
    assert [stream and stream.reports for stream in streams] == [True, False]
