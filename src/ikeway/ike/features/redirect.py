# SPDX-License-Identifier: Apache-2.0
"""REDIRECT_SUPPORTED, REDIRECTED_FROM and REDIRECT (RFC 5685 §9): another gateway, by its name."""

from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ikeway.model.address import Address
from ikeway.model.errors import MalformedError
from ikeway.policy.connection import Connection, Gateway, Redirects
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import GatewayIdType, NotifyType

NAME_OCTETS: Final = 255
NONCE_OCTETS: Final = range(16, 257)
_KINDS: Final = frozenset({NotifyType.REDIRECT_SUPPORTED, NotifyType.REDIRECTED_FROM})


def offer(connection: Connection, origin: Address | None) -> tuple[Notify, ...]:
    """Return what a client says in its first request; `origin` is who sent it here (§3)."""
    if connection.redirect is not Redirects.ALLOW:
        return ()
    if origin is None:
        return (Notify(NotifyType.REDIRECT_SUPPORTED),)
    return (Notify(NotifyType.REDIRECTED_FROM, data(origin)),)


def learn(message: Message) -> bool:
    """Whether a client follows redirects; one that was redirected says so too (§3)."""
    return any(message.notify(kind) is not None for kind in _KINDS)


def data(gateway: Gateway, nonce: bytes = b"") -> bytes:
    """Return the data of a notify that names a gateway; the nonce is that of IKE_SA_INIT only."""
    if isinstance(gateway, str):
        kind, name = GatewayIdType.FQDN, gateway.encode()
    else:
        kind = GatewayIdType.IPV4_ADDR if gateway.version == 4 else GatewayIdType.IPV6_ADDR
        name = gateway.packed
    return bytes((kind, len(name))) + name + nonce


def read(octets: bytes) -> tuple[Gateway, bytes]:
    """Return the gateway that a REDIRECT names, and the nonce that comes with it.

    Raises:
        MalformedError: it names none.
    """
    name, nonce = octets[2 : 2 + octets[1]] if len(octets) > 1 else b"", octets[2:]
    nonce = nonce[len(name) :]
    if not name or len(name) != octets[1]:
        raise MalformedError("a REDIRECT that names no gateway")
    match GatewayIdType(octets[0]), len(name):
        case GatewayIdType.IPV4_ADDR, 4:
            return IPv4Address(name), nonce
        case GatewayIdType.IPV6_ADDR, 16:
            return IPv6Address(name), nonce
        case GatewayIdType.FQDN, _ if _is_name(name):
            return name.decode("ascii"), nonce
        case _:
            raise MalformedError(f"a REDIRECT to a gateway of type {octets[0]}, {len(name)} octets")


def _is_name(name: bytes) -> bool:
    """Whether it is a host name, and nothing that a resolver takes for more (RFC 1123 §2.1)."""
    allowed = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-"
    return all(octet in allowed for octet in name) and not name.startswith((b".", b"-"))
