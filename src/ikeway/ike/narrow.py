# SPDX-License-Identifier: Apache-2.0
"""Traffic-selector narrowing (RFC 7296 §2.9)."""

from collections.abc import Iterable
from typing import Final

from ikeway.model.errors import SelectorsError
from ikeway.model.selectors import Selectors, TrafficSelector, Trigger

OFFERED_MOST: Final = 64
GRANTED_MOST: Final = 32
"""How many selectors we look at and grant: a peer may offer 255, which costs more than it helps."""


def narrow(offered: Selectors, allowed: Selectors) -> Selectors:
    """Return the largest part of `offered` that `allowed` permits, in the order offered.

    A part that another part covers is left out. The first selectors count, up to a limit.

    Raises:
        SelectorsError: nothing is left; the peer is told TS_UNACCEPTABLE.
    """
    parts = [
        common
        for selector in offered[:OFFERED_MOST]
        for permitted in allowed
        if (common := selector.intersect(permitted)) is not None
    ]
    if not parts:
        raise SelectorsError(f"offered {_text(offered)}, allowed is {_text(allowed)}")
    return _without_covered(dict.fromkeys(parts)) if len(parts) > 1 else tuple(parts)


def led_by(
    trigger: Trigger | None, local_ts: Selectors, peer_ts: Selectors
) -> tuple[Selectors, Selectors, Trigger | None]:
    """Return what to offer for a packet, its own selectors first (§2.9), and the packet.

    A packet that does not belong there is forgotten.
    """
    if trigger is None:
        return local_ts, peer_ts, None
    sides = ((trigger.local, local_ts), (trigger.peer, peer_ts))
    if not all(any(whole.covers(own) for whole in whole_ts) for own, whole_ts in sides):
        return local_ts, peer_ts, None
    local, peer = (tuple(dict.fromkeys((own, *whole_ts))) for own, whole_ts in sides)
    return local, peer, trigger


def check_subset(answered: Selectors, offered: Selectors) -> None:
    """Check that the answer is part of the offer (§2.9).

    Raises:
        SelectorsError: it is not, or it is empty.
    """
    if not answered:
        raise SelectorsError("the answer has no traffic selectors")
    for selector in answered:
        if not any(whole.covers(selector) for whole in offered):
            raise SelectorsError(f"{selector} is not part of {_text(offered)}")


def _without_covered(parts: Iterable[TrafficSelector]) -> Selectors:
    kept: list[TrafficSelector] = []
    for part in parts:
        if len(kept) >= GRANTED_MOST:
            break
        if any(other.covers(part) for other in kept):
            continue
        kept = [other for other in kept if not part.covers(other)]
        kept.append(part)
    return tuple(kept)


def _text(selectors: Selectors) -> str:
    return ", ".join(map(str, selectors[:8])) or "nothing"
