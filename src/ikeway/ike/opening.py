# SPDX-License-Identifier: Apache-2.0
"""What an IKE_SA_INIT request shows before anybody decodes it (RFC 7296 §2.6, RFC 8019 §7.1.4).

A flood of forged requests costs no more than a walk along a few payload headers.
"""

from dataclasses import dataclass
from typing import Final

from ikeway.model.errors import MalformedError
from ikeway.wire.message import HEADER_OCTETS
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType

PAYLOADS_MOST: Final = 16
"""How many payloads may stand before the nonce: SA and KE, a cookie, a solution, and some more."""
NONCE_OCTETS: Final = range(16, 257)

_NOTIFY_OCTETS: Final = 8
_KIND: Final = 16
_EXCHANGE: Final = 18
_RESUME: Final = int(ExchangeType.IKE_SESSION_RESUME)
_COOKIE: Final = int(NotifyType.COOKIE).to_bytes(2)
_NONCE, _NOTIFY = int(PayloadType.NONCE), int(PayloadType.NOTIFY)
_PUZZLE, _NONE = int(PayloadType.PUZZLE), int(PayloadType.NONE)


def is_resuming(octets: bytes) -> bool:
    """Whether a request, which has a whole header, presents a ticket (RFC 5723 §4.3.2)."""
    return octets[_EXCHANGE] == _RESUME


@dataclass(frozen=True, slots=True)
class Opening:
    """What cookies are made from, and what stands before the nonce of it: empty if it is absent."""

    spi_i: bytes
    nonce: bytes
    cookie: bytes
    solution: bytes


def glance(octets: bytes) -> Opening:
    """Return what a request shows; `octets` have a whole header.

    Raises:
        MalformedError: there is no nonce where one can be expected.
    """
    kind, at, end = octets[_KIND], HEADER_OCTETS, len(octets)
    cookie = solution = b""
    for _ in range(PAYLOADS_MOST):
        size = int.from_bytes(octets[at + 2 : at + 4])
        if kind == _NONE or size < 4 or at + size > end:
            break
        if kind == _NONCE:
            if size - 4 not in NONCE_OCTETS:
                break
            return Opening(octets[:8], octets[at + 4 : at + size], cookie, solution)
        if kind == _NOTIFY and not cookie and octets[at + 5 : at + 8] == b"\0" + _COOKIE:
            cookie = octets[at + _NOTIFY_OCTETS : at + size]
        elif kind == _PUZZLE:
            solution = octets[at + 4 : at + size]
        kind, at = octets[at], at + size
    raise MalformedError("an IKE_SA_INIT request without a nonce")
