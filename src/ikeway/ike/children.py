# SPDX-License-Identifier: Apache-2.0
"""Child SAs of an IKE SA: drafts, keys, what the data plane gets (RFC 7296 §2.17)."""

import math
from dataclasses import dataclass, replace

from ikeway.crypto.keys import derive_child_keys, esp_key_octets
from ikeway.crypto.random import Random
from ikeway.ike import ipcomp
from ikeway.ike.keys import Keyring
from ikeway.model.address import Endpoint
from ikeway.model.esp import ChildSa, Encapsulation, EspSuite, Limits, Mode, OriginalAddresses
from ikeway.model.secret import Secret
from ikeway.model.selectors import Selectors, Trigger
from ikeway.model.time import Instant, Seconds
from ikeway.model.traffic_flow import OPEN, TrafficFlow
from ikeway.policy.connection import ChildPolicy
from ikeway.policy.lifetimes import Lifetimes
from ikeway.wire.registry import ProtocolId


@dataclass(frozen=True, slots=True)
class Wish:
    """Which Child SA of a connection is wanted, "" for any, and the packet that wants it, if so."""

    child: str = ""
    trigger: Trigger | None = None


@dataclass(frozen=True, slots=True)
class ChildDraft:
    """A Child SA that we asked for. `offered_i` and `offered_r` are our TSi and TSr.

    `others` are the names of those that we ask for next.
    """

    spi_in: int
    offered_i: Selectors
    offered_r: Selectors
    policy: ChildPolicy
    trigger: Trigger | None = None
    others: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Scope:
    """What both sides agreed that a Child SA is for, with the addresses that this host sees.

    `cpi_out` is the peer's index of compression, `ipcomp.NONE` without any.
    `number` is its place among siblings that carry the same traffic, None for it has none.
    `later_fragments` is whether both sides send them behind a first one that has the right ports.
    """

    policy: ChildPolicy
    mode: Mode
    local_ts: Selectors
    peer_ts: Selectors
    original: OriginalAddresses | None = None
    traffic_flow: TrafficFlow = OPEN
    cpi_out: int = ipcomp.NONE
    number: int | None = None
    later_fragments: bool = False


@dataclass(frozen=True, slots=True)
class Child:
    """A Child SA. `is_installed` once the data plane has it, which must say so until `due`.

    `name` is that of its policy.

    `is_replaced` once it was rekeyed: who rekeyed it is about to delete it. `beaten_by` is the
    inbound SPI of the one that goes before it where two rekeys crossed, 0 for none. `heir` is that
    of the one by which the peer has replaced it, 0 for none: once it deletes this one it has that.
    `method` is the key exchange method that it was made with, 0 for none. `replaces` is the inbound
    SPI of the child that it is to replace, 0 for none. `number` is its place among siblings. It is
    rekeyed at `rekey_at` and not used
    after `expires_at` (RFC 7296 §2.8).
    """

    sa: ChildSa
    name: str = ""
    is_installed: bool = False
    is_deleting: bool = False
    is_replaced: bool = False
    beaten_by: int = 0
    heir: int = 0
    method: int = 0
    replaces: int = 0
    rekey_at: Instant = math.inf
    expires_at: Instant = math.inf
    due: Instant | None = None
    number: int | None = None

    @property
    def protocol(self) -> ProtocolId:
        """What names it together with its SPI (RFC 4301 §4.1)."""
        return ProtocolId.AH if self.sa.suite.is_ah else ProtocolId.ESP

    def installing(self, due: Instant) -> "Child":
        """Return the child as the data plane is asked to take it."""
        return replace(self, due=due)

    def installed(self) -> "Child":
        """Return the child as the data plane has it."""
        return replace(self, is_installed=True, due=None)

    def aging(self, lifetimes: Lifetimes, random: Random, now: Instant) -> "Child":
        """Return the child with the times at which it is rekeyed and at which it ends."""
        return replace(
            self,
            rekey_at=now + soft_limit(lifetimes.child, lifetimes.jitter, random),
            expires_at=now + hard_limit(lifetimes.child),
        )


def soft_limit(lifetime: float, jitter: float, random: Random) -> float:
    """Return a lifetime cut by chance, so that two sides seldom rekey at once (§2.8.1).

    `jitter` is the largest part of it that is cut.
    """
    return lifetime * (1.0 - jitter * random.octets(1)[0] / 256)


def hard_limit(lifetime: Seconds) -> Seconds:
    """Return how long an SA may be used that could not be rekeyed."""
    return lifetime * 1.1 + 30.0


@dataclass(frozen=True, slots=True)
class Terms:
    """What both sides agreed on for a Child SA, seen from here."""

    spi_in: int
    spi_out: int
    suite: EspSuite
    scope: Scope
    limits: Limits


@dataclass(frozen=True, slots=True)
class Seed:
    """What the keys of a Child SA are made of, beside SK_d (§2.17).

    `nonces` are Ni and Nr of the exchange that makes it, `secrets` those of its key exchanges, if
    it has any. `is_requester` is whether that exchange was ours: its requester's keys come first.
    """

    nonces: tuple[bytes, bytes]
    is_requester: bool
    secrets: tuple[Secret, ...] = ()


def build(
    terms: Terms,
    keyring: Keyring,
    seed: Seed,
    path: tuple[Endpoint, Endpoint],
    encapsulation: Encapsulation,
) -> ChildSa:
    """Return a Child SA with its keys (§2.17); `path` is local and peer."""
    suite, scope = terms.suite, terms.scope
    sizes = esp_key_octets(suite.encr, suite.key_bits, suite.integ)
    first = seed.secrets[0] if seed.secrets else None
    towards_r, towards_i = derive_child_keys(
        keyring.prf, keyring.keys.sk_d, *sizes, *seed.nonces, first, seed.secrets[1:]
    )
    keys_out, keys_in = (towards_r, towards_i) if seed.is_requester else (towards_i, towards_r)
    return ChildSa(
        spi_in=terms.spi_in,
        spi_out=terms.spi_out,
        local=path[0],
        peer=path[1],
        mode=scope.mode,
        encapsulation=encapsulation,
        suite=suite,
        keys_in=keys_in,
        keys_out=keys_out,
        local_ts=scope.local_ts,
        peer_ts=scope.peer_ts,
        replay_window=scope.policy.replay_window,
        original=scope.original,
        limits=terms.limits,
        traffic_flow=scope.traffic_flow,
        ipcomp=ipcomp.pair(terms.spi_in, scope.cpi_out),
        is_of_queue=bool(scope.number),
        outer=scope.policy.outer,
        later_fragments=scope.later_fragments,
    )
