# SPDX-License-Identifier: Apache-2.0
"""What a RADIUS server may order: end a session, or change its time (RFC 5176)."""

from dataclasses import dataclass
from typing import Final, TypeAlias

from ikeway.auth.radius.packet import Address, Attribute, Packet
from ikeway.auth.radius.registry import AttributeType, Code, ErrorCause
from ikeway.model.errors import MalformedError

_IDENTIFIES: Final = frozenset(
    {
        AttributeType.USER_NAME,
        AttributeType.ACCT_SESSION_ID,
        AttributeType.CALLING_STATION_ID,
        AttributeType.FRAMED_IP_ADDRESS,
        AttributeType.FRAMED_IPV6_ADDRESS,
        AttributeType.NAS_PORT_ID,
    }
)
_AROUND: Final = frozenset(
    {
        AttributeType.NAS_IDENTIFIER,
        AttributeType.NAS_IP_ADDRESS,
        AttributeType.NAS_IPV6_ADDRESS,
        AttributeType.EVENT_TIMESTAMP,
        AttributeType.MESSAGE_AUTHENTICATOR,
        AttributeType.PROXY_STATE,
    }
)
_CHANGES: Final = frozenset({AttributeType.SESSION_TIMEOUT, AttributeType.IDLE_TIMEOUT})
EVENT_SECONDS_MOST: Final = 300
"""How old or new an order's Event-Timestamp may be (§3.5, §6.3)."""


@dataclass(frozen=True, slots=True)
class Which:
    """Which sessions an order is about: those that everything told here fits (§3)."""

    user: bytes | None = None
    session: str | None = None
    address: Address | None = None
    calling_station: str | None = None
    connection: str | None = None


@dataclass(frozen=True, slots=True)
class Disconnect:
    """End these sessions."""

    which: Which


@dataclass(frozen=True, slots=True)
class Change:
    """Let these sessions live so many seconds from now, or be idle no longer than that."""

    which: Which
    session_timeout: int | None
    idle_timeout: int | None


Order: TypeAlias = Disconnect | Change


class OrderRefusedError(MalformedError):
    """The order cannot be carried out; the server is told `cause`."""

    def __init__(self, cause: ErrorCause, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause


def read(packet: Packet, nas: str, now: int) -> Order:
    """Return what a genuine request orders. `nas` is our name, `now` in seconds since 1970.

    Raises:
        OrderRefusedError: it is for another gateway, old, about nothing, or wants what we lack.
    """
    _check_name(packet, nas)
    _check_time(packet, now)
    which = _which(packet)
    match packet.code:
        case Code.DISCONNECT_REQUEST:
            _check_types(packet, _IDENTIFIES | _AROUND)
            return Disconnect(which)
        case Code.COA_REQUEST:
            _check_types(packet, _IDENTIFIES | _AROUND | _CHANGES)
            return _change(packet, which)
        case code:
            raise OrderRefusedError(ErrorCause.INVALID_REQUEST, f"RADIUS {code.name} is no order")


def done(packet: Packet) -> Packet:
    """Return the acknowledgement of an order."""
    code = Code.DISCONNECT_ACK if packet.code is Code.DISCONNECT_REQUEST else Code.COA_ACK
    return Packet(code, packet.identifier, packet.authenticator, _proxied(packet))


def refused(packet: Packet, cause: ErrorCause) -> Packet:
    """Return the refusal of an order, with its Error-Cause (§3.5)."""
    code = Code.DISCONNECT_NAK if packet.code is Code.DISCONNECT_REQUEST else Code.COA_NAK
    why = Attribute.number(AttributeType.ERROR_CAUSE, cause)
    return Packet(code, packet.identifier, packet.authenticator, (why, *_proxied(packet)))


def _proxied(packet: Packet) -> tuple[Attribute, ...]:
    """Return the Proxy-State attributes, which go back as they came (§3.1)."""
    return tuple(one for one in packet.attributes if one.type is AttributeType.PROXY_STATE)


def _check_name(packet: Packet, nas: str) -> None:
    told = packet.text(AttributeType.NAS_IDENTIFIER)
    if told not in {None, nas}:
        raise OrderRefusedError(
            ErrorCause.NAS_IDENTIFICATION_MISMATCH, f"a RADIUS order for {told!r}, not {nas!r}"
        )


def _check_time(packet: Packet, now: int) -> None:
    told = packet.number(AttributeType.EVENT_TIMESTAMP)
    if told is not None and abs(now - told) > EVENT_SECONDS_MOST:
        raise OrderRefusedError(
            ErrorCause.INVALID_REQUEST, f"a RADIUS order that is {now - told} seconds old"
        )


def _check_types(packet: Packet, allowed: frozenset[AttributeType]) -> None:
    for one in packet.attributes:
        if one.type not in allowed:
            raise OrderRefusedError(
                ErrorCause.UNSUPPORTED_ATTRIBUTE, f"a RADIUS order with {one.type.name}"
            )


def _which(packet: Packet) -> Which:
    if not any(one.type in _IDENTIFIES for one in packet.attributes):
        raise OrderRefusedError(ErrorCause.MISSING_ATTRIBUTE, "a RADIUS order about no session")
    return Which(
        user=packet.first(AttributeType.USER_NAME),
        session=packet.text(AttributeType.ACCT_SESSION_ID),
        address=packet.address(AttributeType.FRAMED_IP_ADDRESS)
        or packet.address(AttributeType.FRAMED_IPV6_ADDRESS),
        calling_station=packet.text(AttributeType.CALLING_STATION_ID),
        connection=packet.text(AttributeType.NAS_PORT_ID),
    )


def _change(packet: Packet, which: Which) -> Change:
    session = packet.number(AttributeType.SESSION_TIMEOUT)
    idle = packet.number(AttributeType.IDLE_TIMEOUT)
    if session is None and idle is None:
        raise OrderRefusedError(ErrorCause.MISSING_ATTRIBUTE, "a RADIUS change of nothing")
    return Change(which, session, idle)
