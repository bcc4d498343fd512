# SPDX-License-Identifier: Apache-2.0
"""The shortest way from a request without a cookie to the answer that asks for one (RFC 7296 §2.6).

In a flood nearly all datagrams take it, so it makes few values on the way. What is odd takes the
long way, which says what is wrong with it. Sockets know this way too, in Rust, at a tenth of the
price: `rust/ikeway-io/src/door/challenge.rs` has the same rules, and a test compares both.
"""

from contextlib import suppress
from struct import Struct
from typing import Final

from ikeway.ike.cookies import Challenge
from ikeway.ike.opening import glance
from ikeway.model.errors import IntegrityError, MalformedError
from ikeway.wire.message import HEADER_OCTETS
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType

_ANSWER: Final = Struct("!8s8sBBBBIIBBHBBH")
"""The header, RFC 7296 §3.1, and the head of a Notify payload, §3.2 and §3.10."""
_VERSION: Final = 0x20
_RESPONSE: Final = 0x20
_NOTIFY_OCTETS: Final = 8
_COOKIE: Final = int(NotifyType.COOKIE)
_NOTIFY: Final = int(PayloadType.NOTIFY)
_SA: Final = int(PayloadType.SA)
_INIT: Final = int(ExchangeType.IKE_SA_INIT)
_FIRST: Final = tuple(
    bytes(8) + bytes((payload, _VERSION, _INIT, 0x08)) + bytes(4) for payload in (_SA, _NOTIFY)
)
"""What stands behind the SPI of a first request: it begins with its SA payload, or a cookie."""


def is_first(octets: bytes) -> bool:
    """Whether octets are an IKE_SA_INIT request that starts an IKE SA."""
    return (
        octets[8:24] in _FIRST
        and len(octets) > HEADER_OCTETS
        and int.from_bytes(octets[24:28]) == len(octets)
        and octets[:8] != bytes(8)
    )


def answer(request: bytes, source: bytes, challenge: Challenge) -> bytes | None:
    """Return the answer to a first request from `source` without a good cookie.

    None is for what is odd, what brings its cookie, and what is shorter than the answer: nobody
    gets more octets out of us than they sent.
    """
    if not is_first(request):
        return None
    try:
        opening = glance(request)
    except MalformedError:
        return None
    if opening.cookie:
        with suppress(IntegrityError):
            challenge.check(opening, source)
            return None
    made = ask(request, challenge.cookie(opening, source))
    return made if len(made) <= len(request) else None


def ask(request: bytes, cookie: bytes) -> bytes:
    """Return the answer to such a request."""
    size = _NOTIFY_OCTETS + len(cookie)
    head = (_NOTIFY, _VERSION, _INIT, _RESPONSE, 0, HEADER_OCTETS + size)
    notify = (0, 0, size, 0, 0, _COOKIE)
    return _ANSWER.pack(request[:8], bytes(8), *head, *notify) + cookie
