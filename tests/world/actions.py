# SPDX-License-Identifier: Apache-2.0
"""Everything that can happen in a world, as values; hosts and pairs are numbers, counted round.

To add one: a class here with its weight, and an arm in `acting`.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, TypeAlias

from ikeway.runtime.faults import Effect, Fault, Kind, Place
from ikeway.wire.registry import ExchangeType
from world.prng import Prng

HOUR: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Idle:
    """Nothing happens for a while, but what is under way goes on."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Connect:
    """One side of a pair starts one more IKE SA."""

    pair: int
    from_left: bool


@dataclass(frozen=True, slots=True)
class Disconnect:
    """A host deletes one of its IKE SAs."""

    host: int
    which: int


@dataclass(frozen=True, slots=True)
class Liveness:
    """A host asks whether a peer is alive."""

    host: int
    which: int


@dataclass(frozen=True, slots=True)
class Traffic:
    """A pair exchanges packets, each so many seconds after the other, both ways."""

    pair: int
    packets: int
    gap: float


@dataclass(frozen=True, slots=True)
class Storm:
    """The network turns bad for a while."""

    loss: float
    duplication: float
    jitter: float
    delay: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Calm:
    """The network is good again, and all links are whole."""


@dataclass(frozen=True, slots=True)
class Cut:
    """A host is cut off from all others for a while."""

    host: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Restart:
    """A host loses all state and comes back after a while."""

    host: int
    down: float


@dataclass(frozen=True, slots=True)
class Sleep:
    """A host hears nothing and does nothing; then it goes on where it was, with timers overdue."""

    host: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Rebind:
    """A NAT forgets its mappings."""

    nat: int


@dataclass(frozen=True, slots=True)
class Forge:
    """An attacker sends a host forged or repeated datagrams; `kind` is one of `forger.KINDS`."""

    host: int
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Race:
    """An attacker answers the next IKE_SA_INIT requests of a host before the peer does."""

    host: int
    kind: str
    count: int


@dataclass(frozen=True, slots=True)
class Strike:
    """A fault strikes a host, see `ikeway.runtime.faults`."""

    host: int
    place: str
    effect: str
    exchange: str | None = None
    kind: str | None = None
    purpose: str | None = None
    nth: int = 1
    count: int = 1
    seconds: float = 1.0
    octet: int = -1

    @property
    def fault(self) -> Fault:
        """The rule."""
        return Fault(
            Place(self.place),
            Effect(self.effect),
            None if self.exchange is None else ExchangeType[self.exchange],
            None if self.kind is None else Kind(self.kind),
            self.purpose,
            self.nth,
            self.count,
            self.seconds,
            self.octet,
        )


@dataclass(frozen=True, slots=True)
class Order:
    """A host gives an IKE SA a command of a name in `ikeway.ike.io`.

    It is about one of the Child SAs, or with `child` -1 about the IKE SA. The peer gets the same
    command `after` so many seconds; -1 is never.
    """

    host: int
    which: int
    command: str
    child: int = -1
    after: float = -1.0


@dataclass(frozen=True, slots=True)
class Move:
    """A host has another address for a while, one of those that it may move to; -1 is its home."""

    host: int
    to: int
    seconds: float = 600.0


Act: TypeAlias = (
    Idle
    | Connect
    | Disconnect
    | Liveness
    | Traffic
    | Storm
    | Calm
    | Cut
    | Restart
    | Sleep
    | Rebind
    | Move
    | Forge
    | Race
    | Strike
    | Order
)
KINDS: Final[dict[str, type[Act]]] = {
    kind.__name__: kind
    for kind in (
        *(Idle, Connect, Disconnect, Liveness, Traffic, Storm, Calm, Cut, Restart, Sleep, Rebind),
        *(Forge, Race, Strike, Order, Move),
    )
}


def plain(act: Act) -> list[Any]:
    """Return an action as data for a file."""
    defaults = {field.name: field.default for field in fields(act)}
    said = {key: value for key, value in asdict(act).items() if value != defaults[key]}
    return [type(act).__name__, said]


def parse(data: list[Any]) -> Act:
    """Return the action that `plain` wrote down."""
    name, known = data
    return KINDS[name](**known)


# Drawing ------------------------------------------------------------------------------------------

NOISE: Final = ("noise", "header", "flip", "cut", "replay", "notify", "flood")
ANSWERS: Final = ("no proposal", "invalid ke", "cookie", "mallory", "noise")
EXCHANGES: Final = ("IKE_SA_INIT", "IKE_AUTH", "INFORMATIONAL", "CREATE_CHILD_SA", None)
LATER_EXCHANGES: Final = ("IKE_INTERMEDIATE", "IKE_FOLLOWUP_KE", "IKE_SESSION_RESUME")
COMMANDS: Final = ("Rekey", "Rekey", "AddChild", "CloseChild")


def _storm(prng: Prng) -> Act:
    loss = prng.pick((0.0, 0.05, 0.2, 0.5, 0.9))
    jitter, delay = prng.pick((0.0, 0.1, 2.0)), prng.pick((0.001, 0.02, 0.3, 3.0))
    seconds = round(prng.spread(1, 1200), 1)
    return Storm(loss, prng.pick((0.0, 0.3)), jitter, delay, seconds)


def _message_fault(prng: Prng, exchanges: tuple[str | None, ...] = EXCHANGES) -> Act:
    effect = prng.pick(("drop", "delay", "duplicate", "corrupt"))
    return Strike(
        prng.below(8),
        prng.pick(("sent", "received")),
        effect,
        exchange=prng.pick(exchanges),
        kind=prng.pick(("request", "response", None)),
        nth=1 + prng.below(3),
        count=1 + prng.below(4),
        seconds=round(prng.spread(0.01, 60), 2),
        octet=prng.below(200),
    )


def _shell_fault(prng: Prng) -> Act:
    place, effects = prng.pick(
        (("install", ("refuse", "drop")), ("answer", ("drop", "delay", "duplicate")))
    )
    purpose = prng.pick(("sign", "verify", "lease", "measure", "install"))
    return Strike(
        prng.below(8),
        place,
        prng.pick(effects),
        purpose=purpose if place == "answer" else None,
        count=1 + prng.below(2),
        seconds=round(prng.spread(0.01, 60), 2),
    )


def _order(prng: Prng) -> Act:
    child = prng.weighted([(2, -1), (3, prng.below(4))])
    after = prng.weighted([(2, -1.0), (1, 0.0), (1, round(prng.spread(0.001, 0.2), 3))])
    return Order(prng.below(8), prng.below(4), prng.pick(COMMANDS), child, after)


def _crossing(prng: Prng) -> Act:
    """Both sides rekey at nearly the same moment: the IKE SA, or one of its Child SAs each."""
    child = prng.weighted([(2, -1), (1, prng.below(4))])
    return Order(prng.below(8), prng.below(4), "Rekey", child, round(prng.between(0, 0.25), 3))


Draw: TypeAlias = tuple[int, Callable[[Prng], Act]]
DRAWS: Final[tuple[Draw, ...]] = (
    (30, lambda prng: Idle(round(prng.spread(0.01, 30), 3))),
    (30, lambda prng: Idle(round(prng.spread(30, 24 * HOUR)))),
    (8, lambda prng: Connect(prng.below(8), prng.chance(0.6))),
    (8, lambda prng: Disconnect(prng.below(8), prng.below(4))),
    (3, lambda prng: Liveness(prng.below(8), prng.below(4))),
    (10, lambda prng: Traffic(prng.below(8), 1 + prng.below(8), round(prng.spread(0.001, 60), 3))),
    (6, _storm),
    (3, lambda _: Calm()),
    (4, lambda prng: Cut(prng.below(8), round(prng.spread(1, 1200), 1))),
    (6, lambda prng: Restart(prng.below(8), round(prng.spread(0.1, 600), 1))),
    (3, lambda prng: Sleep(prng.below(8), round(prng.spread(1, 2 * HOUR)))),
    (4, lambda prng: Rebind(prng.below(4))),
    (12, lambda prng: Forge(prng.below(8), prng.pick(NOISE), 1 + prng.below(12))),
    (6, lambda prng: Race(prng.below(8), prng.pick(ANSWERS), 1 + prng.below(5))),
    (8, _message_fault),
    (6, _shell_fault),
    (20, _order),
    (8, lambda prng: Move(prng.below(8), prng.below(3) - 1, round(prng.spread(1, 900), 1))),
)


LATER: Final = (
    *DRAWS,
    (6, lambda prng: _message_fault(prng, LATER_EXCHANGES)),
    (6, _crossing),
    (4, lambda prng: Cut(prng.below(8), round(prng.spread(60, 600), 1))),
)
"""With what has come later: longer series of messages, and IKE SAs that are lost, not ended."""


def draw(
    seed: int, hours: float, pace: float = 1.0, draws: tuple[Draw, ...] = DRAWS
) -> tuple[Act, ...]:
    """Return what happens in the world of a seed; its long pauses are `pace` times as long."""
    prng = Prng(seed, "actions")
    acts: list[Act] = []
    passed = 0.0
    while passed < hours * HOUR:
        act = prng.weighted(draws)(prng)
        if isinstance(act, Idle):
            passed += act.seconds
            act = Idle(max(round(act.seconds * pace, 3), min(act.seconds, 30.0)))
        acts.append(act)
    return tuple(acts)
