# SPDX-License-Identifier: Apache-2.0
"""Lends the addresses of pools, in memory: an identity gets the same one back if it can."""

from collections.abc import Iterator, Mapping

from ikeway.ike.io import Answer, Lease, Leased, Refused
from ikeway.model.address import Address, Network
from ikeway.policy.pools import Pool


class Leases:
    """Which IKE SA has which address."""

    def __init__(self, pools: Mapping[str, Pool]) -> None:
        self._pools = pools
        self._owner: dict[Address, bytes] = {}
        self._by_sa: dict[bytes, list[Address]] = {}
        self._last: dict[tuple[bytes, int], Address] = {}
        self._next: dict[Network, int] = {}

    def lease(self, sa: bytes, question: Lease) -> Answer:
        """Lend one address per family asked for, as far as the pool has it."""
        pool = self._pools.get(question.pool)
        if pool is None:
            return Refused(f"there is no pool {question.pool!r}")
        found: list[Address] = []
        for wanted in question.wanted:
            address = self._find(pool, wanted, question.identity.data)
            if address is not None:
                found.append(address)
                self._owner[address] = sa
                self._by_sa.setdefault(sa, []).append(address)
                self._last[question.identity.data, address.version] = address
        if not found:
            return Refused(f"pool {pool.name!r} has no free address")
        return Leased(tuple(found), pool.dns, pool.domains)

    def release(self, sa: bytes) -> None:
        """Take back what an IKE SA had."""
        for address in self._by_sa.pop(sa, []):
            if self._owner.get(address) == sa:
                del self._owner[address]

    def _find(self, pool: Pool, wanted: Address, owner: bytes) -> Address | None:
        """Return the address asked for, the one had before, or the next free one."""
        networks = [net for net in pool.ranges if net.version == wanted.version]
        before = self._last.get((owner, wanted.version))
        for address in (wanted, before):
            if address is not None and any(self._is_free(address, net) for net in networks):
                return address
        for network in networks:
            for address in self._candidates(network):
                if address not in self._owner:
                    return address
        return None

    def _is_free(self, address: Address, network: Network) -> bool:
        """Whether an address may be lent: never the network's own, nor its broadcast address."""
        if address not in network or address in self._owner:
            return False
        if network.num_addresses <= 2:
            return True
        return address != network[0] and (network.version == 6 or address != network[-1])

    def _candidates(self, network: Network) -> Iterator[Address]:
        """Go round the network once from where the last address was lent."""
        small = network.num_addresses <= 2
        first = 0 if small else 1
        count = network.num_addresses - first - (0 if small or network.version == 6 else 1)
        start = self._next.get(network, 0)
        for step in range(min(count, len(self._owner) + 1)):
            offset = (start + step) % count
            self._next[network] = (offset + 1) % count
            yield network[first + offset]
