# SPDX-License-Identifier: Apache-2.0
"""What belongs together as soon as an IKE SA has keys (RFC 7296 §2.14, §2.15)."""

from dataclasses import dataclass, field

from ikeway.crypto.keys import IkeKeys
from ikeway.ike.certificate_requests import Wishes
from ikeway.ike.environment import Environment
from ikeway.ike.features import Agreed
from ikeway.ike.features.fragmentation import LEAST, room
from ikeway.ike.int_auth import IntAuth
from ikeway.ike.io import Report
from ikeway.ike.keys import Keyring
from ikeway.ike.questions import Ticket
from ikeway.ike.reassembly import Fragmentation
from ikeway.ike.reports import Event
from ikeway.ike.tickets import Past
from ikeway.ike.trail import Trail
from ikeway.ike.window import Window
from ikeway.model.address import Endpoint
from ikeway.wire.message import Header


@dataclass(frozen=True, slots=True)
class Link:
    """Which IKE SA this is and between whom. `is_initiator` means of the IKE SA (RFC 7296 §3.1)."""

    spi_i: bytes
    spi_r: bytes
    is_initiator: bool
    local: Endpoint
    peer: Endpoint

    @property
    def spi_local(self) -> bytes:
        """Our SPI, which names the SA here."""
        return self.spi_i if self.is_initiator else self.spi_r


@dataclass(frozen=True, slots=True)
class Outdated:
    """The keys of a request of the peer's that was answered, and that may be repeated (§2.1)."""

    message_id: int
    keyring: Keyring


@dataclass(frozen=True, slots=True)
class MixedIn:
    """The name of the PPK in the keys, and the keys as they were `before` (RFC 8784 §3)."""

    name: bytes
    before: IkeKeys | None


@dataclass(frozen=True, slots=True)
class Session:
    """What every state has once there are keys.

    `branch` tells apart those who answered the same IKE_SA_INIT request of ours (§2.4). `outdated`
    is what protected the peer's last request, where its answer led to new keys (RFC 9242 §3.3.1).
    `trail` is which gateway sent us here (RFC 5685).
    `wishes` are the peer's about certificates of ours.
    `resumed` is what the IKE SA was before, until it is established again (RFC 5723).
    """

    env: Environment
    link: Link
    branch: bytes
    keyring: Keyring
    window: Window
    agreed: Agreed
    fragmentation: Fragmentation = field(default=Fragmentation())
    outdated: Outdated | None = None
    ppk: MixedIn | None = None
    resumed: Past | None = None
    trail: Trail = field(default=Trail())
    wishes: Wishes = field(default=Wishes())

    @property
    def sa(self) -> bytes:
        """Our SPI."""
        link = self.link
        return link.spi_i if link.is_initiator else link.spi_r

    def opens(self, header: Header) -> Keyring:
        """Return the keys that a message of the peer's is protected with."""
        old = self.outdated
        if old is not None and header.is_request and header.message_id == old.message_id:
            return old.keyring
        return self.keyring

    @property
    def fragment_size(self) -> int | None:
        """The largest datagram that we send whole (RFC 7383 §2.5.1)."""
        return self.fragmentation.size or self.agreed.fragment_size

    def room(self, *, is_response: bool) -> int | None:
        """Return how long an IKE message of ours may be, None if that does not matter.

        A response is fragmented no larger than the peer's requests are (RFC 7383 §2.5.1).
        """
        size, peer_size = self.fragment_size, self.fragmentation.peer_size
        if size is None:
            return None
        if is_response and peer_size is not None:
            size = min(size, max(peer_size, LEAST))
        return room(size, self.link.peer.address.version)

    def ticket(self, purpose: str) -> Ticket:
        """Return the ticket of a question of this SA."""
        return Ticket(self.sa, self.branch, purpose)

    def install_ticket(self, spi_in: int) -> Ticket:
        """Return the ticket of a Child SA that the data plane is to take."""
        return self.ticket(f"install-{spi_in:08x}")

    def report(self, event: Event) -> Report:
        """Return a report about this SA."""
        return Report(self.sa, event)


@dataclass(frozen=True, slots=True)
class Transcript:
    """The messages and nonces of IKE_SA_INIT, which AUTH covers (§2.15), and what followed."""

    request: bytes
    response: bytes
    nonce_i: bytes
    nonce_r: bytes
    int_auth: IntAuth = field(default=IntAuth())
