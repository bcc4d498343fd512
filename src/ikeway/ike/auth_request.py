# SPDX-License-Identifier: Apache-2.0
"""What an initiator asks in IKE_AUTH, as its responder keeps it (RFC 7296 §1.2, §2.16)."""

from dataclasses import dataclass, field

from ikeway.ike.vouched import Standing
from ikeway.model.address import Address, Endpoint
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.connection import Connection
from ikeway.wire.message import Message


@dataclass(frozen=True, slots=True)
class EapKeys:
    """What AUTH is made with after EAP: the MSK for both, else each side's own SK_p (§2.16)."""

    local: Secret
    peer: Secret


@dataclass(frozen=True, slots=True)
class AuthRequest:
    """An IKE_AUTH request that is being answered, and where to.

    After EAP it is the first and the last request in one: the payloads of both, the last header.
    `id_i` is who is authentic then, whatever IDi says, by `method`, and `keys` are there. `device`
    is who has proven itself before that, and `alternatives` are connections that it may be for (RFC
    4739).
    """

    message: Message
    local: Endpoint
    peer: Endpoint
    id_i: Identity
    connection: Connection
    keys: EapKeys | None = None
    method: str = ""
    standing: Standing = field(default=Standing())
    framed: tuple[Address, ...] = ()
    """Addresses that the initiator is to get, whatever the pool has."""
    device: Identity | None = None
    alternatives: tuple[Connection, ...] = ()
