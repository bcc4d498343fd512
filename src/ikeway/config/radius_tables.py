# SPDX-License-Identifier: Apache-2.0
"""The keys of `[radius]`: the servers that prove users and keep their accounts."""

from pydantic import Field

from ikeway.config.terms import Address, Table, Text


class RadiusServerTable(Table):
    """`[[radius.servers]]`: one server. The first that answers is asked."""

    host: Text
    """Its address or name."""

    port: int | None = Field(default=None, ge=1, le=65535)
    """Its port for access; by default 1812, or 2083 with TLS."""

    accounting_port: int | None = Field(default=None, ge=1, le=65535)
    """Its port for accounting; by default 1813, or 2083 with TLS."""

    secret: Text | None = None
    """The secret with it, written as `psk` is. With TLS it is `radsec` and need not be set."""

    authorities: list[Text] = []
    """Speak TLS to it (RadSec, RFC 6614): files with the certificates that its own must lead to."""

    server_name: Text | None = None
    """With TLS, the name in its certificate; by default `host`."""

    certificate: Text | None = None
    """With TLS, our certificate for it, a PEM file."""

    key: Text | None = None
    """And the file with its key."""


class RadiusTable(Table):
    """`[radius]`: for connections with `peer_auth = ["eap-radius"]`."""

    servers: list[RadiusServerTable] = []
    """The servers, in the order in which they are asked."""

    nas_identifier: Text | None = None
    """What we call ourselves; by default `[host] identity`."""

    accounting: bool = True
    """Tell the servers when sessions begin, how they go on, and when they end (RFC 2866)."""

    orders: Address | None = None
    """Take orders of the servers to end a session, or to change its time, on this address (RFC
    5176): only from servers whose `host` is an address, and only with one worker."""

    orders_port: int = Field(default=3799, ge=1, le=65535)
    """The UDP port of that."""
