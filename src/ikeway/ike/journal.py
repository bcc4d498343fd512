# SPDX-License-Identifier: Apache-2.0
"""A journal of inputs is a bug report: the same inputs give the same octets.

A journal holds secrets: the seed gives away every key of its IKE SAs. It is for those who may see
these. Connections, credentials and the secrets of tickets are not in it: a replay needs these too,
as they were at the beginning.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import TypeAlias

from typing_extensions import override

from ikeway.crypto.random import SeededRandom
from ikeway.ike.endpoint import Endpoint
from ikeway.ike.environment import Environment
from ikeway.ike.io import (
    Action,
    AddressesChanged,
    Answered,
    Command,
    Datagram,
    Initiate,
    PeerSeen,
    TimerFired,
)
from ikeway.model.secret import Secret
from ikeway.model.time import Instant

SaInput: TypeAlias = TimerFired | Answered | PeerSeen | Command


@dataclass(frozen=True, slots=True)
class Told:
    """An input of the IKE SA with this SPI of ours."""

    spi: bytes
    event: SaInput


Event: TypeAlias = Initiate | Datagram | AddressesChanged | Told


@dataclass(frozen=True, slots=True)
class Entry:
    """What an endpoint was given, and when."""

    at: Instant
    event: Event


@dataclass(frozen=True, slots=True)
class Journal:
    """Everything that an endpoint was given, and the seed of its randomness."""

    seed: Secret
    entries: tuple[Entry, ...]


class RecordingEndpoint(Endpoint):
    """An endpoint that notes each input before it takes it."""

    def __init__(self, env: Environment, seed: Secret, note: Callable[[Entry], None]) -> None:
        super().__init__(replace(env, random=SeededRandom(seed)))
        self._note = note

    @override
    def initiate(self, command: Initiate, now: Instant) -> tuple[bytes, tuple[Action, ...]]:
        self._note(Entry(now, command))
        return super().initiate(command, now)

    @override
    def receive(self, datagram: Datagram, now: Instant) -> tuple[Action, ...]:
        self._note(Entry(now, datagram))
        return super().receive(datagram, now)

    @override
    def addresses_changed(self, event: AddressesChanged, now: Instant) -> tuple[Action, ...]:
        self._note(Entry(now, event))
        return super().addresses_changed(event, now)

    @override
    def handle(self, spi: bytes, event: SaInput, now: Instant) -> tuple[Action, ...]:
        self._note(Entry(now, Told(spi, event)))
        return super().handle(spi, event, now)


def replay(journal: Journal, env: Environment) -> Iterable[tuple[Entry, tuple[Action, ...]]]:
    """Give an endpoint everything once more; return each input with what came of it."""
    endpoint = Endpoint(replace(env, random=SeededRandom(journal.seed)))
    for entry in journal.entries:
        yield entry, _give(endpoint, entry)


def _give(endpoint: Endpoint, entry: Entry) -> tuple[Action, ...]:
    match entry.event:
        case Initiate():
            return endpoint.initiate(entry.event, entry.at)[1]
        case Datagram():
            return endpoint.receive(entry.event, entry.at)
        case AddressesChanged():
            return endpoint.addresses_changed(entry.event, entry.at)
        case Told(spi, event):
            return endpoint.handle(spi, event, entry.at)
