# SPDX-License-Identifier: Apache-2.0
"""Whether a user whom EAP has proven may still come in: users are taken away, tickets last.

A ticket proves what was so when it was given (RFC 5723 §9.8), and EAP what was so a moment ago.
"""

from dataclasses import dataclass
from typing import Final

from ikeway.model.identity import Identity
from ikeway.model.time import Seconds
from ikeway.policy.connection import Proof

ADMIT: Final = "admit"


@dataclass(frozen=True, slots=True)
class Admit:
    """May a user still come in that was proven by this method, so long ago? -> `Welcome`."""

    user: Identity
    method: str
    age: Seconds = 0.0


@dataclass(frozen=True, slots=True)
class Welcome:
    """Nothing is known against it."""


def question(user: Identity, method: str, age: Seconds) -> Admit | None:
    """Return what to ask about an initiator; None about one that others vouch for."""
    if not method or method == Proof.EAP_RADIUS.eap_method:
        return None
    return Admit(user, method, age)
