# SPDX-License-Identifier: Apache-2.0
"""Packets inside ESP in a few words, e.g. `10.66.0.2 > 10.1.0.1 TCP 40112 > 80 SYN`."""

from typing import Final

from ikeway.trace import aggfrag, ip

IPV4, IPV6, DUMMY, AGGFRAG = 4, 41, 59, 144
"""Next Header values of ESP in tunnel mode: also dummies (RFC 4303 §2.6), IP-TFS (RFC 9347)."""

ICMP, TCP, UDP, ICMPV6, SCTP = 1, 6, 17, 58, 132
_NAMES: Final = {
    ICMP: "ICMP",
    2: "IGMP",
    TCP: "TCP",
    UDP: "UDP",
    47: "GRE",
    50: "ESP",
    51: "AH",
    ICMPV6: "ICMPv6",
    89: "OSPF",
    108: "IPComp",
    SCTP: "SCTP",
}
_ICMP_TYPES: Final = {
    (ICMP, 0): "echo reply",
    (ICMP, 3): "unreachable",
    (ICMP, 8): "echo request",
    (ICMP, 11): "time exceeded",
    (ICMPV6, 1): "unreachable",
    (ICMPV6, 2): "packet too big",
    (ICMPV6, 3): "time exceeded",
    (ICMPV6, 128): "echo request",
    (ICMPV6, 129): "echo reply",
    (ICMPV6, 133): "router solicitation",
    (ICMPV6, 135): "neighbour solicitation",
    (ICMPV6, 136): "neighbour advertisement",
    (ICMPV6, 143): "multicast listener report",
}
_TCP_FLAGS: Final = ((0x02, "SYN"), (0x10, "ACK"), (0x01, "FIN"), (0x04, "RST"))


def describe(next_header: int, octets: bytes) -> str:
    """Return what an ESP packet carries, by its Next Header field."""
    if next_header == DUMMY:
        return "dummy packet"
    if next_header == AGGFRAG:
        return aggfrag.describe(octets)
    if next_header not in {IPV4, IPV6}:
        return f"{transport(next_header, octets)}, {len(octets)} octets"
    part = ip.read(octets)
    if part is None:
        return f"{len(octets)} octets that are no IP packet"
    what = (
        f"{_name(part.protocol)} fragment at {part.offset}"
        if part.offset
        else transport(part.protocol, part.payload)
    )
    return f"{part.source} > {part.destination} {what}, {len(octets)} octets"


def transport(protocol: int, octets: bytes) -> str:
    """Return the protocol with its ports, its type or its flags."""
    name = _name(protocol)
    if protocol in {ICMP, ICMPV6} and len(octets) >= 2:
        kind = _ICMP_TYPES.get((protocol, octets[0]), f"type {octets[0]} code {octets[1]}")
        return f"{name} {kind}"
    if protocol in {TCP, UDP, SCTP} and len(octets) >= 4:
        source, destination = int.from_bytes(octets[:2]), int.from_bytes(octets[2:4])
        flags = octets[13] if protocol == TCP and len(octets) > 13 else 0
        words = [word for bit, word in _TCP_FLAGS if flags & bit]
        return " ".join([f"{name} {source} > {destination}", *words])
    return name


def _name(protocol: int) -> str:
    return _NAMES.get(protocol, f"protocol {protocol}")
