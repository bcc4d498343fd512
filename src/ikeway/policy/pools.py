# SPDX-License-Identifier: Apache-2.0
"""Pools of virtual addresses and what comes with them (RFC 7296 §3.15)."""

from dataclasses import dataclass

from ikeway.model.address import Address, Network


@dataclass(frozen=True, slots=True)
class Pool:
    """Addresses to hand out, and the DNS servers and domains (RFC 8598) behind the tunnel."""

    name: str
    ranges: tuple[Network, ...]
    dns: tuple[Address, ...] = ()
    domains: tuple[str, ...] = ()
