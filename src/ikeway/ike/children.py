# SPDX-License-Identifier: Apache-2.0
"""Child SAs of an IKE SA: drafts, keys, what the data plane gets (RFC 7296 §2.17)."""

from dataclasses import dataclass, replace

from ikeway.crypto.keys import derive_child_keys, esp_key_octets
from ikeway.ike.keys import Keyring
from ikeway.model.address import Endpoint
from ikeway.model.esp import ChildSa, Encapsulation, EspSuite, Mode
from ikeway.model.selectors import Selectors
from ikeway.model.time import Instant


@dataclass(frozen=True, slots=True)
class ChildDraft:
    """A Child SA that we asked for. `offered_i` and `offered_r` are our TSi and TSr."""

    spi_in: int
    offered_i: Selectors
    offered_r: Selectors


@dataclass(frozen=True, slots=True)
class Child:
    """A Child SA. `is_installed` once the data plane has it, which must say so until `due`."""

    sa: ChildSa
    is_installed: bool = False
    due: Instant | None = None

    def installing(self, due: Instant) -> "Child":
        """Return the child as the data plane is asked to take it."""
        return replace(self, due=due)

    def installed(self) -> "Child":
        """Return the child as the data plane has it."""
        return replace(self, is_installed=True, due=None)


@dataclass(frozen=True, slots=True)
class Terms:
    """What both sides agreed on for a Child SA, seen from here."""

    spi_in: int
    spi_out: int
    suite: EspSuite
    local_ts: Selectors
    peer_ts: Selectors
    replay_window: int


def build(
    terms: Terms,
    keyring: Keyring,
    nonces: tuple[bytes, bytes],
    path: tuple[Endpoint, Endpoint],
    encapsulation: Encapsulation,
) -> ChildSa:
    """Return the Child SA of the first exchange, with its keys (§2.17).

    `nonces` are those of IKE_SA_INIT, `path` is local and peer.
    """
    suite = terms.suite
    sizes = esp_key_octets(suite.encr, suite.key_bits, suite.integ)
    towards_r, towards_i = derive_child_keys(
        keyring.prf, keyring.keys.sk_d, *sizes, *nonces, shared=None
    )
    keys_out, keys_in = (towards_r, towards_i) if keyring.is_initiator else (towards_i, towards_r)
    return ChildSa(
        spi_in=terms.spi_in,
        spi_out=terms.spi_out,
        local=path[0],
        peer=path[1],
        mode=Mode.TUNNEL,
        encapsulation=encapsulation,
        suite=suite,
        keys_in=keys_in,
        keys_out=keys_out,
        local_ts=terms.local_ts,
        peer_ts=terms.peer_ts,
        replay_window=terms.replay_window,
    )
