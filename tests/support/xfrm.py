# SPDX-License-Identifier: Apache-2.0
"""Reads `ip -s xfrm state`: the ESP SAs of a kernel and what went through them."""

import re
from dataclasses import dataclass

from support.strongswan import PeerChild

_HEAD = re.compile(r"^src (\S+) dst (\S+)$")
_SPI = re.compile(r"spi (0x[0-9a-f]+)")
_CIPHER = re.compile(
    r"^\s+(?:aead|enc|auth-trunc|auth) (\S+) 0x[0-9a-f]+ \((\d+) bits\)", re.MULTILINE
)
_COUNTS = re.compile(r"lifetime current:\s+(\d+)\(bytes\), (\d+)\(packets\)")


@dataclass(frozen=True, slots=True)
class KernelSa:
    """One direction of a Child SA."""

    source: str
    target: str
    spi: int
    suite: str
    octets: int
    packets: int


def parse(text: str) -> list[KernelSa]:
    """Return the ESP SAs of a listing, as they stand there; an SA that is only asked for is none.

    That is what a kernel keeps while it waits for IKE: it has an SPI of 0 or no algorithm.
    """
    found: list[KernelSa] = []
    for part in re.split(r"(?m)^(?=src )", text):
        head, spi = _HEAD.match(part.split("\n", 1)[0]), _SPI.search(part)
        ciphers, counts = _CIPHER.findall(part), _COUNTS.search(part)
        if head is None or spi is None or counts is None or not ciphers:
            continue
        suite = "/".join(f"{name}-{bits}" for name, bits in ciphers)
        octets, packets = int(counts[1]), int(counts[2])
        found.append(KernelSa(head[1], head[2], int(spi[1], 16), suite, octets, packets))
    return found


def children(sas: list[KernelSa], address: str) -> list[PeerChild]:
    """Return Child SAs of the host with that address: each inbound SA with an outbound one."""
    inbound = [sa for sa in sas if sa.target == address]
    outbound = [sa for sa in sas if sa.source == address]
    return [
        PeerChild(
            state="INSTALLED",
            spi_in=into.spi,
            spi_out=out.spi,
            suite=into.suite,
            local_ts=frozenset(),
            remote_ts=frozenset(),
            packets_in=into.packets,
            packets_out=out.packets,
            octets_in=into.octets,
            octets_out=out.octets,
        )
        for into, out in zip(inbound, outbound, strict=False)
    ]
