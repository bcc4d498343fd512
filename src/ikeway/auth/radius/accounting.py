# SPDX-License-Identifier: Apache-2.0
"""What the RADIUS server is told of a session: its start, its course and its end (RFC 2866)."""

from dataclasses import dataclass
from typing import Final

from ikeway.auth.radius.packet import Address, Attribute, of_address
from ikeway.auth.radius.registry import (
    ACCT_AUTHENTIC_RADIUS,
    AcctStatus,
    AttributeType,
    TerminateCause,
)
from ikeway.auth.radius.visit import Visit

INTERIM_SECONDS_LEAST: Final = 60
"""RFC 2869 §2.1: a server that wants updates more often gets them so often."""
_WORD: Final = 1 << 32


@dataclass(frozen=True, slots=True)
class Session:
    """A session that was let in. `classes` go back as they came (RFC 2865 §5.25)."""

    visit: Visit
    user: bytes
    addresses: tuple[Address, ...] = ()
    classes: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Usage:
    """What a session has used. Input is what the user sent, in octets of the inner packets."""

    seconds: int
    octets_in: int = 0
    octets_out: int = 0
    packets_in: int = 0
    packets_out: int = 0


def start(session: Session) -> tuple[Attribute, ...]:
    """Return the attributes that open the session's account."""
    return _of(session, AcctStatus.START)


def interim(session: Session, usage: Usage) -> tuple[Attribute, ...]:
    """Return the attributes of an update: everything since the start (RFC 2869 §2.1)."""
    return (*_of(session, AcctStatus.INTERIM_UPDATE), *_used(usage))


def stop(session: Session, usage: Usage, cause: TerminateCause) -> tuple[Attribute, ...]:
    """Return the attributes that close the account, with why it ended."""
    ended = Attribute.number(AttributeType.ACCT_TERMINATE_CAUSE, cause)
    return (*_of(session, AcctStatus.STOP), *_used(usage), ended)


def power(status: AcctStatus, nas: str, session: str) -> tuple[Attribute, ...]:
    """Return the attributes of Accounting-On or -Off: no session of before lives (§5.1)."""
    return (
        Attribute.number(AttributeType.ACCT_STATUS_TYPE, status),
        Attribute.text(AttributeType.NAS_IDENTIFIER, nas),
        Attribute.text(AttributeType.ACCT_SESSION_ID, session),
    )


def delayed(attributes: tuple[Attribute, ...], seconds: int) -> tuple[Attribute, ...]:
    """Return a request as it is sent again, `seconds` after what it tells of (§5.2)."""
    return (*attributes, Attribute.number(AttributeType.ACCT_DELAY_TIME, seconds))


def _of(session: Session, status: AcctStatus) -> tuple[Attribute, ...]:
    return (
        Attribute.number(AttributeType.ACCT_STATUS_TYPE, status),
        Attribute(AttributeType.USER_NAME, session.user),
        *session.visit.attributes(),
        Attribute.number(AttributeType.ACCT_AUTHENTIC, ACCT_AUTHENTIC_RADIUS),
        *(
            of_address(AttributeType.FRAMED_IP_ADDRESS, AttributeType.FRAMED_IPV6_ADDRESS, one)
            for one in session.addresses
        ),
        *(Attribute(AttributeType.CLASS, one) for one in session.classes),
    )


def _used(usage: Usage) -> tuple[Attribute, ...]:
    counts = (
        (AttributeType.ACCT_SESSION_TIME, usage.seconds),
        (AttributeType.ACCT_INPUT_OCTETS, usage.octets_in % _WORD),
        (AttributeType.ACCT_INPUT_GIGAWORDS, usage.octets_in // _WORD),
        (AttributeType.ACCT_OUTPUT_OCTETS, usage.octets_out % _WORD),
        (AttributeType.ACCT_OUTPUT_GIGAWORDS, usage.octets_out // _WORD),
        (AttributeType.ACCT_INPUT_PACKETS, usage.packets_in % _WORD),
        (AttributeType.ACCT_OUTPUT_PACKETS, usage.packets_out % _WORD),
    )
    return tuple(Attribute.number(kind, value) for kind, value in counts)
