# SPDX-License-Identifier: Apache-2.0
"""The keys of what carries the packets."""

from enum import Enum
from typing import Annotated

from pydantic import Field

from ikeway.config.parsed import choice, written
from ikeway.config.terms import Table


class Backend(Enum):
    """What carries the packets."""

    ENGINE = "engine"
    XFRM = "xfrm"
    NULL = "null"


class DataPlaneTable(Table):
    """What carries the packets."""

    backend: Annotated[Backend, choice(Backend)] = written("engine")
    """`engine`: our own, in user space; `xfrm`: the Linux kernel's IPsec; `null`: negotiate, carry
    nothing, for tests and audits."""

    interface: str = written("ikeway0", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,14}$")
    """The name of the tunnel's network interface."""

    mtu: int = Field(default=1400, ge=576, le=65535)
    """Its largest packet; IPv6 needs 1280."""

    queues: int = Field(default=0, ge=0, le=64)
    """How many queues our own engine serves, each with a thread for either direction; 0 is one for
    every two processors."""

    busy_poll: int = Field(default=0, ge=0, le=1_000_000)
    """For how many microseconds a thread of our own engine that has nothing to do looks for more
    before it sleeps, if that has found something of late. 10000 lowers the delay of sparse packets,
    as a sleeping processor takes long to wake, and costs one while a hundred come in a second."""

    hold: bool = False
    """Keep closed what `[policies]` and `protect` close when the daemon ends in good order, too, so
    that nothing leaks while it restarts. The next start, or one of the host, opens it."""
