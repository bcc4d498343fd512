# SPDX-License-Identifier: Apache-2.0
"""EAP through a RADIUS server: what is asked, and what an answer comes to (RFC 3579 §2)."""

import ipaddress
from dataclasses import dataclass
from typing import Final, TypeAlias

from ikeway.auth.radius.mppe import master_session_key
from ikeway.auth.radius.packet import Address, Attribute, Packet, split
from ikeway.auth.radius.registry import AttributeType, Code
from ikeway.auth.radius.visit import Visit
from ikeway.model.errors import MalformedError
from ikeway.model.secret import Secret

USER_OCTETS_MOST: Final = 253
EAP_OCTETS_MOST: Final = 1400
"""Framed-MTU: how long an EAP packet may be, so that IKE_AUTH needs few fragments (§2.4)."""

_EAP_REQUEST: Final = 1
_EAP_SUCCESS: Final = 3
_EAP_FAILURE: Final = 4
_ANY_ADDRESS: Final = frozenset({"255.255.255.255", "255.255.255.254"})
"""Framed-IP-Address: the user, or the gateway, may choose (RFC 2865 §5.8)."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """The conversation goes on. `state` goes back with the peer's response, unchanged."""

    eap: bytes
    state: bytes | None


@dataclass(frozen=True, slots=True)
class Grant:
    """The user is let in, with what the server says about the session.

    `user` is the name for accounting where the server gives one. `groups` are Filter-Id and what of
    Class is text; `classes` is Class as it goes back in accounting. Times are in seconds.
    """

    eap: bytes
    msk: Secret | None
    user: str | None = None
    addresses: tuple[Address, ...] = ()
    groups: tuple[str, ...] = ()
    classes: tuple[bytes, ...] = ()
    session_timeout: int | None = None
    idle_timeout: int | None = None
    interim_interval: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """The user is not let in. `text` is what the server says to the user, if anything."""

    eap: bytes
    text: str = ""


Verdict: TypeAlias = Challenge | Grant | Refusal


def request(
    visit: Visit, user: bytes, eap: bytes, state: bytes | None = None
) -> tuple[Attribute, ...]:
    """Return the attributes of an Access-Request that carries the peer's EAP packet (§2.1, §3.1).

    `user` is the identity of the EAP-Response/Identity, in every request of the conversation.
    """
    return (
        Attribute(AttributeType.USER_NAME, user),
        *visit.attributes(),
        Attribute.number(AttributeType.FRAMED_MTU, EAP_OCTETS_MOST),
        *((Attribute(AttributeType.STATE, state),) if state is not None else ()),
        *split(AttributeType.EAP_MESSAGE, eap),
    )


def verdict(reply: Packet, asked: bytes, secret: Secret) -> Verdict:
    """Return what a genuine reply comes to. `asked` is the Access-Request's authenticator.

    Raises:
        MalformedError: it is no answer to an Access-Request, or code and EAP packet do not say the
            same: a proxy that turns Failure into Accept lets nobody in (§2.6.3).
    """
    eap = reply.joined(AttributeType.EAP_MESSAGE)
    match reply.code:
        case Code.ACCESS_CHALLENGE:
            _agree(reply, eap, _EAP_REQUEST)
            return Challenge(eap, reply.first(AttributeType.STATE))
        case Code.ACCESS_ACCEPT:
            _agree(reply, eap, _EAP_SUCCESS)
            return _grant(reply, eap, master_session_key(reply, asked, secret))
        case Code.ACCESS_REJECT:
            # A reject may come without EAP, from a proxy for instance; it is none the less one.
            if eap:
                _agree(reply, eap, _EAP_FAILURE)
            return Refusal(eap, reply.text(AttributeType.REPLY_MESSAGE) or "")
        case code:
            raise MalformedError(f"RADIUS {code.name} in answer to an Access-Request")


def _agree(reply: Packet, eap: bytes, code: int) -> None:
    if not eap or eap[0] != code:
        seen = f"EAP code {eap[0]}" if eap else "no EAP packet"
        raise MalformedError(f"RADIUS {reply.code.name} with {seen}, not EAP code {code}")


def _grant(reply: Packet, eap: bytes, msk: Secret | None) -> Grant:
    classes = reply.all(AttributeType.CLASS)
    named = (*reply.all(AttributeType.FILTER_ID), *classes)
    return Grant(
        eap,
        msk,
        user=reply.text(AttributeType.USER_NAME),
        addresses=_addresses(reply),
        groups=tuple(octets.decode() for octets in named if _is_text(octets)),
        classes=classes,
        session_timeout=reply.number(AttributeType.SESSION_TIMEOUT),
        idle_timeout=reply.number(AttributeType.IDLE_TIMEOUT),
        interim_interval=reply.number(AttributeType.ACCT_INTERIM_INTERVAL),
    )


def _addresses(reply: Packet) -> tuple[Address, ...]:
    """Return the addresses for the user: Framed-IP-Address, -IPv6-Address and -IPv6-Prefix.

    A prefix that is one address (/128) is it; of a longer one the gateway's peer gets ::1.
    """
    told = (
        reply.address(AttributeType.FRAMED_IP_ADDRESS),
        reply.address(AttributeType.FRAMED_IPV6_ADDRESS),
        _of_prefix(reply.first(AttributeType.FRAMED_IPV6_PREFIX)),
    )
    return tuple(one for one in told if one is not None and str(one) not in _ANY_ADDRESS)


def _of_prefix(value: bytes | None) -> Address | None:
    """Return the address that Framed-IPv6-Prefix stands for (RFC 3162 §2.3)."""
    if value is None:
        return None
    if not 2 <= len(value) <= 18 or value[1] > 128:
        raise MalformedError(f"FRAMED_IPV6_PREFIX of {len(value)} octets")
    length, prefix = value[1], value[2:].ljust(16, b"\0")
    first = int.from_bytes(prefix) & ~((1 << (128 - length)) - 1)
    return ipaddress.IPv6Address(first if length == 128 else first + 1)


def _is_text(octets: bytes) -> bool:
    try:
        return octets.decode().isprintable()
    except UnicodeDecodeError:
        return False
