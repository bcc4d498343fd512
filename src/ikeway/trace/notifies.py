# SPDX-License-Identifier: Apache-2.0
"""Notification data in words (RFC 7296 §3.10.1 and the extensions' documents)."""

from collections.abc import Callable
from ipaddress import IPv4Address, IPv6Address
from typing import Final

from ikeway.wire.payloads import Notify
from ikeway.wire.registry import (
    AuthMethod,
    GatewayIdType,
    HashAlgorithm,
    IpcompTransform,
    NotifyType,
    PayloadType,
    ProtocolId,
)
from ikeway.wire.transforms import KeMethod

_SHOWN: Final = 16
N = NotifyType


def describe(notify: Notify) -> str:
    """Return a notify with its SPI and its data, e.g. `INVALID_KE_PAYLOAD: wants CURVE25519`."""
    text = notify.type.name
    if notify.spi or notify.protocol is not ProtocolId.NONE:
        text += f" {notify.protocol.name} {notify.spi.hex()}".rstrip()
    data = _data(notify)
    return f"{text}: {data}" if data else text


def octets(data: bytes) -> str:
    """Return octets in hex, or their beginning and how many there are."""
    if len(data) <= _SHOWN:
        return data.hex()
    return f"{data[:_SHOWN].hex()}… ({len(data)} octets)"


def _data(notify: Notify) -> str:
    read = _READERS.get(notify.type, octets)
    try:
        return read(notify.data)
    except (ValueError, IndexError):
        return f"{octets(notify.data)}, which is malformed"


def _numbers(size: int, data: bytes) -> list[int]:
    if len(data) % size:
        raise ValueError(f"{len(data)} octets are no numbers of {size}")
    return [int.from_bytes(data[at : at + size]) for at in range(0, len(data), size)]


def _number(data: bytes) -> str:
    if not data:
        raise ValueError("no octets are no number")
    return str(int.from_bytes(data))


def _hashes(data: bytes) -> str:
    return ", ".join(HashAlgorithm(code).name for code in _numbers(2, data))


def _methods(data: bytes) -> str:
    """SUPPORTED_AUTH_METHODS, RFC 9593 §3.2: length, method, link, and an AlgorithmIdentifier."""
    names, at = [], 0
    while at < len(data):
        size = data[at]
        if size < 2:
            raise ValueError("an announcement without a method")
        names.append(AuthMethod(data[at + 1]).name)
        at += size
    return ", ".join(dict.fromkeys(names))


def _address(data: bytes) -> str:
    return str(IPv4Address(data) if len(data) == 4 else IPv6Address(data))


def _redirect(data: bytes) -> str:
    """REDIRECT, RFC 5685 §9.2: type and length of the gateway's identity."""
    kind, size = GatewayIdType(data[0]), data[1]
    name = data[2 : 2 + size]
    return f"to {name.decode()}" if kind.name == "FQDN" else f"to {_address(name)}"


def _ipcomp(data: bytes) -> str:
    return f"CPI {data[:2].hex()}, {IpcompTransform(data[2]).name}"


def _aggfrag(data: bytes) -> str:
    """USE_AGGFRAG, RFC 9347 §6.1.4: what its sender requires."""
    words = [
        word for bit, word in ((2, "congestion reports"), (1, "no fragments")) if data[0] & bit
    ]
    return ", ".join(words)


_READERS: Final[dict[NotifyType, Callable[[bytes], str]]] = {
    N.UNSUPPORTED_CRITICAL_PAYLOAD: lambda data: PayloadType(data[0]).name,
    N.INVALID_KE_PAYLOAD: lambda data: f"wants {KeMethod(int(_number(data))).name}",
    N.INVALID_MESSAGE_ID: _number,
    N.INVALID_MAJOR_VERSION: _number,
    N.SET_WINDOW_SIZE: _number,
    N.SIGNATURE_HASH_ALGORITHMS: _hashes,
    N.SUPPORTED_AUTH_METHODS: _methods,
    N.AUTH_LIFETIME: lambda data: f"{_number(data)} s",
    N.ADDITIONAL_IP4_ADDRESS: _address,
    N.ADDITIONAL_IP6_ADDRESS: _address,
    N.REDIRECT: _redirect,
    N.REDIRECTED_FROM: _redirect,
    N.IPCOMP_SUPPORTED: _ipcomp,
    N.USE_AGGFRAG: _aggfrag,
}
