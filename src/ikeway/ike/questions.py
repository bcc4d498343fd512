# SPDX-License-Identifier: Apache-2.0
"""What an IKE SA asks of the shell, and the answers, which come back as inputs (see `ike.io`)."""

import math
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ikeway.auth.eap.progress import Progress
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.puzzle import Puzzle
from ikeway.ike.admission import Admit, Welcome
from ikeway.model.address import Address, Endpoint, Path
from ikeway.model.esp import Usage
from ikeway.model.identity import Identity
from ikeway.model.reference import Reference
from ikeway.model.time import Seconds
from ikeway.policy.revocation import Revocation


@dataclass(frozen=True, slots=True)
class Ticket:
    """Names a question, so that its answer finds the state that asked. `sa` is our SPI."""

    sa: bytes
    branch: bytes
    purpose: str


# Questions ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VerifyCertificate:
    """Does the first certificate (DER) chain to an authority, valid now? -> `Trusted`.

    `revocation` is how much is to be known of whether it was taken back; `ocsp` are responses about
    that which the peer sent (RFC 4806). `references` are certificates that it named by their URLs.
    """

    chain: tuple[bytes, ...]
    purpose: Literal["server", "client"]
    revocation: Revocation = Revocation.OFF
    ocsp: tuple[bytes, ...] = ()
    references: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Sign:
    """Sign `octets` with the private key of that name -> `Signed`.

    Of the certificates in `chain`, which are ours, the peer wants to hear their status (RFC 4806).
    """

    key: str
    scheme: str
    octets: bytes
    chain: tuple[Certificate, ...] = ()


@dataclass(frozen=True, slots=True)
class Lease:
    """Lend the peer addresses of a pool, one per family asked for -> `Leased`.

    An unspecified address asks for any of its family. Of a family of which there are `framed` ones
    it gets those, which a RADIUS server has chosen; then there need be no pool.
    """

    pool: str | None
    identity: Identity
    wanted: tuple[Address, ...]
    framed: tuple[Address, ...] = ()


@dataclass(frozen=True, slots=True)
class MeasureUsage:
    """How much passed through these Child SAs, named by their inbound SPIs? -> `Measured`."""

    spis: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SolvePuzzle:
    """Solve a puzzle of the peer's (RFC 8019 §7.1.3), which is slow work -> `Solved`."""

    puzzle: Puzzle


@dataclass(frozen=True, slots=True)
class FindPaths:
    """From which of our addresses are these reached, outside any tunnel? -> `Paths`."""

    peers: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Converse:
    """Say what comes next in the EAP conversation of this ticket's -> `Progress`.

    As the server it begins without a packet, with a peer that calls itself `identity`, or is to be
    asked; as the peer, which is `identity`, with the server's first. `methods` are those to offer,
    or to be ready for, by their names and the best first. `server` is who a peer's TLS has to lead
    to, and `inner` what it does in it; `revocation` is how much is to be known of certificates. As
    the server, `visit` says where the peer is.
    """

    is_server: bool
    methods: tuple[str, ...]
    identity: bytes
    packet: bytes = b""
    server: Identity | None = None
    revocation: Revocation = Revocation.OFF
    inner: str = ""
    visit: "Visit | None" = None


@dataclass(frozen=True, slots=True)
class Visit:
    """A peer that comes to be let in: at which connection's door, and from where."""

    connection: str
    local: Endpoint
    peer: Endpoint


Question: TypeAlias = (
    VerifyCertificate | Sign | Lease | MeasureUsage | SolvePuzzle | FindPaths | Converse | Admit
)


# Answers ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Trusted:
    """The certificate of the peer, whose chain and validity hold.

    After so long it is to be asked again, since what is known of its revocation is old then.
    `fetched` is the whole chain where part of it had to be fetched.
    """

    certificate: Certificate
    again_after: Seconds = math.inf
    fetched: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature, and OCSP responses about our certificates as far as they are at hand."""

    signature: bytes
    ocsp: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class Leased:
    """Addresses lent to the peer until the IKE SA is forgotten, with the pool's DNS."""

    addresses: tuple[Address, ...]
    dns: tuple[Address, ...] = ()
    domains: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Measured:
    """What passed through the Child SAs since they were installed, summed up."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class Solved:
    """The four keys that solve a puzzle."""

    solution: bytes


@dataclass(frozen=True, slots=True)
class Paths:
    """Pairs of addresses that may work: for each of the peer's first the one that the host prefers.

    Then come those with our other addresses. None is there where the host has no way to the peer.
    """

    found: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class Installed:
    """The data plane has the Child SA."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The answer is no, for this reason."""

    reason: str


Answer: TypeAlias = (
    Trusted | Signed | Leased | Measured | Solved | Paths | Progress | Installed | Welcome | Refused
)
