# SPDX-License-Identifier: Apache-2.0
"""The IKE_INTERMEDIATE exchanges that were agreed on (RFC 9370 §2.2.2, RFC 9867 §3.1)."""

from dataclasses import dataclass

from ikeway.ike.features.ppk import PpkUse
from ikeway.ike.session import Session


@dataclass(frozen=True, slots=True)
class Round:
    """What one exchange is for: a key exchange if there is a `method`, PPKs if it is the last."""

    method: int | None
    has_ppk: bool = False


def agreed_on(session: Session) -> tuple[Round, ...]:
    """Return what was agreed on: so many exchanges, and no more.

    The keys of an IKE SA that is resumed come of those that it had then (RFC 5723 §5.1).
    """
    if session.resumed is not None:
        return ()
    methods = tuple(method for _, method in session.keyring.suite.additional)
    if session.agreed.ppk is not PpkUse.IN_INTERMEDIATE:
        return tuple(map(Round, methods))
    *before, last = methods or (None,)
    return (*map(Round, before), Round(last, has_ppk=True))
