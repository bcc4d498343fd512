# SPDX-License-Identifier: Apache-2.0
"""A host that roams is looked at again at once; one whose routes change all the time is not."""

import asyncio
import struct

import pytest

from ikeway.client.roaming import AT_ONCE, PAUSE, SETTLES, Pace, Roaming, is_news, messages

OURS, OTHER = 7, 3
NEWLINK, NEWADDR, DELADDR, NEWROUTE, NEWNEIGH = 16, 20, 21, 24, 28
MAIN_TABLE, NUMBERED = 254, 252


def netlink(kind: int, body: bytes) -> bytes:
    """Return a netlink message, padded to four octets."""
    length = 16 + len(body)
    return struct.pack("=IHHII", length, kind, 0, 0, 0) + body + bytes(-length % 4)


def about(interface: int) -> bytes:
    """Return the body of a message about a link or an address."""
    return struct.pack("=BBBBI", 2, 24, 0, 0, interface)


def route(table: int) -> bytes:
    return struct.pack("=BBBBBBBBI", 2, 0, 0, 0, table, 0, 0, 0, 0)


def test_messages_are_told_apart_and_what_is_broken_ends_them() -> None:
    one, two = netlink(NEWADDR, about(OTHER)), netlink(NEWROUTE, b"12345")
    assert list(messages(one + two)) == [(NEWADDR, about(OTHER)), (NEWROUTE, b"12345")]
    assert list(messages(one + two[:10])) == [(NEWADDR, about(OTHER))]
    assert list(messages(struct.pack("=IHHII", 4, NEWADDR, 0, 0, 0) + two)) == []
    assert list(messages(b"")) == []


@pytest.mark.parametrize(
    ("kind", "body", "counts"),
    [
        (NEWADDR, about(OTHER), True),
        (DELADDR, about(OTHER), True),
        (NEWLINK, about(OTHER), True),
        (NEWADDR, about(OURS), False),
        (NEWLINK, about(OURS), False),
        (NEWROUTE, route(MAIN_TABLE), True),
        (NEWROUTE, route(NUMBERED), False),
        (NEWNEIGH, about(OTHER), False),
        (NEWADDR, b"short", False),
        (NEWROUTE, b"", False),
    ],
)
def test_what_concerns_our_own_interface_and_table_is_no_news(
    kind: int, body: bytes, counts: bool
) -> None:
    """Else each Child SA that comes up would look like a move of the host."""
    assert is_news(kind, body, OURS) is counts


def test_a_change_is_told_once_it_has_settled() -> None:
    async def story() -> tuple[float, bool]:
        loop = asyncio.get_running_loop()
        with Roaming(lambda: OURS) as roaming:
            waiting = loop.create_task(roaming.change())
            began = loop.time()
            for _ in range(3):
                roaming._news.set()
                await asyncio.sleep(SETTLES / 2)
            assert not waiting.done()
            await waiting
            return loop.time() - began, roaming._news.is_set()

    took, is_set = asyncio.run(story())
    assert took >= 2 * SETTLES
    assert not is_set


def test_the_parts_of_one_move_are_each_seen_at_once() -> None:
    """An address goes, another one comes, then a route: whoever waits for a pause stands still."""
    pace = Pace()
    assert [pace.wait(now) for now in (100.0, 100.2, 100.4, 100.6)] == [0.0] * AT_ONCE


def test_changes_without_end_are_seen_once_in_a_pause() -> None:
    pace, now = Pace(), 100.0
    looks = []
    for _ in range(AT_ONCE + 20):
        now += pace.wait(now)
        looks.append(now)
    assert looks[AT_ONCE:] == pytest.approx([100.0 + n * PAUSE for n in range(1, 21)])


def test_a_quiet_while_allows_for_the_next_move() -> None:
    pace = Pace()
    for _ in range(AT_ONCE):
        pace.wait(100.0)
    assert pace.wait(100.0) == PAUSE
    later = 101.0 + AT_ONCE * PAUSE
    assert [pace.wait(later) for _ in range(AT_ONCE)] == [0.0] * AT_ONCE
