# SPDX-License-Identifier: Apache-2.0
"""Which RADIUS servers prove users, keep their accounts and give orders (RFC 2865, 2866, 5176)."""

from dataclasses import dataclass

from ikeway.model.address import Address
from ikeway.model.secret import Secret


@dataclass(frozen=True, slots=True)
class RadiusTls:
    """How a server is reached over TLS (RFC 6614). `name` is in its certificate.

    `authorities` is PEM. `own` are the files of our certificate and its key, if it wants one.
    """

    authorities: str
    name: str
    own: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class RadiusPlace:
    """A server: where it listens for access and for accounting, and the secret with it."""

    host: str
    port: int
    accounting_port: int
    secret: Secret
    tls: RadiusTls | None = None


@dataclass(frozen=True, slots=True)
class RadiusSettings:
    """The servers, in the order in which they are asked.

    `name` is what we call ourselves (NAS-Identifier). Orders are taken at `orders`, from servers
    whose `host` is an address, or not at all.
    """

    name: str
    servers: tuple[RadiusPlace, ...]
    accounting: bool = True
    orders: tuple[Address, int] | None = None
