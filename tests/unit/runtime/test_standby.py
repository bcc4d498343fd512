# SPDX-License-Identifier: Apache-2.0
"""A pair on standby waits for its use, and not for ever."""

import asyncio

from ikeway.runtime.standby import Standby


def test_who_is_not_used_sends_after_a_while_unless_it_goes() -> None:
    async def story() -> None:
        active: list[int] = []
        standby = Standby(asyncio.get_running_loop(), active.append)
        for spi_in in (1, 2):
            standby.wait(spi_in, 0.01)
        standby.forget(2)
        standby.forget(3)
        await asyncio.sleep(0.05)
        assert active == [1]
        standby.wait(4, 0.01)
        standby.close()
        await asyncio.sleep(0.05)
        assert active == [1]

    asyncio.run(story())
