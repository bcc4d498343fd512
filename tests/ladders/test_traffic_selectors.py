# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.9, §3.13: which traffic goes through."""

from ipaddress import ip_address

import pytest

from ikeway.ike.narrow import check_subset, narrow
from ikeway.model.errors import SelectorsError
from ikeway.model.selectors import Selectors, TrafficSelector
from ikeway.wire.codec import Body
from ikeway.wire.payloads import TsI, TsR
from ikeway.wire.payloads.traffic_selectors import RawSelector
from ikeway.wire.registry import ExchangeType, TsType
from support.forge import edited
from support.hosts import Row, template
from support.ladder import Ladder

AUTH = ExchangeType.IKE_AUTH
TCP, UDP, ICMP = 6, 17, 1


def ts(text: str, protocol: int = 0, ports: tuple[int, int] = (0, 65535)) -> TrafficSelector:
    if "-" in text:
        start, end = map(ip_address, text.split("-"))
        return TrafficSelector(protocol, *ports, start, end)
    return TrafficSelector.of(text, protocol, ports)


def offering(row: Row, ts_i: Selectors, ts_r: Selectors, **right: object) -> Ladder:
    """Return a ladder whose left host offers these selectors."""
    ladder = row.psk(right=right)
    changed: dict[type[Body], Body] = {TsI: TsI(ts_i), TsR: TsR(ts_r)}
    edited(
        ladder,
        lambda payloads: tuple(changed.get(type(body), body) for body in payloads),
        AUTH,
        ladder.left,
    )
    ladder.connect()
    return ladder


@pytest.mark.conformance("CF-G02")
def test_acceptable_first_selectors_are_part_of_the_result(row: Row) -> None:
    """§2.9: "the responder's policy allows it to accept the first selector" first."""
    packet = ts("10.1.7.7/32", TCP, (40000, 40000)), ts("10.2.9.9/32", TCP, (443, 443))
    ladder = offering(row, (packet[0], ts("0.0.0.0/0")), (packet[1], ts("0.0.0.0/0")))
    (child,) = (action.child for action in ladder.right.installs)
    assert any(one.covers(packet[0]) for one in child.peer_ts)
    assert any(one.covers(packet[1]) for one in child.local_ts)


@pytest.mark.conformance("CF-G03")
@pytest.mark.parametrize(
    ("offered", "granted"),
    [
        (("0.0.0.0/0",), ("10.1.0.0/16",)),
        (("10.1.2.0/24",), ("10.1.2.0/24",)),
        (("10.0.0.0-10.1.0.9",), ("10.1.0.0-10.1.0.9",)),
        (("10.1.255.0-10.9.0.0",), ("10.1.255.0/24",)),
        (("172.16.0.0/12", "10.1.3.0/24"), ("10.1.3.0/24",)),
        (("10.1.1.0/24", "10.1.0.0/16"), ("10.1.0.0/16",)),
        (("::/0", "0.0.0.0/0"), ("fd01::/32", "10.1.0.0/16")),
    ],
)
def test_a_part_is_granted_where_the_whole_is_too_much(
    row: Row, offered: tuple[str, ...], granted: tuple[str, ...]
) -> None:
    """§2.9: the responder narrows "to a subset"."""
    everything = (ts("10.2.0.0/16"), ts("fd02::/32"))
    ladder = offering(row, tuple(map(ts, offered)), everything)
    (child,) = (action.child for action in ladder.right.installs)
    assert child.peer_ts == tuple(map(ts, granted))


@pytest.mark.conformance("CF-G03")
@pytest.mark.parametrize(
    ("protocol", "ports", "wanted"),
    [
        (TCP, (0, 65535), (TCP, 80, 90)),
        (TCP, (85, 100), (TCP, 85, 90)),
        (0, (0, 65535), (TCP, 80, 90)),
    ],
)
def test_protocols_and_ports_are_narrowed_too(
    row: Row, protocol: int, ports: tuple[int, int], wanted: tuple[int, int, int]
) -> None:
    """§2.9: a selector is addresses, a protocol and ports."""
    web = (template("10.2.0.0/16", TCP, (80, 90)),)
    ladder = offering(
        row, (ts("10.1.0.0/16", protocol),), (ts("10.2.0.0/16", protocol, ports),), local_ts=web
    )
    ((local,),) = (action.child.local_ts for action in ladder.right.installs)
    assert (local.protocol, local.port_start, local.port_end) == wanted


@pytest.mark.conformance("CF-G04", "CF-A13")
@pytest.mark.parametrize("side", ["i", "r"])
@pytest.mark.parametrize("bad", ["172.16.0.0/12", "2001:db8:9::/48"])
def test_nothing_acceptable_is_told_and_leaves_the_ike_sa(row: Row, side: str, bad: str) -> None:
    """§2.9: TS_UNACCEPTABLE."""
    ts_i = (ts(bad),) if side == "i" else (ts("10.1.0.0/16"),)
    ts_r = (ts(bad),) if side == "r" else (ts("10.2.0.0/16"),)
    ladder = offering(row, ts_i, ts_r)
    assert ladder.right.said[-1].endswith("AUTH N(TS_UNACCEPTABLE)]")
    assert ladder.right.established
    assert ladder.left.established
    assert ladder.left.installed == ladder.right.installed == {}


@pytest.mark.conformance("CF-G05")
@pytest.mark.parametrize(
    "answered",
    [
        TsI((ts("0.0.0.0/0"),)),
        TsI((ts("10.1.0.0/16"), ts("10.9.0.0/16"))),
        TsI((ts("10.1.0.0/16", 0), ts("10.0.0.0/8", TCP))),
        TsI(()),
        TsI((RawSelector(TsType(9), b"a fibre channel"),)),
        TsI((ts("10.1.0.0/16"), RawSelector(TsType(9), b"a fibre channel"))),
        TsR((ts("10.0.0.0/8"),)),
    ],
    ids=str,
)
def test_an_answer_that_is_no_subset_costs_the_child(row: Row, answered: TsI | TsR) -> None:
    """§2.9: nothing that was not offered becomes policy; the peer is told that it is gone."""
    ladder = row.psk()
    edited(
        ladder,
        lambda payloads: tuple(
            answered if type(body) is type(answered) else body for body in payloads
        ),
        AUTH,
        ladder.right,
    )
    ladder.connect()
    assert ladder.left.installs == []
    assert ladder.left.established
    assert ladder.left.said[-1] == "INFORMATIONAL request 2 [D(ESP)]"
    assert ladder.right.installed == {}


@pytest.mark.conformance("CF-G07")
def test_several_ranges_of_both_families_are_all_in_the_child(row: Row) -> None:
    """§2.9: each pair of TSi and TSr with one protocol is allowed."""
    here = tuple(map(template, ("10.1.0.0/24", "10.1.9.0/24", "fd01::/64")))
    there = tuple(map(template, ("10.2.0.0/24", "fd02::/64")))
    ladder = row.psk(left={"local_ts": here, "peer_ts": there})
    ladder.connect()
    left, right = ladder.left.child, ladder.right.child
    assert left.local_ts == right.peer_ts == (ts("10.1.0.0/24"), ts("10.1.9.0/24"), ts("fd01::/64"))
    assert left.peer_ts == right.local_ts == (ts("10.2.0.0/24"), ts("fd02::/64"))


@pytest.mark.conformance("CF-G11")
def test_opaque_ports_meet_opaque_or_all_ports_only() -> None:
    """§3.13.1: 65535 to 0 is OPAQUE."""
    opaque = ts("10.1.0.0/16", TCP, (65535, 0))
    assert narrow((opaque,), (ts("10.1.2.0/24"),)) == (ts("10.1.2.0/24", TCP, (65535, 0)),)
    assert narrow((opaque,), (opaque,)) == (opaque,)
    with pytest.raises(SelectorsError):
        narrow((opaque,), (ts("10.1.0.0/16", TCP, (80, 80)),))


@pytest.mark.conformance("CF-G12")
def test_icmp_types_are_ranges_of_ports() -> None:
    """§3.13.1: type in the high octet, code in the low one."""
    echo = ts("10.1.0.0/16", ICMP, (8 << 8, (8 << 8) + 255))
    assert narrow((ts("10.1.0.0/16", ICMP),), (echo,)) == (echo,)


@pytest.mark.conformance("CF-G02", "CF-G03")
def test_narrowing_leaves_out_what_another_part_covers() -> None:
    """§2.9: the result is as short as it can be."""
    offered = (ts("10.0.0.0/8"), ts("10.1.0.0/16"), ts("10.1.0.0/16"))
    assert narrow(offered, (ts("0.0.0.0/0"),)) == (ts("10.0.0.0/8"),)
    assert narrow(offered[::-1], (ts("0.0.0.0/0"),)) == (ts("10.0.0.0/8"),)


def test_many_selectors_are_narrowed_in_little_work() -> None:
    """I5: a peer may send 255 selectors; the answer has at most as many as one payload takes."""
    offered = tuple(ts(f"10.{at}.0.0/16", TCP, (at, at + 7)) for at in range(255))
    allowed = tuple(ts("10.0.0.0/8", TCP, (at, at + 3)) for at in range(0, 256, 8))
    granted = narrow(offered, allowed)
    assert len(granted) == 32
    assert granted[0] == ts("10.0.0.0/16", TCP, (0, 3))


@pytest.mark.conformance("CF-G05")
def test_an_empty_answer_is_no_subset() -> None:
    """§2.9."""
    with pytest.raises(SelectorsError):
        check_subset((), (ts("10.0.0.0/8"),))


@pytest.mark.conformance("CF-G03")
def test_dynamic_is_the_address_that_the_peer_has(row: Row) -> None:
    """§2.9: a host that asks for no address talks for itself."""
    dynamic = (template("dynamic"),)
    ladder = row.psk(
        left={"local_ts": dynamic, "peer_ts": (template("10.2.0.0/16"), template("fd02::/32"))},
        right={"peer_ts": dynamic},
    )
    ladder.connect()
    if row.behind_nat:  # behind a NAT the two do not agree on what that address is
        assert ladder.right.said[-1].endswith("N(TS_UNACCEPTABLE)]")
        return
    address = str(row.addresses[0])
    assert ladder.right.child.peer_ts == (ts(f"{address}-{address}"),)
    assert ladder.left.child.local_ts == ladder.right.child.peer_ts
