# SPDX-License-Identifier: Apache-2.0
"""A Child SA of what both sides agreed on, in whichever exchange (RFC 7296 §2.17, §2.23)."""

from ikeway.ike import ah, negotiate, spending
from ikeway.ike.children import Scope, Seed, Terms, build
from ikeway.ike.session import Session
from ikeway.model.address import Endpoint
from ikeway.model.errors import NoProposalError
from ikeway.model.esp import ChildSa, Encapsulation


def make(
    session: Session,
    spi_in: int,
    chosen: negotiate.Choosing,
    scope: Scope,
    seed: Seed,
    path: tuple[Endpoint, Endpoint],
) -> ChildSa:
    """Return the Child SA with its keys and limits; `path` is local and peer.

    Raises:
        NoProposalError: the peer's SPI is of the reserved range, or AH would not arrive.
    """
    if chosen.esp.is_ah:
        ah.check_path(session.agreed.nat)
    limits = spending.limits(scope.policy.lifetimes, chosen.esp, session.env.random)
    terms = Terms(spi_in, peer_spi(chosen), chosen.esp, scope, limits)
    return build(terms, session.keyring, seed, path, encapsulation(session))


def peer_spi(chosen: negotiate.Choosing) -> int:
    """Return the peer's inbound SPI from its proposal.

    Raises:
        NoProposalError: it is of the reserved range (RFC 4302 §2.4, RFC 4303 §2.1).
    """
    spi = int.from_bytes(chosen.proposal.spi)
    if spi < 256:
        raise NoProposalError(f"SPI {spi} is reserved")
    return spi


def encapsulation(session: Session) -> Encapsulation:
    """Return what carries the ESP of this IKE SA (§2.23); AH has nothing but IP."""
    return Encapsulation.UDP if session.agreed.nat.is_present else Encapsulation.NONE
