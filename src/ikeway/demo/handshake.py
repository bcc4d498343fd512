# SPDX-License-Identifier: Apache-2.0
"""The handshake as the laptop's daemon tells it while it happens: messages, algorithms, times."""

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from ikeway.control.client import ControlClient, Watching
from ikeway.control.schema import EventLine
from ikeway.demo.papers import CONNECTION
from ikeway.model.errors import HostError
from ikeway.model.time import Seconds

_PATIENCE: Final[Seconds] = 10.0
_MESSAGE: Final = re.compile(r"(?:sent|received) (\S+) (request|response) \d+ \[(.*)\]")
_FAILURES: Final = {"Closed", "ChildFailed"}


@dataclass(frozen=True, slots=True)
class Message:
    """An IKE message on its way; `at` is since the first one. `payloads` as in RFC 7296 §1.2."""

    at: Seconds
    is_ours: bool
    exchange: str
    payloads: str
    octets: int


@dataclass(frozen=True, slots=True)
class Done:
    """The tunnel is up, so long after the first message."""

    took: Seconds


def shake_hands(client: ControlClient) -> Iterator[Message | Done]:
    """Start the connection and yield each message as it passes, then `Done`.

    Raises:
        HostError: the peers did not agree, or nothing happens any more; says what the daemon said.
    """
    with client.watch() as watching:
        client.initiate(CONNECTION)
        started: float | None = None
        for event in _events(watching):
            if event.event in _FAILURES:
                raise HostError(f"the handshake failed: {event.text}")
            message = _message(event, started)
            if message is not None:
                started = event.at if started is None else started
                yield message
            if event.event == "ChildEstablished" and started is not None:
                yield Done(event.at - started)
                return


def _events(watching: Watching) -> Iterator[EventLine]:
    until = time.monotonic() + _PATIENCE
    while (left := until - time.monotonic()) > 0:
        try:
            event = watching.next(left)
        except TimeoutError:
            break
        if event is None:
            raise HostError("the laptop's daemon ended during the handshake")
        yield event
    raise HostError(f"no tunnel after {_PATIENCE:.0f} s")


def _message(event: EventLine, started: float | None) -> Message | None:
    found = _MESSAGE.fullmatch(event.text)
    if event.event not in {"MessageSent", "MessageReceived"} or found is None:
        return None
    return Message(
        at=event.at - (event.at if started is None else started),
        is_ours=event.event == "MessageSent",
        exchange=found[1],
        payloads=_shortened(found[3]),
        octets=int(str(event.facts.get("octets", 0))),
    )


def _shortened(payloads: str) -> str:
    """Return the payloads with the notifies, which are many, as a number."""
    names = [re.sub(r"(?<!^N)\(.*", "", name) for name in payloads.split()]
    notifies = sum(name.startswith("N(") for name in names)
    others = [name for name in names if not name.startswith("N(")]
    return " ".join(others + [f"N×{notifies}"] * bool(notifies))
