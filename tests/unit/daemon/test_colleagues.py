# SPDX-License-Identifier: Apache-2.0
"""What workers tell one another through the supervisor: INITIAL_CONTACT, and moves of the host."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path
from typing import Any, cast

import pytest

from ikeway.daemon import starter
from ikeway.daemon.channel import Channel
from ikeway.daemon.colleague import Colleague, Resources
from ikeway.daemon.distant import DistantNetwork, DistantOthers
from ikeway.daemon.draining import Orders
from ikeway.daemon.moves import Moves
from ikeway.daemon.share import Share, keeper
from ikeway.daemon.ticket_keys import TicketKeys
from ikeway.dataplane.null import NullDataPlane
from ikeway.ike.io import CheckLiveness, Command, Report
from ikeway.ike.reports import Established
from ikeway.model.address import Address, Endpoint
from ikeway.model.errors import HostError
from ikeway.model.identity import Identity
from ikeway.runtime.leases import Leases
from ikeway.runtime.network import HostNetwork
from support.configured import PSK
from support.supervised import supervising, until

HERE, THERE = Identity.parse("a.example.com"), Identity.parse("b.example.com")
WIFI, LTE = ip_address("10.1.0.2"), ip_address("10.2.0.2")


class Mates:
    """The supervisor's side: writes down what one worker wants of the others."""

    def __init__(self) -> None:
        self.told: list[tuple[Identity, Identity]] = []
        self.up: set[str] = set()
        self.known: asyncio.Queue[tuple[Address, ...]] = asyncio.Queue()

    async def addresses(self) -> tuple[Address, ...]:
        return await self.known.get()

    async def is_up(self, _asking: Colleague, connection: str) -> bool:
        return connection in self.up

    def contacted(self, _telling: Colleague, local: Identity, peer: Identity) -> None:
        self.told.append((local, peer))


class Far:
    """The worker's side."""

    def __init__(self) -> None:
        self.network: DistantNetwork | None = None

    async def answer(self, question: str, *_values: Any) -> Any:
        raise HostError(question)

    def hear(self, news: str, *values: Any) -> None:
        assert (news, self.network is None) == ("moved", False)
        assert self.network is not None
        self.network.moved(*values)


Story = Callable[[Channel, Colleague, Mates, Far], Awaitable[None]]


def between(story: Story) -> None:
    """Tell a story with a worker's channel and the supervisor's end of it."""

    async def run() -> None:
        ours, theirs = socket.socketpair()
        mates, far = Mates(), Far()
        tickets = TicketKeys(lambda _secret: None)
        resources = Resources(NullDataPlane(()), None, Leases({}), tickets, Orders())
        colleague = Colleague(ours, resources, lambda _line: None, lambda _ticket: None, mates)
        channel = Channel(far, theirs)
        far.network = DistantNetwork(channel)
        tasks = [asyncio.create_task(end.run()) for end in (channel, colleague.channel)]
        await asyncio.sleep(0.01)
        await story(channel, colleague, mates, far)
        for end in (channel, colleague.channel):
            end.close()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_initial_contact_and_the_question_who_is_up_go_through_the_supervisor() -> None:
    async def story(channel: Channel, _colleague: Colleague, mates: Mates, _far: Far) -> None:
        others = DistantOthers(channel)
        others.contacted(HERE, THERE)
        assert not await others.is_up("b")
        mates.up.add("b")
        assert await others.is_up("b")
        assert mates.told == [(HERE, THERE)]

    between(story)


def test_a_worker_hears_of_each_move_of_the_host() -> None:
    async def story(_channel: Channel, colleague: Colleague, mates: Mates, far: Far) -> None:
        assert far.network is not None
        changes = far.network.changes()
        mates.known.put_nowait((WIFI, LTE))
        assert await anext(changes) == (WIFI, LTE)
        for move in ((LTE,), ()):
            colleague.channel.tell("moved", move)
            assert await anext(changes) == move

    between(story)


class Network:
    """A host's network that tells of addresses until it falls silent."""

    def __init__(self, *moves: tuple[Address, ...]) -> None:
        self.moves = moves

    async def changes(self) -> AsyncIterator[tuple[Address, ...]]:
        for move in self.moves:
            yield move
        raise HostError("no netlink here")


def test_one_process_watches_the_kernel_for_all() -> None:
    async def story() -> None:
        told: list[tuple[Address, ...]] = []
        moves = Moves(cast("HostNetwork", Network((WIFI,), (LTE,))), told.append)
        asking = asyncio.create_task(moves.addresses())
        assert await moves.follow() == "no netlink here"
        assert told == [(WIFI,), (LTE,)]
        with pytest.raises(HostError, match="no netlink here"):
            await asking
        with pytest.raises(HostError, match="no netlink here"):
            await moves.addresses()

    asyncio.run(story())


# In a worker --------------------------------------------------------------------------------------


class Rest:
    """The other workers, as a test wants them."""

    def __init__(self, *, is_up: bool = False) -> None:
        self.told: list[tuple[Identity, Identity]] = []
        self.holds = is_up

    def contacted(self, local: Identity, peer: Identity) -> None:
        self.told.append((local, peer))

    async def is_up(self, connection: str) -> bool:
        return self.holds and connection == "b"


CONTACT = PSK.replace("203.0.113.7", "127.0.0.9") + "initial_contact = true\n"


@pytest.mark.parametrize("is_up", [True, False])
def test_initial_contact_is_left_out_where_another_worker_is_up(
    tmp_path: Path, is_up: bool
) -> None:
    """RFC 7296 §2.4: it is about all of the gateway, not about one process of it."""

    async def story() -> None:
        share = Share(worker=0, workers=2, others=Rest(is_up=is_up))
        async with supervising(tmp_path, CONTACT, share=share) as one:
            await one.supervisor.initiate("b")
            (sa,) = one.supervisor._driver.endpoint.sas
            assert sa.state.connection.initial_contact is not is_up  # type: ignore[union-attr]

    asyncio.run(story())


def test_what_is_up_with_another_worker_is_not_started_until_it_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both sides start, and the peer's IKE SA is with another worker: one is enough."""
    monkeypatch.setattr(starter, "ELSEWHERE", 0.05)

    async def story() -> None:
        rest = Rest(is_up=True)
        mine = next(n for n in range(2) if keeper("b", 2) == n)
        share = Share(worker=mine, workers=2, others=rest)
        async with supervising(tmp_path, CONTACT + 'start = "now"\n', share=share) as one:
            await asyncio.sleep(0.2)
            assert not one.supervisor._driver.endpoint.sas
            rest.holds = False
            await until(lambda: bool(one.supervisor._driver.endpoint.sas), "a start")

    asyncio.run(story())


@pytest.mark.parametrize("replaces", [True, False])
def test_the_others_are_told_of_an_initial_contact_only(tmp_path: Path, replaces: bool) -> None:
    async def story() -> None:
        rest = Rest()
        async with supervising(tmp_path, PSK, share=Share(workers=2, others=rest)) as one:
            where = Endpoint(ip_address("127.0.0.9"), 500)
            event = Established("b", HERE, THERE, where, "", (), replaces_others=replaces)
            one.supervisor._heard(Report(bytes(8), event))
            one.supervisor._heard(Report(bytes(8), replace(event, replaces_others=False)))
            assert rest.told == ([(HERE, THERE)] if replaces else [])

    asyncio.run(story())


def test_what_another_worker_says_ends_nothing_by_itself(tmp_path: Path) -> None:
    """The attack: a worker that strangers took over ends the IKE SAs of everybody.

    The peer is only asked whether it lives: one that does notices a question.
    """

    async def story() -> None:
        async with supervising(tmp_path, PSK) as one:
            commands: list[tuple[bytes, Command]] = []
            driver = one.supervisor._driver
            driver.command = lambda *said: commands.append(said)  # type: ignore[method-assign]
            driver.endpoint.peers._add(b"an SA of b", (HERE, THERE))
            driver.endpoint.peers._add(b"an SA of c", (HERE, Identity.parse("c.example.com")))
            one.supervisor.contacted(HERE, THERE)
            one.supervisor.contacted(THERE, HERE)
            assert commands == [(b"an SA of b", CheckLiveness())]
            assert one.supervisor.is_up("b")
            assert not one.supervisor.is_up("nobody")

    asyncio.run(story())
