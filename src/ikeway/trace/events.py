# SPDX-License-Identifier: Apache-2.0
"""What a trace tells: messages, packets, sums and remarks, in the order of the capture."""

from dataclasses import dataclass

from ikeway.trace.ah import AhPacket
from ikeway.trace.chain import Part
from ikeway.trace.datagrams import Where
from ikeway.trace.esp import EspPacket, Flow
from ikeway.trace.sealed import Sealing
from ikeway.wire.message import Header
from ikeway.wire.payloads import Encrypted, EncryptedFragment


@dataclass(frozen=True, slots=True)
class IkeSeen:
    """An IKE message.

    `parts` are the payloads that can be seen, those of `sealed` among them. `waits_for` counts the
    fragments (RFC 7383) that have yet to come. `repeats` is the frame that had the same message.
    """

    where: Where
    header: Header
    octets: int
    parts: tuple[Part, ...]
    sealing: Sealing
    sealed: Encrypted | EncryptedFragment | None = None
    waits_for: int = 0
    repeats: int | None = None
    problem: str = ""
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EspSeen:
    """An ESP packet, the `number`-th of its SA."""

    where: Where
    opened: EspPacket
    octets: int
    number: int


@dataclass(frozen=True, slots=True)
class AhSeen:
    """A packet with AH; everybody can read what it carries."""

    where: Where
    packet: AhPacket
    number: int
    octets: int


@dataclass(frozen=True, slots=True)
class EspSum:
    """All packets of an SA of ESP or AH."""

    flow: Flow


@dataclass(frozen=True, slots=True)
class Remark:
    """What a reader of the trace should know. `is_bad` says that the trace is not all there."""

    text: str
    is_bad: bool = False


Event = IkeSeen | EspSeen | AhSeen | EspSum | Remark
