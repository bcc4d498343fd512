# SPDX-License-Identifier: Apache-2.0
"""Identification payloads, initiator and responder (RFC 7296 §3.5)."""

from dataclasses import field
from typing import Annotated, Self

from ikeway.model.identity import Identity, IdType
from ikeway.wire.codec import Body, Octets, Rest, UInt, layout, payload
from ikeway.wire.registry import PayloadType


@layout
class Identification(Body):
    """What IDi and IDr share. The RESERVED octets are kept: they enter AUTH (RFC 7296 §2.15)."""

    type: Annotated[IdType, UInt(1)]
    reserved: Annotated[bytes, Octets(3)] = field(default=b"\0\0\0", kw_only=True)
    data: Annotated[bytes, Rest()]

    @classmethod
    def of(cls, identity: Identity) -> Self:
        """Return the payload that carries `identity`."""
        return cls(identity.type, identity.data)

    @property
    def identity(self) -> Identity:
        """The identity as received; `Identity.check` says whether its octets fit its type."""
        return Identity(self.type, self.data)

    def body(self) -> bytes:
        """Return the octets that enter AUTH: the payload without its generic header."""
        return self.encode()


@payload(PayloadType.IDI)
class IdI(Identification):
    """Identification - Initiator payload, RFC 7296 §3.5."""


@payload(PayloadType.IDR)
class IdR(Identification):
    """Identification - Responder payload, RFC 7296 §3.5."""
