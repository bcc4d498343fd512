# SPDX-License-Identifier: Apache-2.0
"""What an IKE SA remembers about where both sides are (RFC 4555 §3; RFC 7296 §2.23)."""

import math
from dataclasses import dataclass, replace
from typing import Final

from ikeway.ike.features import mobike
from ikeway.ike.session import Session
from ikeway.model.address import Address, Endpoint, Path
from ikeway.model.time import Instant, Seconds
from ikeway.policy.connection import Connection
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify

FOLLOW_EVERY: Final[Seconds] = 1.0
"""A peer that is followed without MOBIKE is not followed again before: moves cost work (I5)."""

PROBE_AFTER: Final = 2
"""How often a request is sent over the path in use before the other paths are tried as well."""

RETRIES_MOST: Final = 5
"""How often an update is told anew that somebody changed on the way (RFC 4555 §3.9)."""


@dataclass(frozen=True, slots=True)
class Mobility:
    """Both sides' addresses, and how far the last move has come.

    `chooses` is whether we started the first IKE SA: a rekey by the peer does not change who is
    the mobile side (RFC 4555 §2.1). `addresses` are ours; `peer_addresses` the peer's besides the
    one in use, for failover only. `told` is what the peer knows of ours, None if that is not sure.
    `moves` counts our changes of path: what an answer to an older update says does not count any
    more. `newest_update` and `newest_list` are message IDs of the peer's: an older request that
    comes later changes nothing. `mapping` is how the peer last saw us, as a
    NAT_DETECTION_DESTINATION_IP hash. `probes` are paths that are being tried, `avoided` those that
    failed or were refused, until our addresses change. `retries` counts updates that a NAT seemed
    to have changed. `followed_at` is when the peer was last followed without MOBIKE.
    """

    chooses: bool = False
    addresses: tuple[Address, ...] = ()
    peer_addresses: tuple[Address, ...] = ()
    told: tuple[Address, ...] | None = ()
    moves: int = 0
    newest_update: int = -1
    newest_list: int = -1
    mapping: bytes = b""
    probes: tuple[Path, ...] = ()
    avoided: tuple[Path, ...] = ()
    retries: int = 0
    followed_at: Instant = -math.inf

    def others(self, connection: Connection, local: Address) -> tuple[Address, ...]:
        """Return our addresses besides the one in use that the peer may be told of (§3.4)."""
        if connection.local_address is not None:
            return ()
        return others(connection, self.addresses, local)

    def succeeded(self) -> "Mobility":
        """Return what the successor of the IKE SA knows: its message IDs and SPIs are new."""
        return replace(self, newest_update=-1, newest_list=-1, mapping=b"", probes=())


# The beginning, in IKE_AUTH (RFC 4555 §3.2-3.4) ---------------------------------------------------


def announce(
    session: Session, connection: Connection, path: tuple[Endpoint, Endpoint]
) -> tuple[Notify, ...]:
    """Return what our half of IKE_AUTH says, which goes over this path."""
    if not connection.does_mobike:
        return ()
    fresh = Mobility(addresses=session.env.addresses)
    return mobike.support(session.agreed.nat, path, fresh.others(connection, path[0].address))


def learn(connection: Connection, message: Message) -> bool:
    """Whether both sides want MOBIKE; `message` is the peer's."""
    return connection.does_mobike and mobike.is_supported(message)


def begin(session: Session, connection: Connection, message: Message) -> Mobility:
    """Return where both sides are once they have told each other."""
    link = session.link
    fresh = Mobility(chooses=link.is_initiator, addresses=session.env.addresses)
    if not session.agreed.mobike:
        return fresh
    known = dict.fromkeys((link.peer.address, *mobike.addresses(message)))
    told = fresh.others(connection, link.local.address)
    return replace(fresh, peer_addresses=tuple(known), told=told)


def others(
    connection: Connection, addresses: tuple[Address, ...], local: Address
) -> tuple[Address, ...]:
    """Return the addresses that the peer may be told of besides `local`.

    An address inside a network that the connection protects is reached through the tunnel, not
    outside of it.
    """
    inside = [t.network for t in connection.local_ts if t.network and t.network.prefixlen > 0]
    found = [
        address
        for address in addresses
        if address != local and not any(address in network for network in inside)
    ]
    return tuple(found[: mobike.ADDRESSES_MOST])
