# SPDX-License-Identifier: Apache-2.0
"""Payloads in words: their names on a rung, and what is interesting in them (RFC 7296 §3)."""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ikeway.crypto import certificate
from ikeway.crypto.names import name_text
from ikeway.model.errors import AuthenticationError
from ikeway.model.identity import IdType
from ikeway.trace import notifies
from ikeway.trace.chain import Broken, Part
from ikeway.trace.notifies import octets
from ikeway.wire import notation
from ikeway.wire.payloads import (
    Authentication,
    Certificate,
    CertificateRequest,
    CfgAttributeValue,
    Configuration,
    Delete,
    Eap,
    Identification,
    KeyExchange,
    Nonce,
    Notify,
    Proposal,
    SecurityAssociation,
    TrafficSelectors,
    Transform,
    Unknown,
    VendorId,
)
from ikeway.wire.registry import CertEncoding, CfgAttribute, PayloadType, ProtocolId
from ikeway.wire.transforms import TransformType

_EAP_CODES: Final = {1: "request", 2: "response", 3: "success", 4: "failure"}
_EAP_TYPES: Final = {
    1: "Identity",
    2: "Notification",
    3: "Nak",
    4: "MD5",
    6: "GTC",
    13: "TLS",
    18: "SIM",
    21: "TTLS",
    23: "AKA",
    25: "PEAP",
    26: "MSCHAPv2",
    50: "AKA'",
    52: "PWD",
}
_ADDRESS_4: Final = {
    CfgAttribute.INTERNAL_IP4_ADDRESS,
    CfgAttribute.INTERNAL_IP4_NETMASK,
    CfgAttribute.INTERNAL_IP4_DNS,
    CfgAttribute.INTERNAL_IP4_NBNS,
    CfgAttribute.INTERNAL_IP4_DHCP,
}
_TEXT: Final = {CfgAttribute.APPLICATION_VERSION, CfgAttribute.INTERNAL_DNS_DOMAIN}


def name(part: Part) -> str:
    """Return a payload's name in the notation of RFC 7296 §1.2."""
    match part:
        case Broken(kind):
            return f"{kind.name}!" if kind else "…!"
        case _:
            return notation.name(part)


def details(part: Part, *, is_answer: bool = False) -> Iterator[str]:
    """Yield what is interesting in a payload, a line each; nothing where its name says it all.

    The proposal of an answer is the one that was chosen.
    """
    match part:
        case Broken(PayloadType.NONE, data, reason):
            yield f"{reason}: {octets(data)}"
        case Broken(kind, data, reason):
            yield f"{kind.name} is malformed: {reason}; {octets(data)}"
        case SecurityAssociation():
            for proposal in part.proposals:
                yield f"SA {'chosen: ' if is_answer else ''}{_proposal(proposal)}"
        case TrafficSelectors():
            selectors = ", ".join(str(one) for one in part.parts)
            yield f"{name(part)} {selectors}"
        case Configuration():
            listed = ", ".join(_attribute(one) for one in part.attributes)
            yield f"CP {part.type.name} {listed}"
        case Certificate():
            yield from _certificate(part)
        case Notify() if part.data or part.spi or int(part.type) < _STATUS:
            yield f"N {notifies.describe(part)}"
        case _:
            yield from _short(part)


_STATUS: Final = 16384
"""The first notify type that is no error (RFC 7296 §3.10.1)."""


def _short(part: Part) -> Iterator[str]:
    match part:
        case Identification():
            yield f"{name(part)} {_identity(part)}"
        case KeyExchange():
            yield f"KE {part.method.name}, {len(part.data)} octets"
        case Nonce():
            yield f"Nonce {len(part.data)} octets"
        case Authentication():
            yield f"AUTH {part.method.name}, {len(part.data)} octets"
        case CertificateRequest():
            yield f"CERTREQ {part.encoding.name}, {len(part.hashes)} authorities"
        case Delete():
            spis = ", ".join(spi.hex() for spi in part.spis)
            yield f"D {part.protocol.name} {spis}".rstrip()
        case Eap():
            yield f"EAP {_eap(part)}"
        case VendorId():
            yield f"V {_text_or_octets(part.data)}"
        case Unknown():
            yield f"payload {int(part.type)}, {octets(part.data)}"
        case _:
            pass


def _proposal(one: Proposal) -> str:
    spi = f" spi {one.spi.hex()}" if one.spi else ""
    by_type: dict[TransformType, list[str]] = {}
    for transform in one.transforms:
        by_type.setdefault(transform.type, []).append(_transform(transform))
    suite = " / ".join(" ".join(names) for names in by_type.values())
    return f"proposal {one.number} {_PROTOCOLS.get(one.protocol, one.protocol.name)}{spi}: {suite}"


_PROTOCOLS: Final = {ProtocolId.IKE: "IKE", ProtocolId.ESP: "ESP", ProtocolId.AH: "AH"}


def _transform(one: Transform) -> str:
    return f"{one.label}_{one.key_bits}" if one.key_bits else one.label


def _identity(part: Identification) -> str:
    if part.type is IdType.DER_ASN1_DN:
        return f"{part.type.name} {name_text(part.data)}"
    return f"{part.type.name} {part.identity}"


def _certificate(part: Certificate) -> Iterator[str]:
    if part.encoding is not CertEncoding.X509_SIGNATURE:
        yield f"CERT {part.encoding.name}, {len(part.data)} octets"
        return
    try:
        read = certificate.Certificate.of(part.data)
        validity = f"{read.not_before:%F} to {read.not_after:%F}"
    except (AuthenticationError, ValueError) as error:  # pyca reads some parts late
        yield f"CERT {part.encoding.name}, {len(part.data)} octets: {error}"
        return
    names = ", ".join(str(one) for one in read.sans)
    yield f"CERT {read.subject or 'without a subject'}" + (f" ({names})" if names else "")
    yield f"     issued by {read.issuer}, valid {validity}"


def _attribute(one: CfgAttributeValue) -> str:
    title = one.type.name.removeprefix("INTERNAL_")
    if not one.value:
        return f"{title} ?"
    return f"{title} {_value(one)}"


def _value(one: CfgAttributeValue) -> str:
    value, size = one.value, len(one.value)
    if one.type in _ADDRESS_4 and size == 4:
        return str(IPv4Address(value))
    if one.type is CfgAttribute.INTERNAL_IP4_SUBNET and size == 8:
        return f"{IPv4Address(value[:4])}/{IPv4Address(value[4:])}"
    if one.type is CfgAttribute.INTERNAL_IP6_DNS and size == 16:
        return str(IPv6Address(value))
    if size == 17 and value[16] <= 128:
        return f"{IPv6Address(value[:16])}/{value[16]}"
    return _text_or_octets(value) if one.type in _TEXT else octets(value)


def _eap(part: Eap) -> str:
    code = _EAP_CODES.get(part.code, f"code {part.code}")
    if len(part.data) < 5:
        return f"{code} {part.identifier}"
    kind = part.data[4]
    text = f"{code} {part.identifier} {_EAP_TYPES.get(kind, f'type {kind}')}"
    if kind == 1 and part.code == 2:
        text += f" {part.data[5:].decode('utf-8', 'backslashreplace')!r}"
    return text


def _text_or_octets(data: bytes) -> str:
    text = data.decode("ascii", "replace")
    return repr(text) if data and text.isprintable() and "\ufffd" not in text else octets(data)
