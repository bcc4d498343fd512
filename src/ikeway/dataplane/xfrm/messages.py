# SPDX-License-Identifier: Apache-2.0
"""The structures of the kernel's XFRM netlink, by their names in <linux/xfrm.h>.

Ports, SPIs and addresses are in network order, all else in that of the host. pyroute2 has none.
"""

import struct
from dataclasses import dataclass, replace
from enum import IntEnum
from ipaddress import ip_address
from typing import Final

from ikeway.dataplane.xfrm.flows import Flow
from ikeway.model.address import Address, Endpoint
from ikeway.model.esp import Limits, Mode

ESP: Final = 50
AH: Final = 51
COMP: Final = 108
UNLIMITED: Final = (1 << 64) - 1
AF: Final = {4: 2, 6: 10}
VERSIONS: Final = {2: 4, 10: 6}
_MODES: Final = {Mode.TRANSPORT: 0, Mode.TUNNEL: 1}
_ESN_FLAG: Final = 128
_ALIGN4_FLAG: Final = 64
_NO_PATH_MTU_FLAG: Final = 4
_KEEP_DSCP: Final = 1
_ESP_IN_UDP: Final = 2
_ALL_ALGORITHMS: Final = (1 << 32) - 1


class Kind(IntEnum):
    """Types of messages."""

    NEWSA = 16
    DELSA = 17
    GETSA = 18
    NEWPOLICY = 19
    DELPOLICY = 20
    GETPOLICY = 21
    ACQUIRE = 23
    EXPIRE = 24
    UPDPOLICY = 25
    UPDSA = 26
    MAPPING = 38


class Attribute(IntEnum):
    """Types of attributes."""

    ALG_CRYPT = 2
    ALG_COMP = 3
    ENCAP = 4
    TMPL = 5
    LTIME_VAL = 9
    ALG_AEAD = 18
    ALG_AUTH_TRUNC = 20
    TFCPAD = 22
    REPLAY_ESN_VAL = 23
    SA_EXTRA_FLAGS = 24
    SET_MARK = 29
    IF_ID = 31


class Direction(IntEnum):
    """Of policies."""

    IN = 0
    OUT = 1
    FWD = 2


def attribute(kind: Attribute, data: bytes) -> bytes:
    """Return an attribute with its header and padding."""
    head = struct.pack("=HH", len(data) + 4, kind)
    return head + data + bytes(-len(data) % 4)


def number(kind: Attribute, value: int) -> bytes:
    """Return an attribute that is a number."""
    return attribute(kind, struct.pack("=I", value))


def attributes(octets: bytes) -> dict[int, bytes]:
    """Return the attributes that follow a structure, the last one of each type."""
    found: dict[int, bytes] = {}
    while len(octets) >= 4:
        length, kind = struct.unpack_from("=HH", octets)
        if length < 4:
            break
        found[kind] = octets[4:length]
        octets = octets[length + -length % 4 :]
    return found


def address(value: Address) -> bytes:
    """Return an xfrm_address_t."""
    return value.packed.ljust(16, b"\0")


def _read_address(octets: bytes, family: int) -> Address:
    return ip_address(octets[:4] if family == AF[4] else octets[:16])


# Selectors and policies ---------------------------------------------------------------------------

_SELECTOR: Final = struct.Struct("=16s16s2s2s2s2sHBBB3xiI")
_POLICY_TAIL: Final = struct.Struct("=IIBBBB4x")
_LIFETIME: Final = struct.Struct("=8Q")
_CURRENT: Final = struct.Struct("=4Q")
_FOREVER: Final = _LIFETIME.pack(*[UNLIMITED] * 4, *[0] * 4)
POLICY_OCTETS: Final = 168


def selector(flow: Flow, direction: Direction) -> bytes:
    """Return an xfrm_selector: a flow as it is seen from here, turned round for what comes in."""
    local = address(flow.local[0]), flow.local.prefixlen, flow.local_port
    peer = address(flow.peer[0]), flow.peer.prefixlen, flow.peer_port
    source, target = (local, peer) if direction is Direction.OUT else (peer, local)
    ports = (value.to_bytes(2) for port in (target[2], source[2]) for value in port)
    return _SELECTOR.pack(
        target[0],
        source[0],
        *ports,
        AF[flow.local.version],
        target[1],
        source[1],
        flow.protocol,
        0,
        0,
    )


@dataclass(frozen=True, slots=True)
class Template:
    """What a policy asks for (xfrm_user_tmpl); addresses None are any, an SPI of 0 too.

    One that `is_optional` lets pass in what its SA did not touch.
    """

    version: int
    mode: Mode
    reqid: int
    local: Address | None = None
    peer: Address | None = None
    spi: int = 0
    protocol: int = ESP
    is_optional: bool = False

    def pack(self, direction: Direction) -> bytes:
        """Return the structure: source and destination are those of the outer packet."""
        ends = (self.local, self.peer)
        source, target = ends if direction is Direction.OUT else reversed(ends)
        return struct.pack(
            "=16s4sB3xHxx16sIBBBxIII",
            address(target) if target else bytes(16),
            self.spi.to_bytes(4),
            self.protocol,
            AF[self.version],
            address(source) if source else bytes(16),
            self.reqid,
            _MODES[self.mode],
            0,
            int(self.is_optional),
            *[_ALL_ALGORITHMS] * 3,
        )


def policy(
    flow: Flow, direction: Direction, priority: int, templates: tuple[Template, ...], if_id: int
) -> bytes:
    """Return a policy that wants SAs, the innermost first (xfrm_userpolicy_info and more)."""
    tail = _POLICY_TAIL.pack(priority, 0, direction, 0, 0, 0)
    fixed = selector(flow, direction) + _FOREVER + bytes(_CURRENT.size) + tail
    asked = attribute(Attribute.TMPL, b"".join(each.pack(direction) for each in templates))
    return fixed + asked + number(Attribute.IF_ID, if_id)


def plain_policy(flow: Flow, direction: Direction, priority: int, *, is_blocked: bool) -> bytes:
    """Return a policy that lets packets of every interface but ours pass as they are, or none."""
    tail = _POLICY_TAIL.pack(priority, 0, direction, int(is_blocked), 0, 0)
    return selector(flow, direction) + _FOREVER + bytes(_CURRENT.size) + tail


def policy_name(flow: Flow, direction: Direction, if_id: int) -> bytes:
    """Return what names a policy (xfrm_userpolicy_id)."""
    named = selector(flow, direction) + struct.pack("=IB3x", 0, direction)
    return named + number(Attribute.IF_ID, if_id)


@dataclass(frozen=True, slots=True)
class FoundPolicy:
    """A policy as the kernel tells of it: what names it, whose it is, and its place."""

    name: bytes
    if_id: int
    priority: int

    @classmethod
    def read(cls, octets: bytes) -> "FoundPolicy":
        """Read an xfrm_userpolicy_info and its attributes."""
        at = _SELECTOR.size + _LIFETIME.size + _CURRENT.size
        priority, index, direction = struct.unpack_from("=IIB", octets, at)
        tie = attributes(octets[POLICY_OCTETS:]).get(Attribute.IF_ID, bytes(4))
        named = octets[: _SELECTOR.size] + struct.pack("=IB3x", index, direction)
        (if_id,) = struct.unpack("=I", tie)
        return cls(named + attribute(Attribute.IF_ID, tie), if_id, priority)


# SAs ----------------------------------------------------------------------------------------------

_SA: Final = struct.Struct("=56s16s4sB3x16s64s32s12sIIHBBB7x")
SA_OCTETS: Final = _SA.size


@dataclass(frozen=True, slots=True)
class Sa:
    """One SA. `source` and `target` are of the outer packets; `mark` is put on what it makes.

    It pads inner packets up to `pad_to` octets (RFC 4303 §2.7), at most to the MTU of the path.
    Outer packets have the DF and DSCP of inner ones, but for those that are `is_fragmentable` or
    that `hides_dscp`.
    """

    spi: int
    source: Endpoint
    target: Endpoint
    mode: Mode
    reqid: int
    is_in_udp: bool
    has_esn: bool
    window: int
    limits: Limits
    algorithms: bytes
    if_id: int
    mark: int = 0
    protocol: int = ESP
    pad_to: int = 0
    is_fragmentable: bool = False
    hides_dscp: bool = False

    @property
    def name(self) -> bytes:
        """What names it (xfrm_usersa_id)."""
        return _sa_name(self.target.address, self.spi, self.protocol)

    @property
    def _flags(self) -> int:
        """RFC 4302 §2.6: AH is aligned to 4 octets over IPv4, which the kernel does when asked."""
        is_aligned = self.protocol == AH and self.target.address.version == 4
        return (
            (_ESN_FLAG if self.has_esn else 0)
            | (_ALIGN4_FLAG if is_aligned else 0)
            | (_NO_PATH_MTU_FLAG if self.is_fragmentable else 0)
        )

    def is_but_for_ports(self, other: "Sa") -> bool:
        """Whether it differs from another one in the ports of its encapsulation at most."""
        here, there = self.source.address, self.target.address
        is_there = (here, there) == (other.source.address, other.target.address)
        return is_there and replace(other, source=self.source, target=self.target) == self

    def pack(self, before: "Found | None" = None, jump: int = 0) -> bytes:
        """Return the SA (xfrm_usersa_info).

        `before` is what it was at another place: it goes on from there, so many numbers ahead.
        """
        family = AF[self.target.address.version]
        limits = self.limits
        ends = (
            limits.soft_octets,
            limits.hard_octets,
            limits.soft_packets,
            limits.hard_packets,
        )
        # Only in transport mode an SA is for one family (`Only tunnel modes can ...`).
        inner = family if self.mode is Mode.TRANSPORT else 0
        fixed = _SA.pack(
            bytes(40) + struct.pack("=H", inner) + bytes(14),
            address(self.target.address),
            self.spi.to_bytes(4),
            self.protocol,
            address(self.source.address),
            _LIFETIME.pack(*(limit or UNLIMITED for limit in ends), *[0] * 4),
            bytes(32),
            bytes(12),
            0,
            self.reqid,
            family,
            _MODES[self.mode],
            0,
            self._flags,
        )
        return fixed + self.algorithms + self._more(before, jump)

    def _more(self, before: "Found | None", jump: int) -> bytes:
        octets = number(Attribute.IF_ID, self.if_id)
        if self.mark:
            octets += number(Attribute.SET_MARK, self.mark)
        if self.pad_to:
            octets += number(Attribute.TFCPAD, self.pad_to)
        if self.hides_dscp:
            octets += number(Attribute.SA_EXTRA_FLAGS, _KEEP_DSCP)
        if self.window:
            words = (self.window + 31) // 32
            sequence = struct.pack(f"=6I{words * 4}x", words, 0, 0, 0, 0, self.window)
            if before is not None and before.sequence is not None:
                sequence = advanced(before.sequence, jump)
            octets += attribute(Attribute.REPLAY_ESN_VAL, sequence)
        if before is not None:
            octets += attribute(Attribute.LTIME_VAL, before.lifetime)
        if self.is_in_udp:
            ports = self.source.port.to_bytes(2) + self.target.port.to_bytes(2)
            how = struct.pack("=H", _ESP_IN_UDP) + ports + bytes(2 + 16)
            octets += attribute(Attribute.ENCAP, how)
        return octets


def advanced(sequence: bytes, packets: int) -> bytes:
    """Return the state of an SA as if it had sent so many packets more (xfrm_replay_state_esn)."""
    words, low, seen, high, seen_high, window = struct.unpack_from("=6I", sequence)
    total = (high << 32 | low) + packets
    head = struct.pack("=6I", words, total & 0xFFFFFFFF, seen, total >> 32, seen_high, window)
    return head + sequence[24:]


@dataclass(frozen=True, slots=True)
class Found:
    """An SA as the kernel tells of it."""

    target: Address
    spi: int
    octets: int
    packets: int
    if_id: int
    lifetime: bytes
    sequence: bytes | None
    protocol: int = ESP

    @classmethod
    def read(cls, octets: bytes, attributes_at: int = SA_OCTETS) -> "Found":
        """Read an xfrm_usersa_info and its attributes."""
        fields = _SA.unpack_from(octets)
        carried, packets, _, _ = _CURRENT.unpack(fields[6])
        more = attributes(octets[attributes_at:])
        (if_id,) = struct.unpack("=I", more.get(Attribute.IF_ID, bytes(4)))
        target, spi = _read_address(fields[1], fields[10]), int.from_bytes(fields[2])
        sequence = more.get(Attribute.REPLAY_ESN_VAL)
        return cls(target, spi, carried, packets, if_id, fields[6], sequence, fields[3])

    @classmethod
    def nothing(cls, sa: Sa) -> "Found":
        """Return an SA that has carried nothing."""
        unused = bytes(_CURRENT.size)
        return cls(sa.target.address, sa.spi, 0, 0, sa.if_id, unused, None, sa.protocol)

    @property
    def name(self) -> bytes:
        """What names it (xfrm_usersa_id)."""
        return _sa_name(self.target, self.spi, self.protocol)


def _sa_name(target: Address, spi: int, protocol: int) -> bytes:
    return address(target) + spi.to_bytes(4) + struct.pack("=HBx", AF[target.version], protocol)


# What the kernel tells of by itself ---------------------------------------------------------------


def read_expiry(octets: bytes) -> tuple[Found, bool]:
    """Return which SA has come to a limit, and whether that was the hard one (xfrm_user_expire)."""
    return Found.read(octets, SA_OCTETS + 8), octets[SA_OCTETS] != 0


def read_acquire(octets: bytes) -> tuple[bytes, bytes]:
    """Return the selectors of a packet and of the policy that it met (xfrm_user_acquire)."""
    packet = octets[40:96]
    return packet, octets[96 : 96 + _SELECTOR.size]


def read_mapping(octets: bytes) -> tuple[int, Endpoint]:
    """Return the inbound SPI, and where its packets come from now (xfrm_user_mapping)."""
    spi = int.from_bytes(octets[16:20])
    (family,) = struct.unpack_from("=H", octets, 20)
    return spi, Endpoint(_read_address(octets[44:60], family), int.from_bytes(octets[62:64]))


@dataclass(frozen=True, slots=True)
class Packet:
    """A packet's selector, as it leaves."""

    source: Address
    target: Address
    protocol: int
    source_port: int
    target_port: int

    @classmethod
    def read(cls, octets: bytes) -> "Packet":
        """Read an xfrm_selector."""
        target, source, to, _, from_, _, family, _, _, protocol, _, _ = _SELECTOR.unpack(octets)
        ends = _read_address(source, family), _read_address(target, family)
        return cls(*ends, protocol, int.from_bytes(from_), int.from_bytes(to))
