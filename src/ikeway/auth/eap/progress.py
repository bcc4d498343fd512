# SPDX-License-Identifier: Apache-2.0
"""What an EAP conversation has come to, after each packet."""

from dataclasses import dataclass
from typing import TypeAlias

from ikeway.model.address import Address
from ikeway.model.secret import Secret


@dataclass(frozen=True, slots=True)
class Success:
    """The proof holds. `msk` is the key of 64 octets, where the method makes one (RFC 3748 §7.10).

    `identity` is what was proven, by the method of that name: policy goes by it, not by what was
    claimed outside. `chain` are certificates that it rests on: whether they were revoked is another
    question. A RADIUS server may say which `groups` it is in, and which `addresses` it gets.
    """

    identity: bytes
    msk: Secret | None
    method: str = ""
    chain: tuple[bytes, ...] = ()
    groups: tuple[str, ...] = ()
    addresses: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class Failure:
    """The proof does not hold, for a reason that is ours to know.

    `is_said` is whether the other side has said so itself, by EAP Failure.
    """

    reason: str
    is_said: bool = False


Outcome: TypeAlias = Success | Failure


@dataclass(frozen=True, slots=True)
class Progress:
    """The packet to send, and the end if this is it."""

    reply: bytes | None
    outcome: Outcome | None = None
