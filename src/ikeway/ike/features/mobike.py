# SPDX-License-Identifier: Apache-2.0
"""MOBIKE's notifies (RFC 4555 §3.2, §3.4, §3.9, §4): what we say about addresses, and read."""

from ipaddress import ip_address
from typing import Final

from ikeway.ike.features.nat_traversal import Nat
from ikeway.model.address import Address, Endpoint
from ikeway.model.errors import MalformedError, UnexpectedNatError
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

ADDRESSES_MOST: Final = 16
"""How many addresses of the other side are kept, and how many of ours are told."""

COOKIE_OCTETS: Final = range(8, 65)
OUR_COOKIE_OCTETS: Final = 16

_ADDITIONAL: Final = {
    NotifyType.ADDITIONAL_IP4_ADDRESS: 4,
    NotifyType.ADDITIONAL_IP6_ADDRESS: 16,
}
_KINDS: Final = {4: NotifyType.ADDITIONAL_IP4_ADDRESS, 6: NotifyType.ADDITIONAL_IP6_ADDRESS}
_LISTS: Final = frozenset({*_ADDITIONAL, NotifyType.NO_ADDITIONAL_ADDRESSES})


def support(
    nat: Nat, path: tuple[Endpoint, Endpoint], more: tuple[Address, ...]
) -> tuple[Notify, ...]:
    """Return what an IKE_AUTH message with an SA payload says; `more` are our other addresses."""
    additional = tuple(Notify(_KINDS[each.version], each.packed) for each in more)
    return (Notify(NotifyType.MOBIKE_SUPPORTED), *additional, *no_nats(nat, path))


def is_supported(message: Message) -> bool:
    """Whether the sender of an IKE_AUTH message does MOBIKE; the data is ignored (§4.2.1)."""
    return message.notify(NotifyType.MOBIKE_SUPPORTED) is not None


def listing(more: tuple[Address, ...]) -> tuple[Notify, ...]:
    """Return the whole list of our other addresses, for a request that replaces it (§3.6)."""
    if not more:
        return (Notify(NotifyType.NO_ADDITIONAL_ADDRESSES),)
    return tuple(Notify(_KINDS[each.version], each.packed) for each in more)


def has_listing(message: Message) -> bool:
    """Whether a message has a list of addresses, an empty one included."""
    return any(notify.type in _LISTS for notify in message.all(Notify))


def addresses(message: Message) -> tuple[Address, ...]:
    """Return the additional addresses of a message, none twice and not too many.

    One that has not the length of its family is none (§4.2.2).
    """
    found: dict[Address, None] = {}
    for notify in message.all(Notify):
        octets = _ADDITIONAL.get(notify.type)
        if octets is None or len(notify.data) != octets:
            continue
        found[ip_address(notify.data)] = None
    return tuple(found)[:ADDRESSES_MOST]


# NAT prohibition (§3.9) ---------------------------------------------------------------------------


def no_nats(nat: Nat, path: tuple[Endpoint, Endpoint]) -> tuple[Notify, ...]:
    """Return NO_NATS_ALLOWED for a message over this path, where there is no NAT traversal."""
    return () if nat.is_spoken else (Notify(NotifyType.NO_NATS_ALLOWED, _ends(*path)),)


def check_no_nats(message: Message, source: Endpoint, target: Endpoint) -> None:
    """Check NO_NATS_ALLOWED, if a message has it, against its IP and UDP headers.

    Raises:
        UnexpectedNatError: somebody changed the addresses on the way.
    """
    notify = message.notify(NotifyType.NO_NATS_ALLOWED)
    if notify is not None and notify.data != _ends(source, target):
        raise UnexpectedNatError(f"the peer allows no NAT, but one made {source} of its address")


def _ends(source: Endpoint, target: Endpoint) -> bytes:
    """Return both addresses, then both ports (§4.2.6)."""
    ports = source.port.to_bytes(2) + target.port.to_bytes(2)
    return source.address.packed + target.address.packed + ports


# Return routability (§3.7) ------------------------------------------------------------------------


def cookie(message: Message) -> tuple[Notify, ...]:
    """Return the COOKIE2 of a request as its response has to have it, or nothing.

    Raises:
        MalformedError: it is too short or too long (§4.2.5).
    """
    notify = message.notify(NotifyType.COOKIE2)
    if notify is None:
        return ()
    if len(notify.data) not in COOKIE_OCTETS:
        raise MalformedError(f"a COOKIE2 of {len(notify.data)} octets, not 8 to 64")
    return (Notify(NotifyType.COOKIE2, notify.data),)
