# SPDX-License-Identifier: Apache-2.0
"""The hostile network: loss, delay, reordering, duplication, partitions and NATs (RFC 4787)."""

from dataclasses import dataclass, field
from typing import Final

from ikeway.model.address import Address, Endpoint
from world.prng import Prng

FIRST_PORT: Final = 20000


@dataclass(frozen=True, slots=True)
class EspPacket:
    """An ESP packet as the model of the data plane makes it; `key` names its key."""

    spi: int
    key: bytes
    sequence: int


@dataclass(frozen=True, slots=True)
class Packet:
    """What is on its way: IKE octets or ESP, and whether its sender counts on its arrival."""

    source: Endpoint
    target: Endpoint
    content: bytes | EspPacket


@dataclass
class Nat:
    """Keeps a mapping per inner endpoint, whatever the target; lets in who was sent to (§5).

    `epoch` counts the times that it forgot everything and started over.
    """

    public: Address
    lifetime: float
    epoch: int = 0
    _outer: dict[Endpoint, int] = field(default_factory=dict)
    _inner: dict[int, Endpoint] = field(default_factory=dict)
    _used: dict[int, float] = field(default_factory=dict)
    _let_in: dict[int, set[Address]] = field(default_factory=dict)

    def outward(self, source: Endpoint, target: Endpoint, now: float) -> Endpoint:
        """Return what a packet's source becomes."""
        port = self._outer.get(source)
        if port is None or now - self._used[port] > self.lifetime:
            port = self._map(source)
        self._used[port] = now
        self._let_in[port].add(target.address)
        return Endpoint(self.public, port)

    def inward(self, source: Endpoint, target: Endpoint, now: float) -> Endpoint | None:
        """Return whom a packet is for, or None if it is not let in."""
        inner = self._inner.get(target.port)
        if inner is None or now - self._used[target.port] > self.lifetime:
            return None
        if source.address not in self._let_in[target.port]:
            return None
        self._used[target.port] = now
        return inner

    def rebind(self) -> None:
        """Forget all mappings, as after a restart; new ones have other ports."""
        self.epoch += 1
        for known in (self._outer, self._inner, self._used, self._let_in):
            known.clear()

    def _map(self, source: Endpoint) -> int:
        old = self._outer.pop(source, None)
        if old is not None:
            self._inner.pop(old, None)
        port = FIRST_PORT + 1000 * (self.epoch % 40) + len(self._used)
        self._outer[source] = port
        self._inner[port] = source
        self._let_in[port] = set()
        return port


@dataclass(frozen=True, slots=True)
class Weather:
    """How bad the network is now; the default is fair."""

    loss: float = 0.0
    duplication: float = 0.0
    jitter: float = 0.0
    delay: float = 0.02


FAIR: Final = Weather()


@dataclass
class Network:
    """What becomes of a packet. Each sender has a stream of chances of its own."""

    seed: int
    nats: list[Nat]
    weather: Weather = FAIR
    cuts: dict[str, float] = field(default_factory=dict)
    storm_until: float = 0.0
    _chances: dict[str, Prng] = field(default_factory=dict)

    def fates(self, sender: str, now: float) -> tuple[float, ...]:
        """Return how long each copy of a packet takes; none arrives if it is lost."""
        chances = self._chances.get(sender)
        if chances is None:
            chances = self._chances[sender] = Prng(self.seed, f"network/{sender}")
        self._clear_up(now)
        weather = self.weather
        if chances.chance(weather.loss):
            return ()
        count = 2 if chances.chance(weather.duplication) else 1
        if not weather.jitter:
            return (weather.delay,) * count
        return tuple(weather.delay + chances.between(0, weather.jitter) for _ in range(count))

    def nat_at(self, address: Address) -> Nat | None:
        """Return the NAT that has this public address."""
        return next((nat for nat in self.nats if nat.public == address), None)

    def is_cut(self, host: str, now: float) -> bool:
        """Whether a host is cut off."""
        return bool(self.cuts) and self.cuts.get(host, 0.0) > now

    def is_fair(self, now: float) -> bool:
        """Whether everything arrives, if somebody is there."""
        self._clear_up(now)
        return self.weather.loss == 0 and not any(until > now for until in self.cuts.values())

    def heal(self) -> None:
        """End everything that is bad."""
        self.weather = FAIR
        self.cuts.clear()

    def _clear_up(self, now: float) -> None:
        if self.storm_until < now:
            self.weather = FAIR
