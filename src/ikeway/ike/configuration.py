# SPDX-License-Identifier: Apache-2.0
"""Asking for and handing out virtual addresses (RFC 7296 §2.19, §3.15; RFC 8598)."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from ikeway.ike.questions import Leased
from ikeway.model.address import Address
from ikeway.model.errors import InternalAddressError
from ikeway.wire.payloads import CfgAttributeValue, Configuration
from ikeway.wire.registry import CfgAttribute, CfgType

IP6_PREFIX = 128
IP6_ADDRESS_OCTETS = 17


@dataclass(frozen=True, slots=True)
class Assigned:
    """What a CFG_REPLY gave us."""

    addresses: tuple[Address, ...] = ()
    dns: tuple[Address, ...] = ()
    domains: tuple[str, ...] = ()


def request(virtual_ips: tuple[Address, ...]) -> tuple[Configuration, ...]:
    """Return the CFG_REQUEST for these addresses (unspecified ones are any), or nothing."""
    if not virtual_ips:
        return ()
    attributes = [_ask(address) for address in virtual_ips]
    versions = {address.version for address in virtual_ips}
    if 4 in versions:
        attributes.append(CfgAttributeValue(CfgAttribute.INTERNAL_IP4_DNS, b""))
    if 6 in versions:
        attributes.append(CfgAttributeValue(CfgAttribute.INTERNAL_IP6_DNS, b""))
    attributes.append(CfgAttributeValue(CfgAttribute.INTERNAL_DNS_DOMAIN, b""))
    return (Configuration(CfgType.CFG_REQUEST, tuple(attributes)),)


def _ask(address: Address) -> CfgAttributeValue:
    value = b"" if address.is_unspecified else address.packed
    if address.version == 4:
        return CfgAttributeValue(CfgAttribute.INTERNAL_IP4_ADDRESS, value)
    if value:
        value += bytes([IP6_PREFIX])
    return CfgAttributeValue(CfgAttribute.INTERNAL_IP6_ADDRESS, value)


def wanted(asked: Configuration | None) -> tuple[Address, ...]:
    """Return the addresses that a CFG_REQUEST asks for; the unspecified address is any.

    Attributes that we do not know, or of a length that no rule allows, ask for nothing (§3.15.1).
    """
    if asked is None or asked.type is not CfgType.CFG_REQUEST:
        return ()
    found: dict[int, Address] = {}
    for attribute in asked.attributes:
        address = _address(attribute, default=True)
        if address is not None:
            found.setdefault(address.version, address)
    return tuple(found.values())


def _address(attribute: CfgAttributeValue, *, default: bool = False) -> Address | None:
    value = attribute.value
    if attribute.type is CfgAttribute.INTERNAL_IP4_ADDRESS:
        if not value and default:
            return IPv4Address(0)
        return IPv4Address(value) if len(value) == 4 else None
    if attribute.type is CfgAttribute.INTERNAL_IP6_ADDRESS:
        if not value and default:
            return IPv6Address(0)
        return IPv6Address(value[:16]) if len(value) in {16, IP6_ADDRESS_OCTETS} else None
    return None


def reply(asked: Configuration, leased: Leased) -> Configuration:
    """Return the CFG_REPLY that hands out what was leased.

    Raises:
        InternalAddressError: nothing could be leased.
    """
    if not leased.addresses:
        raise InternalAddressError("no address could be leased")
    attributes = [_give(address) for address in leased.addresses]
    versions = {address.version for address in leased.addresses}
    asked_for = {attribute.type for attribute in asked.attributes}
    for server in leased.dns:
        kind = (
            CfgAttribute.INTERNAL_IP4_DNS if server.version == 4 else CfgAttribute.INTERNAL_IP6_DNS
        )
        if kind in asked_for and server.version in versions:
            attributes.append(CfgAttributeValue(kind, server.packed))
    if CfgAttribute.INTERNAL_DNS_DOMAIN in asked_for:
        attributes += [
            CfgAttributeValue(CfgAttribute.INTERNAL_DNS_DOMAIN, domain.encode())
            for domain in leased.domains
        ]
    return Configuration(CfgType.CFG_REPLY, tuple(attributes))


def _give(address: Address) -> CfgAttributeValue:
    if address.version == 4:
        return CfgAttributeValue(CfgAttribute.INTERNAL_IP4_ADDRESS, address.packed)
    value = address.packed + bytes([IP6_PREFIX])
    return CfgAttributeValue(CfgAttribute.INTERNAL_IP6_ADDRESS, value)


def accept(answer: Configuration | None) -> Assigned:
    """Return what a CFG_REPLY assigns to us; unusable attributes are ignored (§3.15.1)."""
    if answer is None or answer.type is not CfgType.CFG_REPLY:
        return Assigned()
    addresses: dict[int, Address] = {}
    dns: list[Address] = []
    domains: list[str] = []
    for attribute in answer.attributes:
        address = _address(attribute)
        if address is not None:
            addresses.setdefault(address.version, address)
        elif (attribute.type is CfgAttribute.INTERNAL_IP4_DNS and len(attribute.value) == 4) or (
            attribute.type is CfgAttribute.INTERNAL_IP6_DNS and len(attribute.value) == 16
        ):
            dns.append(ip_address(attribute.value))
        elif attribute.type is CfgAttribute.INTERNAL_DNS_DOMAIN:
            domains.append(attribute.value.decode("utf-8", "replace"))
    return Assigned(tuple(addresses.values()), tuple(dns), tuple(domains))
