# SPDX-License-Identifier: Apache-2.0
"""What a feature may know when it announces itself or learns of the peer's."""

from dataclasses import dataclass

from ikeway.model.address import Endpoint
from ikeway.policy.connection import Connection, Encapsulate


@dataclass(frozen=True, slots=True)
class Context:
    """The IKE_SA_INIT message at hand: its SPIs, both ends as we see them, what the operator wants.

    A responder does not know yet which connection it will be; this is the first that may be.
    """

    spi_i: bytes
    spi_r: bytes
    local: Endpoint
    peer: Endpoint
    connection: Connection

    @property
    def is_request(self) -> bool:
        """Whether it is the initiator's message, which knows no SPI of the responder yet."""
        return not any(self.spi_r)

    @property
    def force_encapsulation(self) -> bool:
        """Whether we pretend to be behind a NAT, so that ESP goes into UDP."""
        return self.connection.encapsulate is Encapsulate.ALWAYS
