# SPDX-License-Identifier: Apache-2.0
"""Things that a host of a ladder wants to ask, several at a time."""

from ikeway.ike import agenda
from ikeway.ike.io import TimerFired
from ikeway.ike.states import Established
from ikeway.ike.tasks import CreateChild, Inform, Task
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType
from support.ladder import Ladder
from support.shell import Host

FIRST_PRIVATE = 40960
"""Status notifies from here on are for private use (RFC 7296 §3.10.1)."""


def word(number: int) -> Inform:
    """Return a request that means nothing and is unlike others."""
    return Inform((Notify(NotifyType(FIRST_PRIVATE + number)),))


def want(ladder: Ladder, host: Host, *tasks: Task) -> None:
    """Have a host want these things; what the window allows is on the wire afterwards."""
    (sa,) = (one for one in host.endpoint.sas if isinstance(one.state, Established))
    for task in tasks:
        assert isinstance(sa.state, Established)
        sa._state = agenda.want(sa.state, task)
    # An early timer does nothing itself, but every input ends with asking what may be asked.
    ladder.perform(host, host.endpoint.handle(sa.spi, TimerFired(), ladder.now))


def one_more(host: Host) -> CreateChild:
    """Return what makes one more child of a host's only connection."""
    (connection,) = host.endpoint.env.connections
    return CreateChild(connection.name)


def add_children(ladder: Ladder, count: int) -> None:
    """Have the left host make more Child SAs with the selectors of the first."""
    for _ in range(count):
        want(ladder, ladder.left, one_more(ladder.left))
        ladder.settle()
