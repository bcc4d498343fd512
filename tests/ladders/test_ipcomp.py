# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.22: compression is agreed on beside the proposals of a Child SA."""

from dataclasses import replace

import pytest

from ikeway.ike import ipcomp
from ikeway.ike.io import Rekey
from ikeway.ike.states import Established
from ikeway.model.esp import Ipcomp, Mode
from ikeway.policy.connection import Start
from ikeway.wire.codec import Body
from ikeway.wire.payloads import Notify, SecurityAssociation
from ikeway.wire.registry import ExchangeType, NotifyType
from support.agreement import agree
from support.forge import edited
from support.hosts import GCM, Changes, Row, template
from support.ladder import Ladder
from support.shell import Host

AUTH, CREATE = ExchangeType.IKE_AUTH, ExchangeType.CREATE_CHILD_SA
SUPPORTED = NotifyType.IPCOMP_SUPPORTED
ON: Changes = {"ipcomp": True}
HOSTS: Changes = {
    "mode": Mode.TRANSPORT,
    "local_ts": (template("dynamic"),),
    "peer_ts": (template("dynamic"),),
}
DEFLATE, LZS = 2, 3


def notify(cpi: int, transform: int = DEFLATE, more: bytes = b"") -> Notify:
    return Notify(SUPPORTED, cpi.to_bytes(2) + bytes([transform]) + more)


def up(row: Row, left: Changes = ON, right: Changes = ON) -> Ladder:
    ladder = row.psk(left, right)
    ladder.connect()
    return ladder


def rekey(ladder: Ladder, host: Host, spi: int = 0) -> None:
    (sa,) = (sa for sa in host.endpoint.sas if isinstance(sa.state, Established))
    ladder.perform(host, host.endpoint.handle(sa.spi, Rekey(spi), ladder.now))
    ladder.wait(2)


def without(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
    return tuple(
        body for body in payloads if not (isinstance(body, Notify) and body.type is SUPPORTED)
    )


# Both want it -------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-J16")
@pytest.mark.parametrize("mode", [{}, HOSTS], ids=["tunnel", "transport"])
def test_each_side_names_its_index_and_uses_the_others(row: Row, mode: Changes) -> None:
    """§2.22: "The response MAY indicate acceptance of a single compression algorithm"."""
    ladder = row.psk(ON | mode, ON | mode)
    ladder.connect()
    left, right = ladder.left.child.ipcomp, ladder.right.child.ipcomp
    assert left is not None
    assert right == Ipcomp(cpi_in=left.cpi_out, cpi_out=left.cpi_in)
    assert left.cpi_in == ipcomp.index(ladder.left.child.spi_in)
    for host in (ladder.left, ladder.right):
        assert sum("N(IPCOMP_SUPPORTED)" in what for what in host.said) == 1


@pytest.mark.parametrize("spi", [256, 61_183, 61_184, 0xFFFF_FFFF])
def test_our_indices_are_of_those_that_are_negotiated(spi: int) -> None:
    """RFC 3173 §3.3: "The values 256-61439 are negotiated between the two nodes"."""
    assert 256 <= ipcomp.index(spi) <= 61_439


def test_a_rekey_carries_it_on_with_new_indices(row: Row) -> None:
    """§2.22: "a compression association has no life outside the ESP or AH SA that contains it"."""
    ladder = up(row)
    for host in (ladder.left, ladder.right):
        old = ladder.left.child.ipcomp
        rekey(ladder, host, host.child.spi_in)
        agree(ladder)
        assert ladder.left.child.ipcomp not in {None, old}
    last = ladder.left.child.ipcomp
    rekey(ladder, ladder.left)
    agree(ladder)
    assert ladder.left.child.ipcomp == last, "an IKE SA that is rekeyed inherits its Child SAs"


def test_it_is_there_for_one_child_and_not_for_another(row: Row) -> None:
    """§2.22: it is part of "the setup of a Child SA"."""
    plain = row.connection("left.example", "right.example").child_policies[0]
    here, there = plain.local_ts, plain.peer_ts
    ours = tuple(
        replace(plain, name=name, start=Start.NOW, ipcomp=name == "two", local_ts=(ts,))
        for name, ts in (("one", here[0]), ("two", here[1]))
    )
    theirs = tuple(
        replace(one, start=Start.WAIT, ipcomp=True, local_ts=there, peer_ts=one.local_ts)
        for one in ours
    )
    ours = tuple(replace(one, peer_ts=there) for one in ours)
    ladder = row.psk({"children": ours, "start": Start.NOW}, {"children": theirs})
    ladder.connect()
    agree(ladder, children=2)
    (state,) = ladder.left.established
    assert {c.name: c.sa.ipcomp is not None for c in state.children} == {"one": False, "two": True}


# One does not -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("left", "right"), [(ON, {}), ({}, ON)])
def test_where_one_side_does_not_want_it_there_is_none(
    row: Row, left: Changes, right: Changes
) -> None:
    """§2.22: it "indicates a willingness by its sender"; an offer may stay unanswered."""
    ladder = up(row, left, right)
    agree(ladder)
    assert ladder.left.child.ipcomp is ladder.right.child.ipcomp is None
    assert not any("IPCOMP" in what for what in ladder.right.said)
    rekey(ladder, ladder.right, ladder.right.child.spi_in)
    agree(ladder)
    assert ladder.left.child.ipcomp is ladder.right.child.ipcomp is None


@pytest.mark.parametrize(
    "offered",
    [
        (notify(300, LZS),),
        (notify(0),),
        (notify(64),),
        (notify(3),),
        (notify(61_440),),
        (Notify(SUPPORTED, b"\1\2"),),
        (Notify(SUPPORTED),),
    ],
    ids=["lzs", "0", "reserved", "of lzs", "private", "cut", "empty"],
)
def test_an_offer_that_we_do_not_take_is_declined(row: Row, offered: tuple[Notify, ...]) -> None:
    """§2.22: "MUST NOT accept an IPComp algorithm" of another kind than it can do."""
    ladder = row.psk(ON, ON)
    edited(ladder, lambda payloads: (*without(payloads), *offered), AUTH, ladder.left)
    ladder.connect()
    assert ladder.right.child.ipcomp is None
    assert ladder.left.child.ipcomp is None


@pytest.mark.parametrize(
    ("offered", "index"),
    [
        ((notify(300, LZS), notify(301), notify(302)), 301),
        ((notify(2),), 2),
        ((notify(61_439, more=b"attributes"),), 61_439),
    ],
)
def test_one_of_several_offers_is_taken(row: Row, offered: tuple[Notify, ...], index: int) -> None:
    """§2.22: "A message proposing an SA may contain multiple IPCOMP_SUPPORTED notifications"."""
    ladder = row.psk(ON, ON)
    edited(ladder, lambda payloads: (*without(payloads), *offered), AUTH, ladder.left)
    ladder.connect()
    taken = ladder.right.child.ipcomp
    assert taken is not None
    assert taken.cpi_out == index
    assert sum("N(IPCOMP_SUPPORTED)" in what for what in ladder.right.said) == 1


# Answers that are none ----------------------------------------------------------------------------


BAD = [
    (notify(300), notify(301)),
    (notify(300), notify(300)),
    (notify(300, LZS),),
    (notify(300, 1),),
    (notify(100),),
    (notify(0),),
    (Notify(SUPPORTED, b"\1\2"),),
]


@pytest.mark.conformance("CF-J16")
@pytest.mark.parametrize("granted", BAD)
def test_what_was_not_proposed_or_more_than_one_costs_the_child(
    row: Row, granted: tuple[Notify, ...]
) -> None:
    """§2.22: "MUST NOT accept an IPComp algorithm that was not proposed, ... more than one"."""
    ladder = row.psk(ON, ON)
    edited(ladder, lambda payloads: (*without(payloads), *granted), AUTH, ladder.right)
    ladder.connect()
    assert ladder.left.established
    assert ladder.left.installs == []
    assert ladder.right.installed == {}


@pytest.mark.conformance("CF-J16")
@pytest.mark.parametrize("granted", BAD[:3])
def test_so_it_does_in_create_child_sa(granted: tuple[Notify, ...]) -> None:
    """§2.22, §2.8: a rekey that cannot be leaves the old Child SA as it is."""
    ladder = up(GCM)
    old = ladder.left.child

    def other(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        is_answer = any(isinstance(body, SecurityAssociation) for body in payloads)
        return (*without(payloads), *granted) if is_answer else payloads

    edited(ladder, other, CREATE, ladder.right)
    rekey(ladder, ladder.left, old.spi_in)
    assert ladder.left.child == old
    assert len(ladder.right.installed) == 1


def test_a_peer_that_stops_to_want_it_gets_a_successor_without() -> None:
    """§2.22: the association disappears with its SA, and the next is agreed on anew."""
    ladder = up(GCM)
    edited(ladder, without, CREATE, ladder.right)
    rekey(ladder, ladder.left, ladder.left.child.spi_in)
    assert ladder.left.child.ipcomp is None
