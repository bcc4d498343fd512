# SPDX-License-Identifier: Apache-2.0
"""What somebody ends on purpose stays down until somebody wants it again."""

import asyncio
from pathlib import Path

import pytest

from ikeway.model.errors import UsageError
from ikeway.runtime import upkeep
from support.configured import PSK
from support.supervised import Supervised, supervising, until

KEPT = (
    PSK.replace("203.0.113.7", "127.0.0.9")
    + """
start = "now"
retransmission = { first = "20ms", give_up = "100ms" }
"""
)
"""A connection that is to stay up, to somebody who is not there."""


@pytest.fixture(autouse=True)
def haste(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pauses be short."""
    monkeypatch.setattr(upkeep, "BACK_OFF", (0.1,))


async def names(one: Supervised) -> tuple[int, list[str]]:
    """Return how many IKE SAs are on their way, and which connections wait to be tried again."""
    status = await one.supervisor.status()
    return len(status.ike_sas), [retry.connection for retry in status.retries]


async def idle(one: Supervised) -> bool:
    return await names(one) == (0, [])


@pytest.mark.parametrize("when", ["on its way", "waiting"])
def test_disconnect_ends_the_efforts_for_a_connection_that_is_kept(
    tmp_path: Path, when: str
) -> None:
    async def story() -> None:
        async with supervising(tmp_path, KEPT) as one:
            endpoint = one.supervisor._driver.endpoint
            await until(lambda: bool(endpoint.sas), "a first try")
            if when == "waiting":
                await until(lambda: bool(one.supervisor._starter.waiting), "a pause")
            gone = await one.supervisor.disconnect("b")
            assert bool(gone) == (when == "on its way")
            await until(lambda: not endpoint.sas, "the end")
            await asyncio.sleep(0.2)
            assert await idle(one)

    asyncio.run(story())


def test_a_connection_that_rests_is_kept_up_again_once_it_is_started(tmp_path: Path) -> None:
    async def story() -> None:
        async with supervising(tmp_path, KEPT) as one:
            await until(lambda: bool(one.supervisor._driver.endpoint.sas), "a first try")
            await one.supervisor.disconnect("b")
            await one.supervisor.initiate("b")
            assert (await names(one))[0] == 1
            await until(lambda: bool(one.supervisor._starter.waiting), "another try")

    asyncio.run(story())


def test_what_rests_or_is_unknown_cannot_be_disconnected(tmp_path: Path) -> None:
    async def story() -> None:
        async with supervising(tmp_path, KEPT) as one:
            await until(lambda: bool(one.supervisor._driver.endpoint.sas), "a first try")
            await one.supervisor.disconnect("b")
            await until(lambda: not one.supervisor._driver.endpoint.sas, "the end")
            for name in ("b", "nobody"):
                with pytest.raises(UsageError, match=f"no SA is called '{name}'"):
                    await one.supervisor.disconnect(name)

    asyncio.run(story())


def test_an_id_is_of_one_ike_sa_and_the_connection_is_kept_while_it_has_another(
    tmp_path: Path,
) -> None:
    async def story() -> None:
        patient = KEPT.replace('"100ms"', '"60s"')
        async with supervising(tmp_path, patient) as one:
            endpoint = one.supervisor._driver.endpoint
            await until(lambda: bool(endpoint.sas), "a first try")
            await one.supervisor.initiate("b")
            first, second = (sa.spi.hex() for sa in endpoint.sas)
            assert await one.supervisor.disconnect(first) == [first]
            assert "b" not in one.supervisor._starter._upkeep._resting
            assert await one.supervisor.disconnect(second) == [second]
            await asyncio.sleep(0.2)
            assert await idle(one)

    asyncio.run(story())
