# SPDX-License-Identifier: Apache-2.0
"""RFC 4555 §3.5: IKE SAs hear of the addresses that packets can come in on, and of no others."""

import asyncio
from collections.abc import AsyncIterator
from ipaddress import ip_address
from pathlib import Path
from typing import cast

import pytest

from ikeway.model.address import Address
from ikeway.model.errors import HostError
from ikeway.runtime.network import HostNetwork
from support.configured import PSK
from support.supervised import Supervised, supervising, until

WIFI, LTE, SIX = map(ip_address, ("10.1.0.2", "10.2.0.2", "2001:db8::2"))
EVERYWHERE = PSK.replace("[host]", '[host]\nlisten = ["0.0.0.0"]')
ONE_ONLY = PSK.replace("[host]", '[host]\nlisten = ["10.1.0.2", "::"]')


class Moving:
    """A host's network of which only the addresses matter; `None` ends what can be heard."""

    def __init__(self, *first: Address) -> None:
        self.news: asyncio.Queue[tuple[Address, ...] | None] = asyncio.Queue()
        self.news.put_nowait(first)

    async def dropped(self) -> dict[str, int]:
        return {}

    async def changes(self) -> AsyncIterator[tuple[Address, ...]]:
        while (now := await self.news.get()) is not None:
            yield now
        raise HostError("the kernel does not tell")


def known(one: Supervised) -> tuple[Address, ...]:
    return one.supervisor._driver.endpoint.env.addresses


def story(folder: Path, config: str, moves: list[tuple[Address, ...] | None]) -> list[object]:
    """Return what a supervisor knows after each move, and at the end what it warned of."""

    async def play() -> list[object]:
        first, *later = moves
        assert first is not None
        network = Moving(*first)
        async with supervising(folder, config, network=cast("HostNetwork", network)) as one:
            warned: list[str] = []
            one.supervisor._driver.warn = warned.append  # type: ignore[method-assign]
            await until(lambda: bool(known(one)), "the first addresses")
            seen: list[object] = [known(one)]
            for move in later:
                network.news.put_nowait(move)
                await asyncio.sleep(0.02)
                seen.append(known(one))
            return [*seen, warned]

    return asyncio.run(play())


def test_each_change_is_told(tmp_path: Path) -> None:
    seen = story(tmp_path, EVERYWHERE, [(WIFI, LTE), (LTE,), ()])
    assert seen == [(WIFI, LTE), (LTE,), (), []]


def test_only_what_is_listened_at_counts(tmp_path: Path) -> None:
    seen = story(tmp_path, ONE_ONLY, [(WIFI, LTE, SIX), (LTE, SIX)])
    assert seen == [(WIFI, SIX), (SIX,), []]


def test_a_kernel_that_falls_silent_is_told_of_and_what_was_known_stays(tmp_path: Path) -> None:
    *seen, warned = story(tmp_path, EVERYWHERE, [(WIFI,), None])
    assert seen == [(WIFI,), (WIFI,)]
    assert warned == ["moves of this host are not noticed any more: the kernel does not tell"]


@pytest.mark.parametrize("with_network", [True, False])
def test_without_word_from_the_kernel_the_daemon_works_all_the_same(
    tmp_path: Path, with_network: bool
) -> None:
    async def play() -> tuple[Address, ...]:
        network = Moving()
        network.news.get_nowait()
        network.news.put_nowait(None)
        given = cast("HostNetwork", network) if with_network else None
        async with supervising(tmp_path, EVERYWHERE, network=given) as one:
            await asyncio.sleep(0.02)
            assert (await one.supervisor.status()).ike_sas == []
            return known(one)

    assert asyncio.run(play()) == ()
