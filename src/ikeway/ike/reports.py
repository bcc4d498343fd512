# SPDX-License-Identifier: Apache-2.0
"""What an IKE SA reports: every message, refusal and drop with its reason, and its end."""

from dataclasses import dataclass
from typing import TypeAlias

from ikeway.model.address import Address, Endpoint
from ikeway.model.esp import ChildSa
from ikeway.model.identity import Identity
from ikeway.wire.message import Message
from ikeway.wire.notation import describe


@dataclass(frozen=True, slots=True)
class MessageSent:
    """A message left. It is put in words only if somebody asks."""

    message: Message
    peer: Endpoint
    octets: int

    @property
    def what(self) -> str:
        """The message in the notation of RFC 7296 §1.2."""
        return describe(self.message.header, self.message.payloads)


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """As `MessageSent`, for messages that were accepted."""

    message: Message
    peer: Endpoint
    octets: int

    @property
    def what(self) -> str:
        """The message in the notation of RFC 7296 §1.2."""
        return describe(self.message.header, self.message.payloads)


@dataclass(frozen=True, slots=True)
class Retransmitted:
    """A request was sent again, for the `attempt`-th time."""

    attempt: int
    peer: Endpoint


@dataclass(frozen=True, slots=True)
class Dropped:
    """An input was dropped without effect."""

    reason: str
    peer: Endpoint


@dataclass(frozen=True, slots=True)
class RefusedRequest:
    """The peer's request was answered with an error notify."""

    notify: str
    reason: str
    peer: Endpoint


@dataclass(frozen=True, slots=True)
class DeviceProven:
    """A device has proven itself; its user has to do so as well (RFC 4739)."""

    device: Identity
    peer: Endpoint


@dataclass(frozen=True, slots=True)
class Pressed:
    """Strangers had to prove more before anything was computed for them (RFC 7296 §2.6).

    `asked` is how often what was asked for since the last such report.
    """

    asked: tuple[tuple[str, int], ...]
    half_open: int


@dataclass(frozen=True, slots=True)
class Warned:
    """Something worth a line that stops nothing."""

    reason: str


@dataclass(frozen=True, slots=True)
class SuiteChosen:
    """IKE_SA_INIT is done: these algorithms protect the IKE SA.

    `is_lesser` is whether we would have added a post-quantum key exchange, and the peer has none.
    """

    suite: str
    nat: str
    is_lesser: bool = False


@dataclass(frozen=True, slots=True)
class Established:
    """The peer proved its identity. `replaces_others` is its INITIAL_CONTACT (RFC 7296 §2.4).

    `resumed` is the responder's SPI of the IKE SA whose ticket it came of (RFC 5723).
    """

    connection: str
    local_id: Identity
    peer_id: Identity
    peer: Endpoint
    suite: str
    virtual_ips: tuple[Address, ...]
    replaces_others: bool
    resumed: bytes = b""


@dataclass(frozen=True, slots=True)
class Rekeyed:
    """Another IKE SA took this one's place; `successor` is our SPI of it."""

    connection: str
    successor: bytes
    suite: str


@dataclass(frozen=True, slots=True)
class Moved:
    """The IKE SA goes another way from now on, and its Child SAs with it or soon after."""

    connection: str
    local: Endpoint
    peer: Endpoint
    reason: str


@dataclass(frozen=True, slots=True)
class SentAway:
    """A client was told to go to another gateway (RFC 5685 §5)."""

    connection: str
    gateway: str


@dataclass(frozen=True, slots=True)
class Reauthenticating:
    """Identities are being proven anew; `successor` is our SPI of the IKE SA that does so."""

    connection: str
    successor: bytes


@dataclass(frozen=True, slots=True)
class ChildEstablished:
    """A Child SA carries traffic."""

    connection: str
    child: ChildSa
    suite: str


@dataclass(frozen=True, slots=True)
class ChildFailed:
    """A Child SA did not come about, or had to go."""

    connection: str
    reason: str


@dataclass(frozen=True, slots=True)
class ChildClosed:
    """A Child SA is no more."""

    connection: str
    spi_in: int
    reason: str


@dataclass(frozen=True, slots=True)
class Closed:
    """The IKE SA is no more. `is_failure` when nobody wanted that."""

    connection: str
    reason: str
    is_failure: bool


Event: TypeAlias = (
    MessageSent
    | MessageReceived
    | Retransmitted
    | Dropped
    | RefusedRequest
    | Pressed
    | Warned
    | DeviceProven
    | SuiteChosen
    | Established
    | Rekeyed
    | Moved
    | SentAway
    | Reauthenticating
    | ChildEstablished
    | ChildFailed
    | ChildClosed
    | Closed
)
