# SPDX-License-Identifier: Apache-2.0
"""What a feature may know when it announces itself or learns of the peer's."""

from dataclasses import dataclass

from ikeway.model.address import Endpoint


@dataclass(frozen=True, slots=True)
class Context:
    """The IKE_SA_INIT message at hand: its SPIs, and both ends as we see them."""

    spi_i: bytes
    spi_r: bytes
    local: Endpoint
    peer: Endpoint
    force_encapsulation: bool
    fragment_size: int
