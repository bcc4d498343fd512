# SPDX-License-Identifier: Apache-2.0
"""What all IKE SAs of an endpoint share: randomness, policy, credentials."""

from dataclasses import dataclass, field

from ikeway.crypto.random import Random
from ikeway.ike.tickets import TicketSecrets
from ikeway.model.address import NAT_PORT, Address
from ikeway.model.secret import Secret
from ikeway.policy.connection import Connection
from ikeway.policy.credentials import Credentials
from ikeway.policy.limits import Limits


@dataclass(frozen=True, slots=True)
class Environment:
    """`worker` is the first octet of every SPI that we choose for an IKE SA (design §2).

    `addresses` are those of this host, as far as they are known (RFC 4555 §3.4).
    `crash_secrets` make our tokens of quick crash detection, the newest first; none makes none.
    `tickets` are the secrets that seal our tickets (RFC 5723 §6.1).
    """

    random: Random
    connections: tuple[Connection, ...]
    credentials: Credentials
    worker: int = 0
    nat_port: int = NAT_PORT
    limits: Limits = field(default=Limits())
    addresses: tuple[Address, ...] = ()
    crash_secrets: tuple[Secret, ...] = ()
    tickets: TicketSecrets = field(default_factory=TicketSecrets)

    def new_ike_spi(self) -> bytes:
        """Return a fresh IKE SPI of 8 octets, never zero (RFC 7296 §2.6)."""
        spi = bytes([self.worker]) + self.random.octets(7)
        return spi if any(spi) else self.new_ike_spi()

    def new_esp_spi(self) -> int:
        """Return a fresh ESP SPI above the reserved range (RFC 4303 §2.1)."""
        while True:
            spi = int.from_bytes(self.random.octets(4))
            if spi > 255:
                return spi
