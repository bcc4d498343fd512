# SPDX-License-Identifier: Apache-2.0
"""The end of an engine is heard, whatever it had read and said before."""

import asyncio
import socket
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import uvloop

from ikeway.dataplane.engine_channel import EngineChannel, EngineGoneError

Run = Callable[[Coroutine[Any, Any, None]], None]
EVENT = b'{"event":"peer_moved","spi_in":7,"peer":{"address":"192.0.2.1","port":4500}}'


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("is_read", [True, False])
@pytest.mark.parametrize("says", [0, 3])
def test_an_engine_that_dies_is_gone(run: Run, is_read: bool, says: int) -> None:
    """With a request unread its death is a reset, after which uvloop calls no reader."""

    async def story() -> None:
        ours, engine = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        ours.setblocking(False)
        channel = EngineChannel(ours)
        asked = asyncio.create_task(channel.ask("usages", start=0))
        await asyncio.sleep(0)
        for _ in range(says):
            engine.send(EVENT)
        if is_read:
            engine.recv(1 << 16)
        engine.close()
        events = channel.events()
        async with asyncio.timeout(2.0):
            for _ in range(says):
                await anext(events)
            with pytest.raises(EngineGoneError, match="gone"):
                await anext(events)
            with pytest.raises(EngineGoneError):
                await asked

    run(story())
