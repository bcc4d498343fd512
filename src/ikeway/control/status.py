# SPDX-License-Identifier: Apache-2.0
"""What `ikeway status --json` prints: its field names are a promise to scripts."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Model(BaseModel):
    """A value of the control protocol: what is not named here is not in it."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)


class PartyStatus(Model):
    """One side of an IKE SA. `id` is null until it is proven."""

    address: str
    port: int
    id: str | None = None


class NatStatus(Model):
    """Which sides are behind a NAT (RFC 7296 §2.23), and whether we behave as if one were there."""

    local: bool = False
    peer: bool = False
    forced: bool = False


class CompressionStatus(Model):
    """What IPComp did to packets that were compressed: their bytes without it and with it."""

    packets_in: int = 0
    plain_bytes_in: int = 0
    packed_bytes_in: int = 0
    packets_out: int = 0
    plain_bytes_out: int = 0
    packed_bytes_out: int = 0


class StreamStatus(Model):
    """The stream that we send in a Child SA (IP-TFS); what is not known yet is null.

    `per_second` is how many packets leave in a second now, and `rtt` the round trip in seconds.
    `loss_event_rate` is what the peer reports of what we send, from 0 to 1 (RFC 5348 §5.4); null
    where it reports nothing. `breaker` is `open` while too much is lost and the rate is less for
    that; null where there is none, as with `congestion`.
    """

    per_second: float
    rtt: float | None = None
    loss_event_rate: float | None = None
    breaker: Literal["closed", "open"] | None = None


class ChildStatus(Model):
    """A Child SA. SPIs are hex; bytes are those of inner packets.

    `path_mtu` is how long packets to the peer may be, IP header and all, as was learnt of the path
    or is configured; null while nothing is known that is narrower than the interface.
    `weak` says what is weak in its suite and in a key exchange of its own, and why.
    `compression` is null where none was agreed on, and `stream` where we send none.
    """

    name: str
    mode: str
    spi_in: str
    spi_out: str
    local_ts: list[str]
    peer_ts: list[str]
    suite: str
    weak: list[str] = []
    bytes_in: int = 0
    bytes_out: int = 0
    packets_in: int = 0
    packets_out: int = 0
    path_mtu: int | None = None
    compression: CompressionStatus | None = None
    stream: StreamStatus | None = None


class IkeStatus(Model):
    """An IKE SA. `id` is our SPI in hex; times are seconds since 1970, null if not known yet.

    `weak` says what is weak in its suite, and why.
    `post_quantum` is whether ML-KEM or a PPK is in its keys.
    """

    id: str
    connection: str | None
    state: str
    role: str
    local: PartyStatus
    peer: PartyStatus
    virtual_ips: list[str]
    suite: str | None
    weak: list[str] = []
    post_quantum: bool = False
    established_at: float | None
    rekey_at: float | None
    transport: str
    nat: NatStatus
    child_sas: list[ChildStatus]


class RetryStatus(Model):
    """A connection that is down and will be started again; `reason` is why it is down.

    `failures` counts the tries in a row that came to nothing.
    """

    connection: str
    next_attempt_at: float
    failures: int
    reason: str


class DrainStatus(Model):
    """A connection whose clients are sent to another gateway."""

    connection: str
    to: str


class PolicyStatus(Model):
    """A policy, or what a connection protects, and the packets that went no further for it.

    They are counted since the daemon's start.
    """

    name: str
    action: str
    dropped: int = 0


class Status(Model):
    """Every IKE SA of the daemon, and the connections that wait for their next start.

    `draining` are those whose clients are sent elsewhere; `policies` stand in their order.
    """

    ike_sas: list[IkeStatus] = []
    retries: list[RetryStatus] = []
    draining: list[DrainStatus] = []
    policies: list[PolicyStatus] = []
