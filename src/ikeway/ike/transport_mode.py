# SPDX-License-Identifier: Apache-2.0
"""Transport mode through NATs: whose addresses selectors name (RFC 7296 §2.23.1)."""

from dataclasses import dataclass, replace

from ikeway.ike.features.nat_traversal import Nat
from ikeway.model.address import Address, Endpoint
from ikeway.model.errors import SelectorsError
from ikeway.model.esp import OriginalAddresses
from ikeway.model.selectors import Selectors


@dataclass(frozen=True, slots=True)
class Seen:
    """Selectors with the addresses that this host sees, and those that stood there before."""

    local_ts: Selectors
    peer_ts: Selectors
    original: OriginalAddresses | None


def substitute(
    local_ts: Selectors, peer_ts: Selectors, nat: Nat, path: tuple[Endpoint, Endpoint]
) -> Seen:
    """Return the peer's selectors of both sides as this host sees them; `path` is local and peer.

    An address that a NAT changed is replaced by the one on the IKE packets, never by one that the
    peer made up: so whoever is behind a NAT gets traffic of its own outer address only.

    Raises:
        SelectorsError: a side names no or several addresses, where transport mode has one.
    """
    here, there = path[0].address, path[1].address
    named = OriginalAddresses(_single(local_ts), _single(peer_ts))
    local = _at(local_ts, here) if nat.local else local_ts
    peer = _at(peer_ts, there) if nat.peer else peer_ts
    is_changed = named != OriginalAddresses(here, there)
    return Seen(local, peer, named if is_changed else None)


def _single(selectors: Selectors) -> Address:
    addresses = {address for each in selectors for address in (each.start, each.end)}
    if len(addresses) != 1:
        raise SelectorsError("in transport mode each side has exactly one address (§2.23.1)")
    return addresses.pop()


def _at(selectors: Selectors, address: Address) -> Selectors:
    return tuple(replace(each, start=address, end=address) for each in selectors)
