# SPDX-License-Identifier: Apache-2.0
"""Compression of a Child SA, which is agreed on beside its proposals (RFC 7296 §2.22, RFC 3173).

DEFLATE alone is offered and taken (RFC 2394). Each side names the index that it wants to see on
what is compressed for it.
"""

from typing import Final

from ikeway.model.errors import SelectorsError
from ikeway.model.esp import Ipcomp
from ikeway.policy.connection import ChildPolicy
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import IpcompTransform, NotifyType

NONE: Final = 0
"""Stands for no compression; it is nobody's index."""

NEGOTIATED: Final = range(256, 61440)
"""The indices that two nodes negotiate (RFC 3173 §3.3)."""

_DEFLATE: Final = IpcompTransform.DEFLATE


def index(spi_in: int) -> int:
    """Return our index for a Child SA; one of the same SPI has the same."""
    return NEGOTIATED[spi_in % len(NEGOTIATED)]


def pair(spi_in: int, cpi_out: int) -> Ipcomp | None:
    """Return the compression of a Child SA; `cpi_out` is the peer's index."""
    return None if cpi_out == NONE else Ipcomp(index(spi_in), cpi_out)


def offer(policy: ChildPolicy, spi_in: int) -> tuple[Notify, ...]:
    """Return what goes into a request for a Child SA."""
    return _notifies(spi_in) if policy.ipcomp else ()


def answer(cpi_out: int, spi_in: int) -> tuple[Notify, ...]:
    """Return what goes into an answer, where we agree to the peer's offer."""
    return () if cpi_out == NONE else _notifies(spi_in)


def wanted(policy: ChildPolicy, request: Message) -> int:
    """Return the peer's index where it offers what we take, else NONE: an offer may be declined."""
    if not policy.ipcomp:
        return NONE
    offers = (_index(notify) for notify in _of(request))
    return next((cpi for cpi in offers if cpi != NONE), NONE)


def granted(policy: ChildPolicy, reply: Message) -> int:
    """Return the peer's index where it agrees to our offer, NONE where it declines it.

    Raises:
        SelectorsError: it agrees to what we did not offer, or to more than one ("MUST NOT").
    """
    found = _of(reply)
    if not found:
        return NONE
    if not policy.ipcomp:
        raise SelectorsError("the peer grants IPCOMP_SUPPORTED, which we did not ask for")
    if len(found) > 1:
        raise SelectorsError(f"the peer grants IPCOMP_SUPPORTED {len(found)} times")
    cpi = _index(found[0])
    if cpi == NONE:
        raise SelectorsError(f"the peer grants compression {found[0].data.hex()}, not DEFLATE")
    return cpi


def _of(message: Message) -> list[Notify]:
    found = message.all(Notify)
    return [notify for notify in found if notify.type is NotifyType.IPCOMP_SUPPORTED]


def _notifies(spi_in: int) -> tuple[Notify, ...]:
    data = index(spi_in).to_bytes(2) + bytes([_DEFLATE])
    return (Notify(NotifyType.IPCOMP_SUPPORTED, data),)


def _index(notify: Notify) -> int:
    """Return the index of a notify that is for DEFLATE; attributes may follow, and say nothing.

    It is a negotiated one, or that of DEFLATE itself where the peer needs no other.
    """
    cpi, transform = int.from_bytes(notify.data[:2]), notify.data[2:3]
    is_index = cpi in NEGOTIATED or cpi == _DEFLATE
    return cpi if transform == bytes([_DEFLATE]) and is_index else NONE
