# SPDX-License-Identifier: Apache-2.0
"""RFC 9611: further Child SAs for the same traffic, each for a CPU of its own."""

from dataclasses import replace

import pytest

from ikeway.ike.children import Child
from ikeway.ike.io import CloseChild, Command, Rekey
from ikeway.ike.siblings import EVERY_CPU
from ikeway.ike.states import Established
from ikeway.ike.tasks import CreateChild
from ikeway.policy.connection import Childless, ChildPolicy, Start
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify, SecurityAssociation, TsI
from ikeway.wire.registry import ExchangeType, NotifyType
from support.agreement import agree
from support.asking import want
from support.forge import edited, opened
from support.hosts import CBC, GCM, Row
from support.ladder import Ladder
from support.shell import Host

AUTH, CREATE = ExchangeType.IKE_AUTH, ExchangeType.CREATE_CHILD_SA
RESOURCE, ENOUGH = NotifyType.SA_RESOURCE_INFO, NotifyType.TS_MAX_QUEUE


def pair(row: Row, ours: int = 2, theirs: int = 2, **left: object) -> Ladder:
    """Return two hosts that want so many siblings; the left one starts."""
    return row.psk({"per_cpu_children": ours} | left, {"per_cpu_children": theirs})


def command(ladder: Ladder, host: Host, wish: Command) -> None:
    (sa,) = (sa for sa in host.endpoint.sas if isinstance(sa.state, Established))
    ladder.perform(host, host.endpoint.handle(sa.spi, wish, ladder.now))
    ladder.settle()


def children(host: Host) -> dict[int | None, Child]:
    (state,) = host.established
    return {child.number: child for child in state.children}


def told(ladder: Ladder, sender: Host, exchange: ExchangeType) -> list[list[NotifyType]]:
    """Return the notifies in each message of that exchange with an SA payload in it."""
    found = []
    for host, datagram in ladder.sent:
        if host is sender and Message.decode(datagram.octets).header.exchange is exchange:
            message = opened(ladder.other(host), datagram.octets)
            if message.one(SecurityAssociation) is not None:
                found.append([notify.type for notify in message.all(Notify)])
    return found


# Agreed on ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("childless", [Childless.ALLOW, Childless.PREFER])
def test_the_first_announces_them_and_the_others_follow(row: Row, childless: Childless) -> None:
    """§3: "the initiator will add the SA_RESOURCE_INFO notify payload to the Exchange"."""
    ladder = pair(row, childless=childless)
    ladder.connect()
    agree(ladder, children=3)
    for host in (ladder.left, ladder.right):
        assert sorted(map(str, children(host))) == ["0", "1", "2"]
        of_queue = {number: child.sa.is_of_queue for number, child in children(host).items()}
        assert of_queue == {EVERY_CPU: False, 1: True, 2: True}
        said = [*told(ladder, host, AUTH), *told(ladder, host, CREATE)]
        assert len(said) == 3
        assert all(RESOURCE in notifies for notifies in said)


def test_they_are_like_the_first_in_all_but_keys_and_spis(row: Row) -> None:
    """§3: "MUST be negotiated with identical Child SA properties"."""
    ladder = pair(row)
    ladder.connect()
    first, one, two = (children(ladder.left)[number].sa for number in (0, 1, 2))
    for sibling in (one, two):
        assert (sibling.local_ts, sibling.peer_ts) == (first.local_ts, first.peer_ts)
        assert (sibling.suite, sibling.mode) == (first.suite, first.mode)
    assert len({first.keys_out, one.keys_out, two.keys_out}) == 3


@pytest.mark.parametrize("count", [2, 3, 5])
def test_their_spis_lead_to_different_queues(row: Row, count: int) -> None:
    """§2: one for each resource; a queue is what the remainder of the SPI says."""
    ladder = pair(row, count, count)
    ladder.connect()
    for host in (ladder.left, ladder.right):
        siblings = [child for number, child in children(host).items() if number]
        assert {child.sa.spi_in % count for child in siblings} == set(range(count))
        assert all(child.sa.spi_in > 255 for child in siblings)


@pytest.mark.parametrize(("ours", "theirs"), [(0, 2), (2, 0), (0, 0)])
def test_without_both_sides_there_is_one(row: Row, ours: int, theirs: int) -> None:
    """§7: "NOT RECOMMENDED to allow per-CPU Child SAs by default"; silence declines (§3)."""
    ladder = pair(row, ours, theirs)
    ladder.connect()
    agree(ladder, children=1)
    assert list(children(ladder.left)) == list(children(ladder.right)) == [None]
    assert RESOURCE not in told(ladder, ladder.right, AUTH)[0]


# Enough of them -----------------------------------------------------------------------------------


def test_up_to_twice_as_many_are_let_in_and_then_told_so(row: Row) -> None:
    """§6: "allowing at the very least double the number"; "it MUST return TS_MAX_QUEUE"."""
    ladder = pair(row, ours=6, theirs=2)
    ladder.connect()
    agree(ladder, children=1 + 2 * 2)
    assert ladder.left.refusals == []
    assert ladder.right.refusals == [ENOUGH.name], "and the sixth is not asked for"
    assert sorted(str(child.number) for child in ladder.right.established[0].children) == list(
        "01122"
    )
    want(ladder, ladder.left, CreateChild(name(ladder.left)))
    ladder.settle()
    assert len(ladder.left.installed) == 5, "the first has announced siblings, so this is one"


def test_a_first_one_with_other_selectors_is_still_granted(row: Row) -> None:
    """§6: NO_ADDITIONAL_SAS "could be misinterpreted": the limit is of one set of selectors."""
    ladder = pair(row, ours=4, theirs=1)
    for host in (ladder.left, ladder.right):
        (connection,) = host.endpoint.env.connections
        connection = replace(connection, children=split(host), start=Start.NOW)
        host.endpoint.env = replace(host.endpoint.env, connections=(connection,))
    ladder.connect()
    agree(ladder, children=2 * 3)
    assert ladder.right.refusals == [ENOUGH.name] * 2


def split(host: Host) -> tuple[ChildPolicy, ...]:
    """Return a Child SA for each of the two families."""
    (plain,) = host.endpoint.env.connections[0].child_policies
    return tuple(
        replace(
            plain,
            name=f"family{n}",
            local_ts=plain.local_ts[n : n + 1],
            peer_ts=plain.peer_ts[n : n + 1],
            start=Start.NOW,
        )
        for n in (0, 1)
    )


def test_on_a_full_ike_sa_siblings_draw_their_own_word(
    row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§6: "MUST NOT return the NO_ADDITIONAL_SAS error"."""
    monkeypatch.setattr("ikeway.ike.exchanges.child_sa_responder.CHILDREN_MOST", 2)
    ladder = pair(row)
    ladder.connect()
    assert ladder.right.refusals == [ENOUGH.name]
    agree(ladder, children=2)


def name(host: Host) -> str:
    return host.endpoint.env.connections[0].name


# Replaced and lost --------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["left", "right"])
def test_a_successor_is_for_the_same_cpu(row: Row, by: str) -> None:
    """§3: "the rekeyed Child SA should be bound to the same resource(s)"."""
    ladder = pair(row)
    ladder.connect()
    sides = ladder.left, ladder.right
    before = [children(side) for side in sides]
    host = getattr(ladder, by)
    for child in children(host).values():
        command(ladder, host, Rekey(child.sa.spi_in))
        ladder.wait(1)
    agree(ladder, children=3)
    for side, old in zip(sides, before, strict=True):
        for number, child in children(side).items():
            assert child.sa.spi_in != old[number].sa.spi_in
            assert child.sa.is_of_queue is old[number].sa.is_of_queue
            if number:
                assert child.sa.spi_in % 2 == old[number].sa.spi_in % 2


def test_siblings_go_with_the_ike_sa_that_takes_over(row: Row) -> None:
    """RFC 7296 §2.8: all Child SAs are inherited, and none is asked for again."""
    ladder = pair(row)
    ladder.connect()
    command(ladder, ladder.left, Rekey(0))
    ladder.wait(2)
    agree(ladder, children=3)
    assert set(children(ladder.left)) == {0, 1, 2}


def test_one_that_the_peer_deletes_stays_away(row: Row) -> None:
    """§6: bringing it up again "immediately [...] might cause an infinite loop"."""
    ladder = pair(row, start=Start.NOW)
    ladder.connect()
    command(ladder, ladder.right, CloseChild(children(ladder.right)[1].sa.spi_in))
    ladder.wait(60)
    agree(ladder, children=2)
    assert set(children(ladder.left)) == {0, 2}


def test_with_the_first_the_missing_ones_come_again(row: Row) -> None:
    """§4: "one Child SA can be used by all CPUs": that one is kept up, and asks for the others."""
    ladder = pair(row, start=Start.NOW)
    ladder.connect()
    for number in (1, 0):
        command(ladder, ladder.right, CloseChild(children(ladder.right)[number].sa.spi_in))
    ladder.wait(60)
    agree(ladder, children=3)
    assert set(children(ladder.left)) == {0, 1, 2}


# A peer that does otherwise -----------------------------------------------------------------------


@pytest.mark.parametrize("row", [GCM, CBC])
def test_a_sibling_unlike_the_first_is_deleted(row: Row) -> None:
    """§3: "MUST be negotiated with identical Child SA properties"."""
    ladder = pair(row, 1, 1)

    def narrower(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(TsI(one.selectors[:1]) if isinstance(one, TsI) else one for one in payloads)

    edited(ladder, narrower, CREATE, ladder.right)
    ladder.connect()
    ladder.settle()
    agree(ladder, children=1)
    assert set(children(ladder.left)) == {EVERY_CPU}


def test_the_notify_may_carry_what_it_likes(row: Row) -> None:
    """§3: "the peer MUST only use it for debugging purposes"."""
    ladder = pair(row)

    def labelled(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(
            replace(one, data=b"cpu 7") if isinstance(one, Notify) and one.type is RESOURCE else one
            for one in payloads
        )

    edited(ladder, labelled, CREATE, ladder.left)
    ladder.connect()
    agree(ladder, children=3)
