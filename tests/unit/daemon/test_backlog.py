# SPDX-License-Identifier: Apache-2.0
"""A reader of events cannot hold the daemon up, nor make it hoard."""

import asyncio
from collections.abc import AsyncIterator

from ikeway.control.schema import EventLine
from ikeway.daemon.backlog import Backlog


def event(number: int) -> EventLine:
    return EventLine(at=0, level="info", event="Warned", text=str(number))


async def events(count: int) -> AsyncIterator[EventLine]:
    for number in range(count):
        yield event(number)


def test_events_come_in_order_and_end() -> None:
    async def story() -> None:
        backlog = Backlog(events(3))
        assert [item.text for item in await backlog.next()] == ["0", "1", "2"]
        assert await backlog.next() == ()
        await backlog.close()

    asyncio.run(story())


def test_a_slow_reader_gets_the_newest_and_is_told_how_many_it_missed() -> None:
    async def story() -> None:
        backlog = Backlog(events(25), most=10)
        await asyncio.sleep(0.01)
        note, *rest = await backlog.next()
        assert note.event == "Skipped"
        assert note.text.startswith("15 events")
        assert [item.text for item in rest] == [str(number) for number in range(15, 25)]
        await backlog.close()

    asyncio.run(story())
