# SPDX-License-Identifier: Apache-2.0
"""Lends the addresses of pools, in memory: an identity gets the same one back if it can."""

from collections import OrderedDict
from collections.abc import Container, Mapping
from dataclasses import dataclass
from typing import Protocol

from typing_extensions import override

from ikeway.ike.questions import Answer, Lease, Leased, Refused
from ikeway.model.address import Address, Network
from ikeway.model.identity import Identity
from ikeway.policy.pools import Pool

REMEMBERED_MOST = 100_000
"""How many identities are remembered with the address that they had."""


class AddressRange:
    """The addresses of a network that may be lent; each step costs the same, however many are out.

    `_fresh` is the first that was never lent in its turn; `_back` are those before it that are free
    again, the longest free first.
    """

    def __init__(self, network: Network, reserved: Container[Address]) -> None:
        self.network = network
        self._reserved = reserved
        self._back: OrderedDict[Address, None] = OrderedDict()
        small = network.num_addresses <= 2
        self._fresh = 0 if small else 1
        self._end = network.num_addresses - (0 if small or network.version == 6 else 1)
        self._first = self._fresh

    def has(self, address: Address) -> bool:
        """Whether the address may be lent: not the network's own, broadcast, or a server's."""
        if address not in self.network or address in self._reserved:
            return False
        return self._first <= self._offset(address) < self._end

    def take(self, address: Address) -> None:
        """Note that the address is lent."""
        self._back.pop(address, None)

    def give_back(self, address: Address) -> None:
        """Note that the address is free again."""
        if self._offset(address) < self._fresh:
            self._back[address] = None

    def next_free(self, taken: Container[Address]) -> Address | None:
        """Return an address that is not taken, or None if there is none."""
        while self._fresh < self._end:
            address: Address = self.network[self._fresh]
            self._fresh += 1
            if address not in taken and address not in self._reserved:
                return address
        return next(iter(self._back), None)

    def _offset(self, address: Address) -> int:
        return int(address) - int(self.network.network_address)


_NO_POOL = Pool("", ())
"""For who gets the addresses that a RADIUS server has chosen."""


class Lender(Protocol):
    """Whoever has the pools: this process, or the one that started it."""

    async def lend(self, sa: bytes, question: Lease) -> Answer:
        """Lend one address per family asked for, as far as the pool has it."""
        ...

    def pass_on(self, sa: bytes, successor: bytes) -> None:
        """Give what an IKE SA had to the one that replaced it."""
        ...

    def release(self, sa: bytes) -> None:
        """Take back what an IKE SA had."""
        ...


@dataclass
class _Held:
    """Who has an address: one identity, by one IKE SA or, while one takes over, by two."""

    identity: Identity
    sas: list[bytes]


class Leases(Lender):
    """Which IKE SA has which address.

    An identity that asks for the very address that it has gets it for another IKE SA too: it proves
    itself anew before the old one goes (RFC 7296 §2.8.3). To ask for any is to ask for another.
    """

    def __init__(self, pools: Mapping[str, Pool]) -> None:
        self._pools = pools
        reserved = frozenset(server for pool in pools.values() for server in pool.dns)
        networks = {network for pool in pools.values() for network in pool.ranges}
        self._ranges = {network: AddressRange(network, reserved) for network in networks}
        self._held: dict[Address, _Held] = {}
        self._by_sa: dict[bytes, list[Address]] = {}
        self._last: OrderedDict[tuple[Identity, int], Address] = OrderedDict()

    @override
    async def lend(self, sa: bytes, question: Lease) -> Answer:
        return self.lease(sa, question)

    def lease(self, sa: bytes, question: Lease) -> Answer:
        """Lend one address per family asked for, as far as the pool has it."""
        pool = _NO_POOL if question.pool is None else self._pools.get(question.pool)
        if pool is None:
            return Refused(f"there is no pool {question.pool!r}")
        framed = {address.version: address for address in question.framed}
        for address in framed.values():
            held = self._held.get(address)
            if held is not None and held.identity != question.identity:
                return Refused(f"{address}, which RADIUS gives {question.identity}, is taken")
        found: list[Address] = []
        for wanted in question.wanted:
            lent = framed.get(wanted.version) or self._find(pool, wanted, question.identity)
            if lent is not None:
                found.append(lent)
                self._lend(sa, question.identity, lent)
        if not found:
            return Refused(f"pool {pool.name!r} has no free address")
        return Leased(tuple(found), pool.dns, pool.domains)

    @override
    def pass_on(self, sa: bytes, successor: bytes) -> None:
        addresses = self._by_sa.pop(sa, [])
        if addresses:
            self._by_sa.setdefault(successor, []).extend(addresses)
        for address in addresses:
            held = self._held[address]
            held.sas = [successor if each == sa else each for each in held.sas]

    @override
    def release(self, sa: bytes) -> None:
        for address in self._by_sa.pop(sa, []):
            held = self._held[address]
            held.sas.remove(sa)
            if held.sas:
                continue
            del self._held[address]
            for one in self._around(address):
                one.give_back(address)

    def _lend(self, sa: bytes, identity: Identity, address: Address) -> None:
        held = self._held.setdefault(address, _Held(identity, []))
        held.sas.append(sa)
        self._by_sa.setdefault(sa, []).append(address)
        for one in self._around(address):
            one.take(address)
        self._last[identity, address.version] = address
        self._last.move_to_end((identity, address.version))
        if len(self._last) > REMEMBERED_MOST:
            self._last.popitem(last=False)

    def _around(self, address: Address) -> list[AddressRange]:
        """Return the ranges that an address is in: those of several pools may overlap."""
        return [one for one in self._ranges.values() if address in one.network]

    def _find(self, pool: Pool, wanted: Address, identity: Identity) -> Address | None:
        """Return the address asked for, the one had before, or the next free one."""
        ranges = [self._ranges[net] for net in pool.ranges if net.version == wanted.version]
        before = self._last.get((identity, wanted.version))
        for address in (wanted, before):
            if address is None or not any(one.has(address) for one in ranges):
                continue
            held = self._held.get(address)
            if held is None or (address == wanted and held.identity.is_surely(identity)):
                return address
        found = (one.next_free(self._held) for one in ranges)
        return next((address for address in found if address is not None), None)
