# SPDX-License-Identifier: Apache-2.0
"""Where no Child SA of AH can be: behind a NAT, which changes what it protects (RFC 3715 §2.1)."""

from ikeway.ike.features.nat_traversal import Nat
from ikeway.model.errors import NoProposalError


def check_path(nat: Nat) -> None:
    """Check that AH arrives.

    Raises:
        NoProposalError: there is a NAT, or one of both pretends that there is.
    """
    if nat.is_present:
        raise NoProposalError(f"AH does not pass a NAT, as it protects the addresses; NAT: {nat}")
