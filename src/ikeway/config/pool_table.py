# SPDX-License-Identifier: Apache-2.0
"""The keys of a pool of virtual addresses."""

from pydantic import Field

from ikeway.config.terms import Address, Domain, Prefix, Table


class PoolTable(Table):
    """`[pools.NAME]`: virtual addresses for peers that ask for one."""

    ranges: list[Prefix] = Field(min_length=1)
    """Prefixes to lend addresses from, IPv4 and IPv6."""

    dns: list[Address] = []
    """Resolvers behind the tunnel."""

    domains: list[Domain] = []
    """Names that those resolvers are for (split DNS, RFC 8598)."""
