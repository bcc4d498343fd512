# SPDX-License-Identifier: Apache-2.0
"""What policies ask of the host's packet filter, as an nftables script (RFC 4301 §4.4.1, §5).

Routing sends packets to the data plane, and knows neither the source of a datagram that is on its
way to get one nor a port in a fragment. The filter looks at whole packets at the end of it: what is
to be protected and leaves by another interface, or comes in by one, goes no further. It belongs to
the kernel and stays when we die.
"""

from collections.abc import Iterator
from typing import Final

from ikeway.model.address import IKE_PORT, NAT_PORT, OUTER_MARK
from ikeway.model.policies import Action, TrafficPolicy
from ikeway.model.selectors import PORT_MAX, TrafficSelector
from ikeway.runtime.network import Guard

_ICMP: Final = frozenset({1, 58})
_REFUSED: Final = "counter reject with icmpx type admin-prohibited"
_DROPPED: Final = "counter drop"
_LATE: Final = {4: "ip frag-off & 0x1fff != 0", 6: "frag frag-off != 0"}
_IKE: Final = f"{{ {IKE_PORT}, {NAT_PORT} }}"
_CHAINS: Final = """\
  chain output {{
    type filter hook output priority -10; policy accept;
    oifname "lo" accept
    meta mark {mark} accept
    udp sport {ike} accept
    meta l4proto {{ esp, ah }} accept
    icmpv6 type {{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert }} accept
    jump leaving
  }}
  chain forward {{
    type filter hook forward priority -10; policy accept;
    jump leaving
    jump arriving
  }}
  chain input {{
    type filter hook input priority -10; policy accept;
    iifname "lo" accept
    udp dport {ike} accept
    meta l4proto {{ esp, ah }} accept
    icmpv6 type {{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert }} accept
    jump arriving
  }}"""


def table(interface: str) -> str:
    """Return the name of the table of an interface."""
    return f"inet ikeway-{interface}"


def removal(interface: str) -> str:
    """Return the script that takes the table away, be it there or not."""
    name = table(interface)
    return f"table {name} {{\n}}\ndelete table {name}\n"


def ruleset(guard: Guard) -> str:
    """Return the script that puts a table with these policies in the place of the one before.

    The kernel takes it as a whole: there is no moment without one of both.
    """
    chains = _CHAINS.format(mark=OUTER_MARK, ike=_IKE)
    parts = [
        f"table {table(guard.interface)} {{",
        chains,
        *_chain("leaving", _leaving(guard)),
        *_chain("arriving", _arriving(guard)),
        "}",
    ]
    return removal(guard.interface) + "\n".join(parts) + "\n"


def _chain(name: str, rules: Iterator[str]) -> Iterator[str]:
    yield f"  chain {name} {{"
    yield from (f"    {rule}" for rule in rules)
    yield "  }"


def _leaving(guard: Guard) -> Iterator[str]:
    for policy in (*guard.policies, *guard.connections):
        yield from _rules(policy, f'oifname "{guard.interface}"', _REFUSED, is_leaving=True)


def _arriving(guard: Guard) -> Iterator[str]:
    """Connections of which our side is not known yet say nothing of what comes in."""
    known = (one for one in guard.connections if one.name not in guard.open)
    for policy in (*guard.policies, *known):
        yield from _rules(policy, f'iifname "{guard.interface}"', _DROPPED, is_leaving=False)


def _rules(policy: TrafficPolicy, inside: str, end: str, *, is_leaving: bool) -> Iterator[str]:
    """Yield the rules of a policy. `inside` is what is so of a packet that is protected.

    A later fragment does not show its ports: where they would matter it may be one to protect, and
    is taken for one (RFC 4301 §7).
    """
    named = f'{end} comment "{policy.name}"'
    for local, peer in policy.pairs:
        hosts = tuple(_hosts(local, peer, is_leaving=is_leaving))
        ports = _ports(local, peer, is_leaving=is_leaving)
        flow = " ".join([*hosts, *ports])
        match policy.action:
            case Action.BYPASS:
                yield f"{flow} return"
            case Action.DISCARD:
                yield f"{flow} {named}"
            case Action.PROTECT:
                yield f"{inside} {flow} return"
                yield f"{flow} {named}"
                if ports:
                    late = " ".join([inside.replace(" ", " != "), *hosts, _LATE[local.version]])
                    yield f"{late} {named}"


def _hosts(local: TrafficSelector, peer: TrafficSelector, *, is_leaving: bool) -> Iterator[str]:
    family = "ip" if local.version == 4 else "ip6"
    source, target = (local, peer) if is_leaving else (peer, local)
    yield f"meta nfproto ipv{local.version}"
    for word, side in (("saddr", source), ("daddr", target)):
        if (int(side.start), int(side.end)) != (0, 2**side.start.max_prefixlen - 1):
            ends = (side.start,) if side.start == side.end else (side.start, side.end)
            yield f"{family} {word} {'-'.join(map(str, ends))}"
    if protocol := local.protocol or peer.protocol:
        yield f"meta l4proto {protocol}"


def _ports(local: TrafficSelector, peer: TrafficSelector, *, is_leaving: bool) -> tuple[str, ...]:
    source, target = (local, peer) if is_leaving else (peer, local)
    if (local.protocol or peer.protocol) in _ICMP:
        return ()  # A type has a side that sends it, and here is for both.
    sides = (("sport", source), ("dport", target))
    return tuple(
        f"th {name} {side.port_start}-{side.port_end}" for name, side in sides if _is_narrow(side)
    )


def _is_narrow(side: TrafficSelector) -> bool:
    return not side.is_opaque and (side.port_start, side.port_end) != (0, PORT_MAX)
