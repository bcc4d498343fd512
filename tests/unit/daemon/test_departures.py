# SPDX-License-Identifier: Apache-2.0
"""Who was taken away is found, also without a knock, and nobody who left before we began."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from ikeway.daemon import departures as module
from ikeway.daemon.departures import Departures, Leaving
from ikeway.model.secret import Secret
from ikeway.policy.store import StoreSettings
from ikeway.runtime.entropy import SystemRandom
from ikeway.store.user import User
from ikeway.store.users import UserStore


class Gateway:
    def __init__(self, folder: Path) -> None:
        self.settings = StoreSettings(folder / "users.db", folder / "users.key")
        self.ended: list[Leaving] = []
        self.has_ended = asyncio.Event()
        self.warnings: list[str] = []
        self.departures = Departures(self.settings, self.end, self.warnings.append)

    async def end(self, leaving: list[Leaving]) -> list[str]:
        self.ended += leaving
        self.has_ended.set()
        return [name for name, _ in leaving]

    @property
    def store(self) -> UserStore:
        return UserStore(self.settings.file, self.settings.key, SystemRandom())


def run(folder: Path, story: Callable[[Gateway], Awaitable[None]]) -> Gateway:
    async def whole() -> Gateway:
        gateway = Gateway(folder)
        try:
            await story(gateway)
        finally:
            await gateway.departures.close()
        return gateway

    return asyncio.run(whole())


def test_who_leaves_is_ended_once(tmp_path: Path) -> None:
    async def story(gateway: Gateway) -> None:
        gateway.store.depart("gone long since", "removed", time.time() - 60)
        assert await gateway.departures.look() == []
        gateway.store.depart("carol", "disabled", time.time())
        assert await gateway.departures.look() == ["carol"]
        assert await gateway.departures.look() == []

    assert run(tmp_path, story).ended == [("carol", "the user was disabled")]


def test_a_store_that_appears_later_is_looked_into(tmp_path: Path) -> None:
    async def story(gateway: Gateway) -> None:
        assert await gateway.departures.look() == []
        assert not gateway.settings.file.exists()
        gateway.store.depart("carol", "disabled", time.time())
        assert await gateway.departures.look() == ["carol"]

    run(tmp_path, story)


def test_whose_time_is_over_goes_without_anybody_saying_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY", 0.02)

    async def story(gateway: Gateway) -> None:
        now = time.time()
        soon = User("carol", (), True, now, now + 0.1, now, False, now)
        gateway.store.add(soon, Secret(b"correct horse"))
        gateway.departures.begin()
        await asyncio.wait_for(gateway.has_ended.wait(), 10)

    assert run(tmp_path, story).ended == [("carol", "the user has expired")]


def test_a_store_that_fails_is_warned_about_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY", 0.01)
    (tmp_path / "users.db").write_bytes(b"rubbish" * 1000)

    async def story(gateway: Gateway) -> None:
        gateway.departures.begin()
        await asyncio.sleep(0.3)

    (warning,) = run(tmp_path, story).warnings
    assert "nobody is noticed who was taken away" in warning
    assert "not a database" in warning
