# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.19, §3.15: virtual addresses, DNS servers and domains."""

from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from ikeway.ike import reports
from ikeway.ike.questions import Lease, Leased, Refused
from ikeway.model.address import Address
from ikeway.model.selectors import TrafficSelector
from ikeway.policy.pools import Pool
from ikeway.wire.attributes import CfgAttributeValue
from ikeway.wire.codec import Body
from ikeway.wire.payloads import Configuration, SecurityAssociation, Unknown
from ikeway.wire.registry import CfgAttribute, CfgType, ExchangeType, PayloadType
from support.forge import edited, opened
from support.hosts import ANY, CLIENT, DYNAMIC, EVERYTHING, GATEWAY, POOL, Changes, Row, template
from support.ladder import Ladder

AUTH = ExchangeType.IKE_AUTH
IP4, IP6 = CfgAttribute.INTERNAL_IP4_ADDRESS, CfgAttribute.INTERNAL_IP6_ADDRESS


def road(row: Row, wanted: tuple[Address, ...] = ANY, pool: Pool = POOL, **right: object) -> Ladder:
    """Return a client that wants addresses, and a gateway that has them."""
    left: Changes = CLIENT | {"virtual_ips": wanted}
    return row.psk(left, GATEWAY | right, pools={"staff": pool})


def request_of(ladder: Ladder) -> Configuration | None:
    return opened(ladder.right, ladder.sent[2][1].octets).one(Configuration)


def reply_of(ladder: Ladder) -> Configuration | None:
    return opened(ladder.left, ladder.sent[3][1].octets).one(Configuration)


def changed(ladder: Ladder, payload: Body) -> None:
    """Let the client send another CFG_REQUEST."""
    edited(
        ladder,
        lambda payloads: tuple(
            payload if isinstance(one, Configuration) else one for one in payloads
        ),
        AUTH,
        ladder.left,
    )


def asking(*attributes: tuple[int, bytes]) -> Configuration:
    values = tuple(CfgAttributeValue(CfgAttribute(kind), value) for kind, value in attributes)
    return Configuration(CfgType.CFG_REQUEST, values)


@pytest.mark.conformance("CF-J01", "CF-J06")
@pytest.mark.parametrize("wanted", [ANY, ANY[:1], ANY[1:]], ids=["both", "IPv4", "IPv6"])
def test_a_client_gets_the_addresses_that_it_asks_for(
    row: Row, wanted: tuple[Address, ...]
) -> None:
    """§2.19: CP(CFG_REQUEST) comes before SA, with an address attribute at least."""
    ladder = road(row, wanted)
    ladder.connect()
    kinds = [type(one) for one in opened(ladder.right, ladder.sent[2][1].octets).payloads]
    assert kinds.index(Configuration) < kinds.index(SecurityAssociation)
    (state,) = ladder.left.established
    assert len(state.virtual_ips) == len(wanted)
    versions = {address.version for address in state.virtual_ips}
    assert versions == {one.version for one in wanted}
    (install,) = ladder.left.installs
    assert install.virtual_ips == state.virtual_ips
    assert {server.version for server in install.dns} == versions
    own = tuple(TrafficSelector(0, 0, 65535, one, one) for one in state.virtual_ips)
    assert ladder.left.child.local_ts == ladder.right.child.peer_ts == own
    assert ladder.right.established[0].virtual_ips == state.virtual_ips


@pytest.mark.conformance("CF-J06")
def test_the_reply_has_one_address_of_each_family_in_the_form_of_the_rfc(row: Row) -> None:
    """§3.15.1: INTERNAL_IP6_ADDRESS is 17 octets; the netmask is for IPv4 networks only."""
    ladder = road(row)
    changed(ladder, asking((IP4, b""), (IP4, b""), (IP6, b""), (IP6, bytes(17)), (2, b"")))
    ladder.initiate()
    ladder.settle()
    reply = reply_of(ladder)
    assert reply
    assert reply.type is CfgType.CFG_REPLY
    kinds = [one.type for one in reply.attributes]
    assert kinds.count(IP4) == kinds.count(IP6) == 1
    assert [len(one.value) for one in reply.attributes if one.type in {IP4, IP6}] == [4, 17]
    assert CfgAttribute.INTERNAL_IP4_NETMASK not in kinds


def test_dns_servers_and_domains_come_only_where_they_are_asked_for(row: Row) -> None:
    """§3.15.1: the reply answers the request."""
    ladder = road(row)
    ladder.connect()
    reply = reply_of(ladder)
    assert reply
    assert reply.all(CfgAttribute.INTERNAL_IP4_DNS) == (ip_address("10.66.0.1").packed,)
    assert reply.all(CfgAttribute.INTERNAL_DNS_DOMAIN) == (b"corp.example.com",)
    ladder = road(row)
    changed(ladder, asking((IP4, b"")))
    ladder.initiate()
    ladder.settle()
    reply = reply_of(ladder)
    assert reply
    assert [one.type for one in reply.attributes] == [IP4]


@pytest.mark.conformance("CF-J02")
def test_no_request_gets_no_reply(row: Row) -> None:
    """§2.19: "the responder MUST NOT send a CFG_REPLY without having first received" a request."""
    ladder = row.psk(right={"pool": "staff"}, pools={"staff": POOL})
    ladder.connect()
    assert reply_of(ladder) is None
    assert Lease not in ladder.right.asked
    assert ladder.right.installed


@pytest.mark.conformance("CF-J02")
@pytest.mark.parametrize("kind", [CfgType.CFG_REPLY, CfgType.CFG_SET, CfgType(99)])
def test_another_type_of_configuration_is_no_request(row: Row, kind: CfgType) -> None:
    """§3.15: unknown types ask for nothing."""
    ladder = road(row, peer_ts=EVERYTHING)
    changed(ladder, replace(asking((IP4, b"")), type=kind))
    ladder.connect()
    assert Lease not in ladder.right.asked
    assert "CP(" not in ladder.right.said[-1]


@pytest.mark.conformance("CF-J03")
def test_a_pool_may_be_for_those_who_ask_only(row: Row) -> None:
    """§2.19: FAILED_CP_REQUIRED; the IKE SA is up without a child."""
    ladder = row.psk(
        right={"pool": "staff", "require_address_request": True}, pools={"staff": POOL}
    )
    ladder.connect()
    assert ladder.right.said[-1].endswith("AUTH N(FAILED_CP_REQUIRED)]")
    assert ladder.left.established
    assert ladder.right.established
    assert ladder.left.installed == ladder.right.installed == {}


@pytest.mark.conformance("CF-J05")
def test_unknown_attributes_and_the_reserved_bit_are_ignored(row: Row) -> None:
    """§3.15.1: what is not understood is skipped."""
    ladder = road(row)
    raw = bytes.fromhex("01000000800100007fff0003616263ffff0000")
    changed(ladder, Unknown(PayloadType.CP, raw))
    ladder.initiate()
    ladder.settle()
    reply = reply_of(ladder)
    assert reply
    assert [one.type for one in reply.attributes] == [IP4]


@pytest.mark.conformance("CF-J07")
@pytest.mark.parametrize("value", [b"\1", b"\1\2\3\4\5", bytes(17)])
def test_an_attribute_of_an_illegal_length_asks_for_nothing(row: Row, value: bytes) -> None:
    """§3.15.1: it is ignored, and the rest is answered."""
    ladder = road(row)
    changed(ladder, asking((IP4, value), (IP6, b"")))
    ladder.initiate()
    ladder.settle()
    reply = reply_of(ladder)
    assert reply
    assert [one.type for one in reply.attributes] == [IP6]


@pytest.mark.conformance("CF-J07")
@pytest.mark.parametrize(
    ("kind", "value"),
    [(IP4, b"\1\2\3\4\5"), (IP6, bytes(5)), (CfgAttribute.INTERNAL_IP4_DNS, b"1")],
)
def test_an_attribute_of_an_illegal_length_gives_nothing(
    row: Row, kind: CfgAttribute, value: bytes
) -> None:
    """§3.15.1: the client ignores it too."""
    ladder = road(row)

    def change(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(
            replace(one, attributes=(CfgAttributeValue(kind, value), *one.attributes))
            if isinstance(one, Configuration)
            else one
            for one in payloads
        )

    edited(ladder, change, AUTH, ladder.right)
    ladder.connect()
    assert len(ladder.left.established[0].virtual_ips) == 2
    assert len(ladder.left.installs[0].dns) == 2


@pytest.mark.conformance("CF-J08")
def test_an_empty_pool_costs_the_child_alone(row: Row) -> None:
    """§3.15.4: INTERNAL_ADDRESS_FAILURE."""
    ladder = road(row, pool=replace(POOL, ranges=()))
    ladder.connect()
    assert ladder.right.said[-1].endswith("AUTH N(INTERNAL_ADDRESS_FAILURE)]")
    assert ladder.left.established
    assert ladder.right.established
    assert ladder.left.installed == ladder.right.installed == {}


@pytest.mark.conformance("CF-J08")
def test_a_pool_of_one_family_gives_what_it_has(row: Row) -> None:
    """§3.15.4: the successes alone are in the reply."""
    ladder = road(row, pool=replace(POOL, ranges=POOL.ranges[:1]))
    ladder.connect()
    (state,) = ladder.left.established
    assert [address.version for address in state.virtual_ips] == [4]
    assert [one.version for one in ladder.left.child.local_ts] == [4]
    assert ladder.right.installed


@pytest.mark.conformance("CF-J08")
def test_the_last_address_goes_to_one_client_only(row: Row) -> None:
    """§3.15.4: and comes back when its SA is gone."""
    ladder = road(row, ANY[:1], replace(POOL, ranges=(ip_network("10.66.0.7/32"),)))
    first = ladder.connect()
    ladder.connect()
    assert [len(state.virtual_ips) for state in ladder.right.established] == [1, 0]
    ladder.disconnect(ladder.left, first)
    ladder.settle()
    ladder.wait(20)
    ladder.connect()
    assert [len(state.virtual_ips) for state in ladder.right.established] == [0, 1]


def test_a_client_may_ask_for_the_address_that_it_had(row: Row) -> None:
    """§3.15.1: a value in the request is a wish."""
    wish = (ip_address("10.66.0.99"), ip_address("fd66::99"))
    ladder = road(row, wish)
    ladder.connect()
    assert ladder.left.established[0].virtual_ips == wish


def test_a_wish_outside_the_pool_gets_another_address(row: Row) -> None:
    """§3.15.1: the responder decides."""
    ladder = road(row, (ip_address("192.168.0.1"),))
    ladder.connect()
    (address,) = ladder.left.established[0].virtual_ips
    assert address in POOL.ranges[0]


def test_a_client_that_gets_no_address_has_no_child(row: Row) -> None:
    """§3.15.4: it asked for one and cannot do without."""
    ladder = road(row)

    def without(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(one for one in payloads if not isinstance(one, Configuration))

    edited(ladder, without, AUTH, ladder.right)
    ladder.connect()
    assert ladder.left.installs == []
    assert ladder.left.said[-1] == "INFORMATIONAL request 2 [D(ESP)]"
    assert ladder.right.installed == {}


def test_a_lease_that_is_refused_costs_the_child_alone(row: Row) -> None:
    """§3.15.4: whatever the reason."""
    ladder = road(row)
    ladder.right.holds = (Lease,)
    ladder.connect()
    ladder.answer(ladder.right, Refused("the store is gone"))
    ladder.settle()
    assert ladder.right.established
    assert ladder.right.said[-1].endswith("AUTH N(INTERNAL_ADDRESS_FAILURE)]")
    assert ladder.right.seen(reports.ChildFailed)


def test_a_lease_of_nothing_is_a_refusal(row: Row) -> None:
    """§3.15.4."""
    ladder = road(row)
    ladder.right.holds = (Lease,)
    ladder.connect()
    ladder.answer(ladder.right, Leased(()))
    ladder.settle()
    assert ladder.right.said[-1].endswith("AUTH N(INTERNAL_ADDRESS_FAILURE)]")


def test_the_pool_has_all_addresses_back_when_all_clients_are_gone(row: Row) -> None:
    """I3: no lease outlives its IKE SA."""
    ladder = road(row)
    for _ in range(3):
        ladder.connect()
    assert len(ladder.right.leases._held) == 6
    for sa in ladder.left.endpoint.sas:
        ladder.disconnect(ladder.left, sa.spi)
    ladder.settle()
    ladder.wait(20)
    assert ladder.right.leases._held == {}


def test_a_client_may_speak_for_a_network_besides_its_address(row: Row) -> None:
    """RFC 7296 §2.9: each selector is narrowed for itself."""
    ladder = road(row, peer_ts=(*DYNAMIC, template("10.1.0.0/16")))
    env = ladder.left.endpoint.env
    more = replace(env.connections[0], local_ts=(*DYNAMIC, template("10.1.0.0/16")))
    ladder.left.endpoint.env = replace(env, connections=(more,))
    ladder.connect()
    granted = [str(one) for one in ladder.left.child.local_ts]
    assert sorted(granted) == ["10.1.0.0/16", "10.66.0.2/32", "fd66::1/128"]
