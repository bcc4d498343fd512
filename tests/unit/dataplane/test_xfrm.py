# SPDX-License-Identifier: Apache-2.0
"""What the kernel is asked for: flows of selectors, policies of pairs, and structures."""

import struct
from dataclasses import replace
from ipaddress import ip_address, ip_network

import pytest

from ikeway.dataplane.port import PacketWaits, PairSpent, PeerMoved
from ikeway.dataplane.xfrm import messages
from ikeway.dataplane.xfrm.compression import compressions
from ikeway.dataplane.xfrm.flows import ANY, Flow, blocks, flows
from ikeway.dataplane.xfrm.messages import COMP, ESP, Attribute, Direction, Found, Kind, Sa
from ikeway.dataplane.xfrm.policies import TRAP_PRIORITY, Policies
from ikeway.dataplane.xfrm.sas import WINDOW_MOST, sas
from ikeway.dataplane.xfrm.told import Told
from ikeway.model.address import OUTER_MARK, Endpoint
from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa, Encapsulation, EspKeys, EspSuite, Ipcomp, Mode
from ikeway.model.outer import DontFragment, OuterHeader
from ikeway.model.secret import Secret
from ikeway.model.selectors import TrafficSelector, Trigger
from ikeway.model.traffic_flow import PAD_TO_MTU, Dummies, Stream, TrafficFlow

KEYS = EspKeys(Secret(bytes(36)), Secret(b""))
HERE, THERE = Endpoint(ip_address("192.0.2.1"), 4500), Endpoint(ip_address("192.0.2.2"), 4501)
LOCAL, PEER = TrafficSelector.of("10.1.0.0/16"), TrafficSelector.of("10.2.0.0/16")
CHILD = ChildSa(
    spi_in=0x1000,
    spi_out=0x2000,
    local=HERE,
    peer=THERE,
    mode=Mode.TUNNEL,
    encapsulation=Encapsulation.UDP,
    suite=EspSuite(20, 256, 0, esn=True),
    keys_in=KEYS,
    keys_out=KEYS,
    local_ts=(LOCAL,),
    peer_ts=(PEER,),
)
NEXT = replace(CHILD, spi_in=0x1001, spi_out=0x2001)
FLOW = Flow(ip_network("10.1.0.0/16"), ip_network("10.2.0.0/16"))
IF_ID = 7

# Flows --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ((0, 65535), (ANY,)),
        ((443, 443), ((443, 0xFFFF),)),
        ((1024, 65535), ((1024, 0xFC00), (2048, 0xF800), (4096, 0xF000), (8192, 0xE000),
                         (16384, 0xC000), (32768, 0x8000))),
        ((0, 1), ((0, 0xFFFE),)),
    ],
)  # fmt: skip
def test_a_range_of_ports_is_blocks(
    ports: tuple[int, int], expected: tuple[tuple[int, int], ...]
) -> None:
    found = blocks(TrafficSelector.of("10.1.0.0/16", 6, ports))
    assert found == expected
    covered = [port for port in range(65536) if any(port & mask == at for at, mask in found)]
    assert covered == list(range(ports[0], ports[1] + 1))


def test_families_and_protocols_that_do_not_meet_have_no_flow() -> None:
    v6 = TrafficSelector.of("fd02::/64")
    assert flows((LOCAL,), (PEER, v6)) == (FLOW,)
    udp, tcp = (TrafficSelector.of("10.1.0.0/16", number) for number in (17, 6))
    assert flows((udp,), (PEER,)) == (replace(FLOW, protocol=17),)
    with pytest.raises(HostError, match="no packet in common"):
        flows((udp,), (replace(PEER, protocol=tcp.protocol),))


def test_a_range_of_addresses_is_prefixes() -> None:
    odd = replace(PEER, start=ip_address("10.2.0.1"), end=ip_address("10.2.0.4"))
    assert [str(flow.peer) for flow in flows((LOCAL,), (odd,))] == [
        "10.2.0.1/32",
        "10.2.0.2/31",
        "10.2.0.4/32",
    ]


@pytest.mark.parametrize(
    ("ports", "expected"),
    [
        ((0, 65535), (ANY, ANY)),
        ((8 << 8, 8 << 8), ((8, 0xFFFF), (0, 0xFFFF))),
        ((8 << 8, 8 << 8 | 255), ((8, 0xFFFF), ANY)),
    ],
)
def test_icmp_has_its_type_and_code_where_ports_are(
    ports: tuple[int, int], expected: tuple[tuple[int, int], ...]
) -> None:
    """RFC 4301 §4.4.1.1: the type is in the high octet."""
    icmp = TrafficSelector.of("10.1.0.0/16", 1, ports)
    (flow,) = flows((icmp,), (replace(PEER, protocol=1),))
    assert (flow.local_port, flow.peer_port) == expected


@pytest.mark.parametrize(
    ("selector", "words"),
    [
        (TrafficSelector.of("10.1.0.0/16", 6, (65535, 0)), "OPAQUE"),
        (TrafficSelector.of("10.1.0.0/16", 1, (0, 2 << 8)), "range of ICMP types"),
        (TrafficSelector.of("10.1.0.0/16", 6, (1, 65534)), "use the engine"),
    ],
)
def test_what_the_kernel_cannot_say_is_refused(selector: TrafficSelector, words: str) -> None:
    other = replace(PEER, protocol=6, port_start=1, port_end=65534)
    with pytest.raises(HostError, match=words):
        flows((selector,), (other if selector.protocol == 6 else PEER,))


# Policies -----------------------------------------------------------------------------------------


def leaving(policies: Policies) -> int | None:
    """Return the SPI of the SA that sends, None if there is no policy."""
    wish = policies.wish(FLOW)
    return None if wish is None else wish.leaving[-1].spi


def test_of_several_pairs_the_newest_sends_and_all_may_receive() -> None:
    policies = Policies()
    old, new = policies.add(CHILD, is_standby=False), policies.add(NEXT, is_standby=False)
    assert leaving(policies) == NEXT.spi_out
    assert old.reqid == new.reqid
    wish = policies.wish(FLOW)
    assert wish is not None
    (arriving,) = wish.arriving
    assert (arriving.reqid, arriving.spi, arriving.peer) == (old.reqid, 0, None)
    policies.drop(NEXT.spi_in)
    assert leaving(policies) == CHILD.spi_out


def test_pairs_of_other_selectors_have_numbers_of_their_own() -> None:
    """Else the packets of one peer would be let in from the SA of another (RFC 4301 §5.2)."""
    policies = Policies()
    other = replace(NEXT, peer_ts=(TrafficSelector.of("10.3.0.0/16"),))
    wider = replace(NEXT, spi_in=0x1002, peer_ts=(PEER, other.peer_ts[0]))
    numbers = {policies.add(child, is_standby=False).reqid for child in (CHILD, other, wider)}
    assert len(numbers) == 3


def test_a_pair_on_standby_sends_once_it_is_used_or_alone() -> None:
    policies = Policies()
    policies.add(CHILD, is_standby=False)
    policies.add(NEXT, is_standby=True)
    assert leaving(policies) == CHILD.spi_out
    assert policies.standing_by() == [NEXT.spi_in]
    policies.wake(NEXT.spi_in)
    assert leaving(policies) == NEXT.spi_out
    policies.add(replace(NEXT, spi_in=0x1002, spi_out=0x2002), is_standby=True)
    for spi_in in (CHILD.spi_in, NEXT.spi_in):
        policies.drop(spi_in)
    assert leaving(policies) == 0x2002


def test_a_trap_is_what_is_left_when_no_pair_is() -> None:
    policies = Policies()
    assert policies.trap(1, CHILD.local_ts, CHILD.peer_ts) == (FLOW,)
    trap = policies.wish(FLOW)
    assert trap is not None
    assert (trap.arriving, trap.priority) == ((), TRAP_PRIORITY)
    policies.add(CHILD, is_standby=False)
    pair = policies.wish(FLOW)
    assert pair is not None
    assert pair.priority < TRAP_PRIORITY
    policies.drop(CHILD.spi_in)
    assert policies.wish(FLOW) == trap
    other = (TrafficSelector.of("10.3.0.0/16"),)
    assert set(policies.trap(1, CHILD.local_ts, other)) == {FLOW, *flows(CHILD.local_ts, other)}
    assert policies.wish(FLOW) is None
    assert policies.untrap(1) == flows(CHILD.local_ts, other)


# Structures ---------------------------------------------------------------------------------------


def test_structures_have_the_lengths_of_the_kernels() -> None:
    """<linux/xfrm.h>, 64 bits."""
    inbound, outbound = sas(CHILD, 1, IF_ID)
    assert messages.SA_OCTETS == 224
    assert len(messages.selector(FLOW, Direction.OUT)) == 56
    wish = pair_of(CHILD).wish(FLOW)
    assert wish is not None
    assert len(wish.leaving[0].pack(Direction.OUT)) == 64
    assert len(inbound.name) == 24
    named = len(messages.policy_name(FLOW, Direction.IN, IF_ID))
    assert named == 64 + 8
    found = messages.attributes(outbound.pack()[messages.SA_OCTETS :])
    assert struct.unpack("=I", found[Attribute.SET_MARK]) == (OUTER_MARK,)
    assert found[Attribute.ENCAP][2:6] == (4500).to_bytes(2) + (4501).to_bytes(2)
    assert len(found[Attribute.ALG_AEAD]) == 64 + 8 + 36


def pair_of(child: ChildSa) -> Policies:
    policies = Policies()
    policies.add(child, is_standby=False)
    return policies


def test_a_selector_is_turned_round_for_what_comes_in() -> None:
    there, back = (messages.selector(FLOW, way) for way in (Direction.OUT, Direction.IN))
    assert there[:16] == back[16:32]
    assert there[16:32] == back[:16]


@pytest.mark.parametrize(
    ("suite", "octets", "attribute", "name"),
    [
        ((20, 256, 0), (36, 0), Attribute.ALG_AEAD, b"rfc4106(gcm(aes))"),
        ((28, 0, 0), (36, 0), Attribute.ALG_AEAD, b"rfc7539esp(chacha20,poly1305)"),
        ((16, 128, 0), (19, 0), Attribute.ALG_AEAD, b"rfc4309(ccm(aes))"),
        ((12, 256, 12), (32, 32), Attribute.ALG_CRYPT, b"cbc(aes)"),
        ((11, 0, 14), (0, 64), Attribute.ALG_AUTH_TRUNC, b"hmac(sha512)"),
    ],
)
def test_algorithms_have_the_kernels_names(
    suite: tuple[int, int, int], octets: tuple[int, int], attribute: Attribute, name: bytes
) -> None:
    keys = EspKeys(Secret(bytes(octets[0])), Secret(bytes(octets[1])))
    child = replace(CHILD, suite=EspSuite(*suite, esn=False), keys_in=keys, keys_out=keys)
    inbound, _ = sas(child, 1, IF_ID)
    found = messages.attributes(inbound.pack()[messages.SA_OCTETS :])
    assert found[attribute][:64].rstrip(b"\0") == name


def test_what_the_kernel_has_not_is_said() -> None:
    with pytest.raises(HostError, match="no ESP of 29"):
        sas(replace(CHILD, suite=EspSuite(29, 128, 0, esn=False)), 1, IF_ID)
    with pytest.raises(HostError, match=str(WINDOW_MOST)):
        sas(replace(CHILD, replay_window=WINDOW_MOST + 1), 1, IF_ID)
    ports = tuple(replace(ts, port_start=53, port_end=53) for ts in CHILD.peer_ts)
    with pytest.raises(HostError, match="does not follow fragments"):
        sas(replace(CHILD, later_fragments=True, peer_ts=ports), 1, IF_ID)
    sas(replace(CHILD, later_fragments=True), 1, IF_ID)


def test_only_tunnels_pass_and_are_compressed_for_one_ip_version() -> None:
    """What transport mode sends would meet the interface again; ESP inside is of one version."""
    with pytest.raises(HostError, match="tunnels only"):
        sas(replace(CHILD, mode=Mode.TRANSPORT), 1, IF_ID)
    both = (*CHILD.peer_ts, TrafficSelector.of("fd02::/64"))
    sas(replace(CHILD, peer_ts=both), 1, IF_ID)
    with pytest.raises(HostError, match="only IPv4 in a tunnel over IPv4"):
        sas(replace(CHILD, peer_ts=both, ipcomp=Ipcomp(256, 257)), 1, IF_ID)


def test_compression_is_an_sa_inside_of_that_of_esp() -> None:
    """RFC 3173 §3: in tunnel mode the outer header is the compressed packet's, and ESP goes on."""
    child = replace(CHILD, ipcomp=Ipcomp(256, 257))
    around = sas(child, 1, IF_ID)
    inner = compressions(child, around)
    assert [(sa.protocol, sa.mode) for sa in around] == [(ESP, Mode.TRANSPORT)] * 2
    assert [(sa.protocol, sa.mode, sa.spi) for sa in inner] == [
        (COMP, Mode.TUNNEL, 256),
        (COMP, Mode.TUNNEL, 257),
    ]
    found = messages.attributes(inner[1].pack()[messages.SA_OCTETS :])
    assert found[Attribute.ALG_COMP][:64].rstrip(b"\0") == b"deflate"
    assert Attribute.ENCAP not in found
    assert Attribute.REPLAY_ESN_VAL not in found
    wish = pair_of(child).wish(FLOW)
    assert wish is not None
    assert [each.protocol for each in wish.leaving] == [COMP, ESP]
    assert [each.is_optional for each in wish.leaving] == [False, False]
    assert [each.is_optional for each in wish.arriving] == [True, False]
    assert compressions(CHILD, sas(CHILD, 1, IF_ID)) == ()


@pytest.mark.conformance("CF-U13")
def test_what_leaves_is_padded_and_the_kernel_sends_no_dummies() -> None:
    """RFC 4303 §2.7: XFRMA_TFCPAD, which the kernel bounds by the MTU of the path."""
    child = replace(CHILD, traffic_flow=TrafficFlow(PAD_TO_MTU))
    inbound, outbound = (
        messages.attributes(sa.pack()[messages.SA_OCTETS :]) for sa in sas(child, 1, IF_ID)
    )
    assert outbound[Attribute.TFCPAD] == struct.pack("=I", PAD_TO_MTU)
    assert Attribute.TFCPAD not in inbound
    with pytest.raises(HostError, match="no IP-TFS"):
        sas(replace(CHILD, traffic_flow=TrafficFlow(stream=Stream())), 1, IF_ID)
    with pytest.raises(HostError, match="no dummy packets"):
        sas(replace(CHILD, traffic_flow=TrafficFlow(600, Dummies(1.0))), 1, IF_ID)


def test_an_sa_that_moves_goes_on_beyond_what_it_has_used() -> None:
    """I7: no sequence number twice, and limits go on counting."""
    _, outbound = sas(CHILD, 1, IF_ID)
    before = found_of(outbound, sent=(0xFFFFFFF0, 2), octets=999, packets=9)
    moved = replace(outbound, target=Endpoint(ip_address("192.0.2.9"), 4500))
    again = messages.attributes(moved.pack(before, 0x20)[messages.SA_OCTETS :])
    _, low, _, high, _, _ = struct.unpack_from("=6I", again[Attribute.REPLAY_ESN_VAL])
    assert (low, high) == (0x10, 3)
    assert struct.unpack("=4Q", again[Attribute.LTIME_VAL])[:2] == (999, 9)


def found_of(sa: Sa, sent: tuple[int, int] = (0, 0), octets: int = 0, packets: int = 0) -> Found:
    """Return an SA as the kernel would tell of it."""
    lifetime = struct.pack("=4Q", octets, packets, 0, 0)
    sequence = struct.pack("=7I", 1, sent[0], 0, sent[1], 0, 32, 0)
    return Found(sa.target.address, sa.spi, octets, packets, IF_ID, lifetime, sequence)


# What the kernel tells ----------------------------------------------------------------------------


def expiry(sa: Sa, *, is_over: bool) -> bytes:
    return sa.pack()[: messages.SA_OCTETS] + bytes([is_over]) + bytes(7)


def test_limits_of_either_direction_are_told_once_each() -> None:
    told = Told(pair_of(CHILD))
    inbound, outbound = sas(CHILD, 1, IF_ID)
    soft, hard = PairSpent(CHILD.spi_in, is_over=False), PairSpent(CHILD.spi_in, is_over=True)
    assert told.hear(Kind.EXPIRE, expiry(outbound, is_over=False)) == soft
    assert told.hear(Kind.EXPIRE, expiry(inbound, is_over=False)) is None
    assert told.hear(Kind.EXPIRE, expiry(outbound, is_over=True)) == hard
    assert told.ended.keys() == {outbound.name}
    stranger = sas(replace(NEXT, spi_in=5, spi_out=6), 1, IF_ID)[0]
    assert told.hear(Kind.EXPIRE, expiry(stranger, is_over=True)) is None


def test_a_peer_that_moved_is_told_once_a_second() -> None:
    told = Told(pair_of(CHILD))
    spi = CHILD.spi_in.to_bytes(4)
    where = THERE.address.packed.ljust(16, b"\0")
    ports = (4501).to_bytes(2) + (1234).to_bytes(2)
    octets = bytes(16) + spi + struct.pack("=HBxI", 2, 50, 1) + where + where + ports
    assert told.hear(Kind.MAPPING, octets) == PeerMoved(CHILD.spi_in, replace(THERE, port=1234))
    assert told.hear(Kind.MAPPING, octets) is None


def test_a_packet_that_waits_is_told_with_its_trap() -> None:
    policies = Policies()
    policies.trap(9, CHILD.local_ts, CHILD.peer_ts)
    one = Flow(ip_network("10.1.0.5"), ip_network("10.2.0.6"), 6, (1000, 0xFFFF), (80, 0xFFFF))
    packet, met = (messages.selector(flow, Direction.OUT) for flow in (one, FLOW))
    told = Told(policies)
    octets = bytes(40) + packet + met + bytes(128)
    local, peer = (
        TrafficSelector.of(f"{address}/32", 6, (port, port))
        for address, port in (("10.1.0.5", 1000), ("10.2.0.6", 80))
    )
    assert told.hear(Kind.ACQUIRE, octets) == PacketWaits(9, Trigger(local, peer))
    assert told.hear(Kind.ACQUIRE, octets) is None
    assert told.hear(Kind.ACQUIRE, bytes(40) + packet + packet + bytes(128)) is None


def test_messages_that_are_nothing_to_us_are_nothing() -> None:
    assert Told(Policies()).hear(99, b"") is None


# Outer headers ------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-U16")
def test_outer_headers_are_copied_unless_they_are_cleared() -> None:
    """RFC 4301 §5.1.2: XFRM_STATE_NOPMTUDISC, XFRM_SA_XFLAG_DONT_ENCAP_DSCP."""
    plain = OuterHeader(None, DontFragment.COPY)
    for outer, flags, extra in (
        (OuterHeader(), 0, None),
        (plain, 0, None),
        (OuterHeader(0, DontFragment.CLEAR), 4, struct.pack("=I", 1)),
    ):
        inbound, outbound = sas(replace(CHILD, outer=outer), 1, IF_ID)
        assert not inbound.is_fragmentable
        packed = outbound.pack()
        assert packed[messages.SA_OCTETS - 8] == 128 | flags
        found = messages.attributes(packed[messages.SA_OCTETS :])
        assert found.get(Attribute.SA_EXTRA_FLAGS) == extra


@pytest.mark.parametrize(
    ("outer", "words"),
    [
        (OuterHeader(46), "does not set 46"),
        (OuterHeader(df=DontFragment.SET), "does not set it"),
        (OuterHeader(path_mtu=1300), "route to the peer"),
    ],
)
def test_outer_headers_that_the_kernel_cannot_make_are_refused(
    outer: OuterHeader, words: str
) -> None:
    with pytest.raises(HostError, match=words):
        sas(replace(CHILD, outer=outer), 1, IF_ID)
