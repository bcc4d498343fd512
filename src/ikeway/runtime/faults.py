# SPDX-License-Identifier: Apache-2.0
"""Faults on demand, for tests: lose, delay, double or corrupt the n-th message, refuse an install.

Rules are values. The simulator and the driver put everything that enters or leaves the core through
`Faults`; a daemon does so only where it was started with `--faults`, and says it with every effect.
"""

import tomllib
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from enum import Enum
from pathlib import Path
from typing import Final, TypeAlias

from ikeway.ike.io import Action, Answered, Datagram, InstallChild, Send
from ikeway.ike.questions import Refused
from ikeway.model.errors import ConfigError, MalformedError
from ikeway.model.time import Seconds
from ikeway.wire.message import Header
from ikeway.wire.registry import ExchangeType

REFUSAL: Final = "a fault was asked for"


class Place(Enum):
    """Where a fault strikes."""

    SENT = "sent"
    RECEIVED = "received"
    INSTALL = "install"
    ANSWER = "answer"


class Effect(Enum):
    """What a fault does. REFUSE is for installs, CORRUPT for messages."""

    DROP = "drop"
    DELAY = "delay"
    DUPLICATE = "duplicate"
    CORRUPT = "corrupt"
    REFUSE = "refuse"


class Kind(Enum):
    """Which messages a fault strikes."""

    REQUEST = "request"
    RESPONSE = "response"


@dataclass(frozen=True, slots=True)
class Fault:
    """A rule: what matches is counted from 1, and those from `nth` on are struck, `count` of them.

    `count` 0 is all. `purpose` is the first word of a ticket: sign, verify, lease, measure or
    install. `seconds` is how late a delayed thing is, `octet` the place where a message is
    corrupted, from its end if negative.
    """

    place: Place
    effect: Effect
    exchange: ExchangeType | None = None
    kind: Kind | None = None
    purpose: str | None = None
    nth: int = 1
    count: int = 1
    seconds: Seconds = 1.0
    octet: int = -1

    def strikes(self, number: int) -> bool:
        """Whether the `number`-th of what matches is struck."""
        return number >= self.nth and (self.count == 0 or number < self.nth + self.count)


Thing: TypeAlias = Action | Datagram | Answered


@dataclass(frozen=True, slots=True)
class Due:
    """Something to be done or to be taken in, after a while."""

    wait: Seconds
    what: Thing


class Faults:
    """Rules at work. Of several that match one thing the first that strikes has its way."""

    def __init__(self, rules: tuple[Fault, ...], tell: Callable[[str], None]) -> None:
        self._rules = list(rules)
        self._seen = [0] * len(rules)
        self._tell = tell

    @property
    def rules(self) -> tuple[Fault, ...]:
        """The rules that are not used up."""
        return tuple(
            rule
            for rule, seen in zip(self._rules, self._seen, strict=True)
            if rule.count == 0 or seen < rule.nth + rule.count - 1
        )

    @property
    def is_idle(self) -> bool:
        """Whether there is nothing that could strike."""
        return not self._rules

    def add(self, rule: Fault) -> None:
        """Add a rule; it counts from now on."""
        self._rules.append(rule)
        self._seen.append(0)

    def clear(self) -> None:
        """Drop all rules."""
        self._rules.clear()
        self._seen.clear()

    def leaving(self, action: Action) -> tuple[Due, ...]:
        """Return what becomes of an action of the core."""
        match action:
            case Send(octets=octets):
                return self._message(Place.SENT, action, octets)
            case InstallChild():
                return self._effect(self._find(Place.INSTALL, None, "install"), action)
            case _:
                return (Due(0.0, action),)

    def entering(self, event: Datagram | Answered) -> tuple[Due, ...]:
        """Return what becomes of an input of the core."""
        if isinstance(event, Datagram):
            return self._message(Place.RECEIVED, event, event.octets)
        purpose = event.ticket.purpose.split("-")[0]
        return self._effect(self._find(Place.ANSWER, None, purpose), event)

    def _message(self, place: Place, what: Send | Datagram, octets: bytes) -> tuple[Due, ...]:
        if not self._rules:
            return (Due(0.0, what),)
        try:
            header = Header.decode(octets)
        except MalformedError:
            return (Due(0.0, what),)
        return self._effect(self._find(place, header, None), what)

    def _find(self, place: Place, header: Header | None, purpose: str | None) -> Fault | None:
        """Count a thing for every rule that it matches; return the rule that strikes it."""
        found: Fault | None = None
        for index, rule in enumerate(self._rules):
            if rule.place is not place or not _matches(rule, header, purpose):
                continue
            self._seen[index] += 1
            if found is None and rule.strikes(self._seen[index]):
                found = rule
        return found

    def _effect(self, rule: Fault | None, what: Thing) -> tuple[Due, ...]:
        if rule is None:
            return (Due(0.0, what),)
        self._tell(f"FAULT {rule.place.value} {rule.effect.value}: {type(what).__name__}")
        match rule.effect:
            case Effect.DROP:
                return ()
            case Effect.DELAY:
                return (Due(rule.seconds, what),)
            case Effect.DUPLICATE:
                return (Due(0.0, what), Due(rule.seconds, what))
            case Effect.CORRUPT:
                return (Due(0.0, _corrupt(what, rule.octet)),)
            case Effect.REFUSE:
                return (Due(0.0, _refuse(what)),)


def _matches(rule: Fault, header: Header | None, purpose: str | None) -> bool:
    if header is None:
        return rule.purpose in {None, purpose}
    if rule.exchange not in {None, header.exchange}:
        return False
    return rule.kind is None or (rule.kind is Kind.RESPONSE) == header.is_response


def _corrupt(what: Thing, octet: int) -> Thing:
    if not isinstance(what, Send | Datagram) or not what.octets:
        return what
    octets = bytearray(what.octets)
    octets[octet % len(octets)] ^= 1
    return replace(what, octets=bytes(octets))


def _refuse(what: Thing) -> Thing:
    if isinstance(what, InstallChild | Answered):
        return Answered(what.ticket, Refused(REFUSAL))
    return what


# Rules in a file ----------------------------------------------------------------------------------


def load(path: Path) -> tuple[Fault, ...]:
    """Return the rules of a file.

    Raises:
        ConfigError: it cannot be read, or is not as it has to be.
    """
    try:
        return parse(path.read_text())
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error


def parse(text: str) -> tuple[Fault, ...]:
    """Return the rules of a text: TOML, a table `[[fault]]` each, its keys the fields of `Fault`.

    Raises:
        ConfigError: it is no TOML, or a key or value is none of a fault.
    """
    try:
        tables = tomllib.loads(text).get("fault", [])
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"faults: {error}") from error
    return tuple(_rule(table) for table in tables)


def _rule(table: dict[str, object]) -> Fault:
    allowed = [field.name for field in fields(Fault)]
    unknown = [key for key in table if key not in allowed]
    if unknown:
        raise ConfigError(f"fault: {unknown[0]!r} is not known; allowed are {', '.join(allowed)}")
    known: dict[str, object] = dict(table)
    try:
        for key, kind in (("place", Place), ("effect", Effect), ("kind", Kind)):
            if key in known:
                known[key] = kind(known[key])
        if "exchange" in known:
            known["exchange"] = ExchangeType[str(known["exchange"])]
        return Fault(**known)  # type: ignore[arg-type]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigError(f"fault {table}: {error}") from error
