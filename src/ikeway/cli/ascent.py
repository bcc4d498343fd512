# SPDX-License-Identifier: Apache-2.0
"""Follows a connection from its start until it carries traffic, or until it is known why not."""

import time
from typing import Final

from ikeway.cli.background import Background
from ikeway.cli.options import console
from ikeway.control.client import ControlClient, Watching
from ikeway.control.rundir import RunDir
from ikeway.control.schema import EventLine
from ikeway.control.status import IkeStatus
from ikeway.model.errors import HostError, UsageError
from ikeway.model.time import Seconds
from ikeway.runtime.log import plain

_STEP: Final[Seconds] = 0.25
_QUIET: Final = frozenset({"MessageSent", "MessageReceived", "Dropped"})


def ascend(
    place: RunDir, name: str, patience: Seconds, *, starts_itself: bool, daemon: Background | None
) -> IkeStatus:
    """Start a connection, or watch it start itself, and return its IKE SA once it is up.

    Raises:
        UsageError: it was refused or failed; says why.
        HostError: it takes too long, or the daemon ended.
    """
    client = ControlClient(place.path)
    deadline = time.monotonic() + patience
    with (
        client.watch() as events,
        console(stderr=True).status(f"{plain(name)}: connecting") as spin,
    ):
        # One that starts itself may have been up before we watched.
        found = _established(client, name)
        if found is None and not starts_itself:
            client.initiate(name)
        while found is None:
            if time.monotonic() > deadline:
                raise HostError(f"{name} is not up after {patience:g} s; see {place.log}")
            if daemon is not None:
                daemon.check_alive()
            event = _next(events, place)
            if event is not None:
                _check(event, name)
                if event.event not in _QUIET:
                    spin.console.print(f"  {plain(event.text)}", style="dim")
            found = _established(client, name)
    return found


def _next(events: Watching, place: RunDir) -> EventLine | None:
    """Return the next event, or None if there is none for a while.

    Raises:
        HostError: the daemon ended.
    """
    try:
        event = events.next(_STEP)
    except TimeoutError:
        return None
    if event is None:
        raise HostError(f"the daemon ended; see {place.log}")
    return event


def _check(event: EventLine, name: str) -> None:
    """Check that an event does not end our hope.

    Raises:
        UsageError: it does; says why.
    """
    failed = event.event == "ChildFailed" or (event.event == "Closed" and event.level == "error")
    if failed and event.facts.get("connection") in {None, name}:
        raise UsageError(f"{name} did not come up: {event.text}")


def _established(client: ControlClient, name: str) -> IkeStatus | None:
    """Return the IKE SA of a connection if it carries traffic."""
    for sa in client.status().ike_sas:
        if sa.connection == name and sa.state.lower() == "established" and sa.child_sas:
            return sa
    return None
