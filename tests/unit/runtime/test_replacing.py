# SPDX-License-Identifier: Apache-2.0
"""Many Child SAs are replaced, a few at a time."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from ikeway.runtime import replacing
from ikeway.runtime.replacing import AT_ONCE, Replacing


def play(story: Callable[[], Awaitable[None]]) -> None:
    async def within() -> None:
        await story()

    asyncio.run(within())


def test_no_more_than_a_few_are_on_their_way_and_each_that_is_over_makes_room() -> None:
    async def story() -> None:
        begun: list[int] = []
        lost = Replacing(asyncio.get_running_loop(), begun.append)
        lost.add(range(100))
        for over in range(100):
            assert begun == list(range(min(AT_ONCE + over, 100)))
            lost.gone(over)
            await asyncio.sleep(0)

    play(story)


def test_one_that_is_over_while_it_begins_makes_room_as_well() -> None:
    async def story() -> None:
        begun: list[int] = []

        def begin(spi_in: int) -> None:
            begun.append(spi_in)
            lost.gone(spi_in)

        lost = Replacing(asyncio.get_running_loop(), begin)
        lost.add(range(3 * AT_ONCE))
        for _ in range(2 * AT_ONCE):
            await asyncio.sleep(0)
        assert begun == list(range(3 * AT_ONCE))

    play(story)


def test_peers_that_are_gone_hold_up_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replacing, "PATIENCE", 0.01)

    async def story() -> None:
        begun: list[int] = []
        lost = Replacing(asyncio.get_running_loop(), begun.append)
        lost.add(range(AT_ONCE + 5))
        assert len(begun) == AT_ONCE
        await asyncio.sleep(0.05)
        assert begun == list(range(AT_ONCE + 5))
        lost.gone(1)

    play(story)


def test_what_went_while_it_waited_is_not_begun() -> None:
    async def story() -> None:
        begun: list[int] = []
        lost = Replacing(asyncio.get_running_loop(), begun.append)
        lost.add(range(AT_ONCE + 3))
        lost.gone(AT_ONCE)
        for over in range(3):
            lost.gone(over)
        await asyncio.sleep(0)
        assert begun == [*range(AT_ONCE), AT_ONCE + 1, AT_ONCE + 2]

    play(story)


def test_one_that_is_lost_once_more_is_begun_once() -> None:
    async def story() -> None:
        begun: list[int] = []
        lost = Replacing(asyncio.get_running_loop(), begun.append)
        lost.add([1, 2])
        lost.add([2, 1, 3])
        assert begun == [1, 2, 3]

    play(story)
