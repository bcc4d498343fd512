# SPDX-License-Identifier: Apache-2.0
"""Clients are sent to another gateway by name, for as long as the order holds."""

import asyncio
from pathlib import Path

import pytest

from ikeway.control.schema import Drain
from ikeway.daemon.draining import Orders
from ikeway.model.errors import UsageError
from support.configured import PSK
from support.supervised import supervising

TWO = PSK + PSK[PSK.index("[connections.b]") :].replace("connections.b", "connections.c")


def elsewhere(connection: str | None, to: str | None = "vpn2.example.com") -> Drain:
    return Drain(to=to, connection=connection)


def test_those_who_come_are_sent_where_the_order_says(tmp_path: Path) -> None:
    async def story() -> None:
        async with supervising(tmp_path, TWO) as one:
            endpoint = one.supervisor._driver.endpoint

            def targets() -> dict[str, object]:
                return {each.name: each.redirect_to for each in endpoint.env.connections}

            before = endpoint.env.connections
            order = Drain(to="192.0.2.9", connection="b", grace=7.0)
            assert (await one.supervisor.drain(order)).ike_sas == []
            assert list(map(str, targets().values())) == ["192.0.2.9", "None"]
            assert endpoint.env.connections[0].redirect_grace == 7.0
            await one.supervisor.drain(elsewhere(None))
            assert set(targets().values()) == {"vpn2.example.com"}
            await one.supervisor.drain(elsewhere("b", None))
            assert targets() == {"b": None, "c": "vpn2.example.com"}
            status = await one.supervisor.status()
            assert [(one.connection, one.to) for one in status.draining] == [
                ("c", "vpn2.example.com")
            ]
            await one.supervisor.drain(elsewhere(None, None))
            assert endpoint.env.connections == before

    asyncio.run(story())


@pytest.mark.parametrize(
    ("order", "words"),
    [
        (elsewhere("x"), "no clients come by a connection 'x'; they come by: b, c"),
        (elsewhere("b", "127.0.0.1"), "127.0.0.1 is this gateway"),
        (elsewhere("b", "10.0.0.0/8"), "not an address or a host name"),
    ],
)
def test_nobody_is_sent_nowhere(tmp_path: Path, order: Drain, words: str) -> None:
    async def story() -> None:
        listening = '[host]\nlisten = ["127.0.0.1"]\n'
        config = TWO.replace("[host]\n", listening) if "[host]\n" in TWO else listening + TWO
        async with supervising(tmp_path, config) as one:
            with pytest.raises(UsageError, match=words):
                await one.supervisor.drain(order)
            assert not (await one.supervisor.status()).draining

    asyncio.run(story())


def test_a_worker_that_begins_later_hears_of_what_holds() -> None:
    orders = Orders()
    for order in (elsewhere("b"), elsewhere("c"), elsewhere("b", "192.0.2.9")):
        orders.note(order)
    assert [(order.connection, order.to) for order in orders] == [
        ("c", "vpn2.example.com"),
        ("b", "192.0.2.9"),
    ]
    orders.note(elsewhere(None))
    orders.note(elsewhere("b", None))
    assert [order.connection for order in orders] == [None, "b"]
    orders.note(elsewhere(None, None))
    assert list(orders) == []
