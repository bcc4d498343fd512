# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §1.3.1, §2.23.1: transport mode, with a NAT and without."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikeway.ike.io import Rekey
from ikeway.ike.reports import ChildFailed
from ikeway.ike.states import Established
from ikeway.model.esp import Mode, OriginalAddresses
from ikeway.model.selectors import TrafficSelector
from ikeway.policy.connection import SelectorTemplate
from ikeway.wire.codec import Body
from ikeway.wire.payloads import Notify, TsI, TsR
from ikeway.wire.registry import ExchangeType, NotifyType
from support.agreement import agree
from support.forge import edited
from support.hosts import EVERYTHING, GCM, Changes, Row, template
from support.ladder import Ladder

AUTH, CREATE = ExchangeType.IKE_AUTH, ExchangeType.CREATE_CHILD_SA
HOSTS: Changes = {
    "mode": Mode.TRANSPORT,
    "local_ts": (template("dynamic"),),
    "peer_ts": (template("dynamic"),),
}
ANYWHERE: Changes = {"local_ts": (SelectorTemplate(None),), "peer_ts": (SelectorTemplate(None),)}


def up(row: Row, left: Changes = HOSTS, right: Changes = HOSTS) -> Ladder:
    ladder = row.psk(left, right)
    ladder.connect()
    return ladder


def at(address: object) -> tuple[TrafficSelector, ...]:
    return (TrafficSelector.of(str(address)),)


def alike(ladder: Ladder) -> None:
    """Check that both sides have one child with the same keys, each with what it sees itself."""
    left, right = ladder.left.child, ladder.right.child
    assert (left.spi_in, left.spi_out) == (right.spi_out, right.spi_in)
    assert (left.keys_in, left.keys_out) == (right.keys_out, right.keys_in)
    assert left.mode is right.mode is Mode.TRANSPORT
    here, there = ladder.addresses
    seen = ladder.nat.public if ladder.nat else here
    assert (left.local_ts, left.peer_ts) == (at(here), at(there))
    assert (right.local_ts, right.peer_ts) == (at(there), at(seen))
    if ladder.nat:
        # The checksums of packets are those of the addresses that their sender sees.
        assert right.original == OriginalAddresses(local=there, peer=here)
        assert left.original == OriginalAddresses(local=seen, peer=there)
    else:
        assert left.original is right.original is None


@pytest.mark.conformance("CF-J24")
def test_the_request_names_the_addresses_that_its_sender_sees(row: Row) -> None:
    """§2.23.1: "The TSi entries MUST have exactly one IP address, and that MUST match the source
    address of the IKE SA", and the TSr entries the destination."""
    ladder = row.psk(HOSTS, HOSTS)
    asked: list[Body] = []

    def note(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        asked.extend(payloads)
        return payloads

    edited(ladder, note, AUTH, ladder.left)
    ladder.connect()
    here, there = ladder.addresses
    assert [body.selectors for body in asked if isinstance(body, TsI)] == [at(here)]
    assert [body.selectors for body in asked if isinstance(body, TsR)] == [at(there)]


@pytest.mark.conformance("CF-J25", "CF-J26")
def test_both_sides_agree_on_transport_mode(row: Row) -> None:
    """§1.3.1: "If the request is accepted, the response MUST also include a notification"."""
    ladder = up(row)
    alike(ladder)
    assert "N(USE_TRANSPORT_MODE)" in ladder.left.said[1]
    assert "N(USE_TRANSPORT_MODE)" in ladder.right.said[1]


def test_transport_mode_announces_that_padding_cannot_be_told_from_payload(row: Row) -> None:
    """§1.3.1: "the sending endpoint will not accept packets that contain ... (TFC) padding"."""
    ladder = up(row)
    assert "N(ESP_TFC_PADDING_NOT_SUPPORTED)" in ladder.left.said[1]
    assert "N(ESP_TFC_PADDING_NOT_SUPPORTED)" in ladder.right.said[1]


@pytest.mark.parametrize("by", ["left", "right"])
@pytest.mark.parametrize("child", [True, False])
def test_a_rekey_by_either_side_keeps_the_mode(row: Row, by: str, child: bool) -> None:
    """§2.9.2: a rekeyed SA has the selectors of the old one, and wraps as it did."""
    ladder = up(row)
    host = getattr(ladder, by)
    before = host.child.spi_in
    for _ in range(2):
        (sa,) = (sa for sa in host.endpoint.sas if isinstance(sa.state, Established))
        spi = host.child.spi_in if child else 0
        ladder.perform(host, host.endpoint.handle(sa.spi, Rekey(spi), ladder.now))
        ladder.wait(2)
        alike(ladder)
    assert (host.child.spi_in != before) is child


@pytest.mark.conformance("CF-A12")
def test_a_peer_that_declines_has_its_child_deleted(row: Row) -> None:
    """§1.3.1: "If this is unacceptable to the initiator, the initiator MUST delete the SA"."""
    ladder = up(row, right={"local_ts": EVERYTHING, "peer_ts": EVERYTHING})
    assert "USE_TRANSPORT_MODE" not in ladder.right.said[1]
    assert ladder.left.installed == ladder.right.installed == {}
    assert ladder.left.established
    assert ladder.right.established
    (failed,) = ladder.left.seen(ChildFailed)
    assert isinstance(failed, ChildFailed)
    assert "declines transport mode" in failed.reason


def test_whoever_wants_transport_mode_grants_no_tunnel(row: Row) -> None:
    """§1.3.1: a policy of transport mode has no room for the selectors of a tunnel."""
    ladder = up(row, left=ANYWHERE)
    assert ladder.right.said[1].endswith("N(NO_PROPOSAL_CHOSEN)]")
    assert ladder.left.installed == ladder.right.installed == {}
    assert ladder.left.established


def test_a_tunnel_is_granted_to_whoever_asks_for_transport_mode_of_it(row: Row) -> None:
    """§1.3.1: "If the responder declines the request, the Child SA will be ... in tunnel mode"."""
    ladder = row.psk()

    def ask(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return (*payloads, Notify(NotifyType.USE_TRANSPORT_MODE))

    edited(ladder, ask, AUTH, ladder.left)
    ladder.connect()
    agree(ladder)
    assert ladder.right.child.mode is Mode.TUNNEL
    assert "USE_TRANSPORT_MODE" not in ladder.right.said[1]


@pytest.mark.conformance("CF-J25")
def test_for_a_tunnel_the_substitution_is_undone() -> None:
    """§2.23.1: "undo the Traffic Selector substitutions ... searching for tunnel mode SPD entry":
    the tunnel is for the address that the client has, not for that of the NAT."""
    row = replace(GCM, behind_nat=True)
    ladder = row.psk(right={"peer_ts": EVERYTHING, "local_ts": EVERYTHING})
    here, there = (at(address) for address in ladder.addresses)

    def ask(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        named = (
            TsI(here) if isinstance(body, TsI) else TsR(there) if isinstance(body, TsR) else body
            for body in payloads
        )
        return (*named, Notify(NotifyType.USE_TRANSPORT_MODE))

    edited(ladder, ask, AUTH, ladder.left)
    ladder.connect()
    (install,) = ladder.right.installs
    child = install.child
    assert child.mode is Mode.TUNNEL
    assert (child.peer_ts, child.local_ts) == (here, there)
    assert child.original is None


def test_protocol_and_ports_are_narrowed_as_ever(row: Row) -> None:
    """§2.23.1: "it can still narrow down the protocol number or port ranges"."""
    web = (template("dynamic", 6, (443, 443)),)
    ladder = up(row, right=HOSTS | {"local_ts": web})
    ((left,), (right,)) = ladder.left.child.peer_ts, ladder.right.child.local_ts
    assert left == right == TrafficSelector.of(str(ladder.addresses[1]), 6, (443, 443))


# Attacks ------------------------------------------------------------------------------------------


def offering(row: Row, ts_i: tuple[TrafficSelector, ...]) -> Ladder:
    """Return a ladder whose left host names other addresses of its own."""
    ladder = row.psk(HOSTS, HOSTS)

    def change(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(TsI(ts_i) if isinstance(body, TsI) else body for body in payloads)

    edited(ladder, change, AUTH, ladder.left)
    ladder.connect()
    return ladder


@pytest.mark.conformance("CF-J25")
def test_an_address_behind_a_nat_is_whatever_the_nat_says() -> None:
    """§2.23.1: TSi is replaced by the source of the IKE packets: nobody claims another's traffic.

    The attack: a client behind a NAT names the address of our own resolver, or of another client.
    """
    row = replace(GCM, behind_nat=True)
    ladder = offering(row, at("198.51.100.53"))
    assert ladder.nat is not None
    assert ladder.right.child.peer_ts == at(ladder.nat.public)
    assert ladder.right.child.original is not None
    assert ladder.right.child.original.peer == ip_address("198.51.100.53")


def test_without_a_nat_no_other_address_is_granted() -> None:
    """§2.23.1: substitution is for whoever is behind a NAT."""
    ladder = offering(GCM, at("198.51.100.53"))
    assert ladder.right.said[1].endswith("N(TS_UNACCEPTABLE)]")
    assert ladder.right.installed == {}


@pytest.mark.parametrize("behind_nat", [True, False])
@pytest.mark.parametrize(
    "named",
    [
        (*at("192.0.2.1"), *at("192.0.2.7")),
        at("192.0.2.0/24"),
        at("0.0.0.0/0"),
        (*at("192.0.2.1"), *at("2001:db8::1")),
    ],
)
def test_transport_mode_has_one_address_a_side(
    behind_nat: bool, named: tuple[TrafficSelector, ...]
) -> None:
    """§2.23.1: "The TSi entries MUST have exactly one IP address"."""
    ladder = offering(replace(GCM, behind_nat=behind_nat), named)
    assert ladder.right.said[1].endswith("N(TS_UNACCEPTABLE)]")
    assert ladder.right.installed == {}


@pytest.mark.conformance("CF-J26")
@pytest.mark.parametrize("behind_nat", [True, False])
@pytest.mark.parametrize("side", [TsI, TsR])
def test_an_answer_with_more_than_was_asked_for_is_no_child(
    behind_nat: bool, side: type[TsI] | type[TsR]
) -> None:
    """§2.9: the answer is a subset of the offer; a wider one would draw traffic of others."""
    ladder = replace(GCM, behind_nat=behind_nat).psk(HOSTS, HOSTS)

    def widen(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        everything = side(at("0.0.0.0/0"))
        return tuple(everything if isinstance(body, side) else body for body in payloads)

    edited(ladder, widen, AUTH, ladder.right)
    ladder.connect()
    ladder.wait(5)
    assert ladder.left.installed == ladder.right.installed == {}


def test_transport_mode_that_nobody_asked_for_is_no_child(row: Row) -> None:
    """§1.3.1: a responder that forces the mode would have packets taken for what they are not."""
    ladder = row.psk()

    def force(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return (*payloads, Notify(NotifyType.USE_TRANSPORT_MODE))

    edited(ladder, force, AUTH, ladder.right)
    ladder.connect()
    ladder.wait(5)
    assert ladder.left.installed == ladder.right.installed == {}


@pytest.mark.parametrize("kind", [NotifyType.USE_TRANSPORT_MODE, None])
def test_a_successor_in_another_mode_is_deleted_and_the_child_stays(
    row: Row, kind: NotifyType | None
) -> None:
    """§1.3.1, §2.9.2: the mode is part of what a rekey keeps."""
    changes: Changes = {} if kind else HOSTS
    ladder = up(row, changes, changes)
    old = ladder.left.child

    def change(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        kept = tuple(
            body
            for body in payloads
            if not (isinstance(body, Notify) and body.type is NotifyType.USE_TRANSPORT_MODE)
        )
        return (*kept, Notify(kind)) if kind else kept

    edited(ladder, change, CREATE, ladder.right)
    sa = ladder.left.endpoint.sas[0]
    rekeyed = ladder.left.endpoint.handle(sa.spi, Rekey(old.spi_in), ladder.now)
    ladder.perform(ladder.left, rekeyed)
    ladder.wait(3)
    assert ladder.left.child == old
    assert old.spi_out in ladder.right.installed
    assert len(ladder.right.installed) == 1
    assert ladder.left.said[-1] == "INFORMATIONAL request 3 [D(ESP)]"
