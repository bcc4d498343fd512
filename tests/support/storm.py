# SPDX-License-Identifier: Apache-2.0
"""Bad weather on a cable, which counts what it takes."""

import json
from pathlib import Path
from typing import Final

from support.link import OUTER, Link
from support.steady import PING_OCTETS

PING_LENGTH: Final = PING_OCTETS + 92
"""The IPv4 length of such a ping in ESP in UDP: no other packet has it, so that losses are told."""

_RTO_MIN: Final = Path("/proc/sys/net/ipv4/tcp_rto_min_us")
_RTO_MICROSECONDS: Final = 20_000
"""With the kernel's own 200 ms TCP stalls for up to 1.5 s on such a cable, without any tunnel; so
it stalls for 0.4 s at most, where nobody else wants the processor."""
RTO_LEAST: Final = _RTO_MICROSECONDS / 1_000_000

_RULES: Final = """
table inet weather {{
  counter pings {{ }}
  counter lost_pings {{ }}
  counter lost_esp {{ }}
  counter lost_ike {{ }}
  chain ping {{
    counter name pings
    numgen random mod 100 < {percent} counter name lost_pings drop
    accept
  }}
  chain arriving {{
    type filter hook prerouting priority -300;
    iifname "{interface}" udp dport 4500 ip length {length} goto ping
    iifname "{interface}" udp dport 4500 @th,64,32 0 numgen random mod 100 < {percent} \
counter name lost_ike drop
    iifname "{interface}" udp dport 4500 @th,64,32 != 0 numgen random mod 100 < {percent} \
counter name lost_esp drop
    iifname "{interface}" udp dport 500 numgen random mod 100 < {percent} counter name lost_ike drop
  }}
}}
"""


class Weather:
    """Loses some of what arrives at either end of a cable, once it begins, and counts that.

    Only sockets that are made after it let TCP repeat soon what is lost.
    """

    def __init__(self, link: Link, percent: int) -> None:
        self._ends = (link.ours.namespace, link.peer.namespace)
        self._rules = _RULES.format(percent=percent, interface=OUTER, length=PING_LENGTH)
        for end in self._ends:
            # A batch that leaves as one frame would be lost as one, and counted as one.
            end.ip("link", "set", OUTER, "gso_max_segs", "1")
            end.inside(_hasten)

    def begin(self) -> None:
        """Lose something from now on."""
        for end in self._ends:
            end.run("nft", "-f", "-", input=self._rules)

    def count(self, name: str) -> int:
        """Return a counter, of both ends together: pings, lost_pings, lost_esp or lost_ike."""
        total = 0
        for end in self._ends:
            said = json.loads(end.run("nft", "-j", "list", "counter", "inet", "weather", name))
            total += next(e["counter"]["packets"] for e in said["nftables"] if "counter" in e)
        return total

    def calm(self) -> None:
        """Lose nothing more."""
        for end in self._ends:
            end.run("nft", "flush", "chain", "inet", "weather", "arriving")


def _hasten() -> None:
    """Let TCP repeat what is lost soon: what stalls it for long is not the cable."""
    _RTO_MIN.write_text(str(_RTO_MICROSECONDS))
