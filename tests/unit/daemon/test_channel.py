# SPDX-License-Identifier: Apache-2.0
"""Between supervisor and worker: questions, news, and nothing but plain values."""

import asyncio
import os
import pickle
import socket
from collections.abc import Awaitable, Callable
from ipaddress import ip_address
from typing import Any

import pytest

from ikeway.daemon.channel import Channel, load
from ikeway.ike.questions import Lease, Leased
from ikeway.model.address import Endpoint
from ikeway.model.errors import HostError, UsageError
from ikeway.model.identity import Identity


class End:
    """One end that writes down what it hears."""

    def __init__(self) -> None:
        self.heard: list[tuple[Any, ...]] = []

    async def answer(self, question: str, *values: Any) -> Any:
        match question:
            case "echo":
                return values
            case "usage":
                raise UsageError("no such thing")
            case "host":
                raise HostError("the kernel says no")
            case "never":
                await asyncio.Event().wait()
        raise ZeroDivisionError

    def hear(self, news: str, *values: Any) -> None:
        self.heard.append((news, *values))


def between(test: Callable[[Channel, Channel, End], Awaitable[None]]) -> None:
    """Run a test with both ends of a channel."""

    async def run() -> None:
        ours, theirs = socket.socketpair()
        far = End()
        ends = Channel(End(), ours), Channel(far, theirs)
        tasks = [asyncio.create_task(end.run()) for end in ends]
        await asyncio.sleep(0)
        await asyncio.sleep(0.01)
        await test(*ends, far)
        for end in ends:
            end.close()
        await asyncio.gather(*tasks)

    asyncio.run(run())


def test_values_come_back_as_they_were() -> None:
    address = ip_address("192.0.2.1")
    values = (
        Endpoint(address, 500),
        Lease("staff", Identity.parse("a@example.com"), (address,)),
        Leased((address,), (), ("corp.example.com",)),
        {1: b"octets"},
    )

    async def test(near: Channel, _other: Channel, _far: End) -> None:
        assert await near.ask("echo", *values) == values

    between(test)


def test_news_are_heard_in_order() -> None:
    async def test(near: Channel, _other: Channel, far: End) -> None:
        for number in range(100):
            near.tell("number", number)
        await near.ask("echo")
        assert far.heard == [("number", number) for number in range(100)]

    between(test)


@pytest.mark.parametrize(
    ("question", "error", "words"),
    [
        ("usage", UsageError, "no such thing"),
        ("host", HostError, "the kernel says no"),
        ("what", HostError, "a fault of ikeway: ZeroDivisionError"),
    ],
)
def test_who_asks_hears_why_not(question: str, error: type[Exception], words: str) -> None:
    async def test(near: Channel, _other: Channel, _far: End) -> None:
        with pytest.raises(error, match=words):
            await near.ask(question)

    between(test)


def test_a_question_ends_with_the_other_end() -> None:
    async def test(near: Channel, other: Channel, _far: End) -> None:
        asked = asyncio.create_task(near.ask("never"))
        await asyncio.sleep(0.01)
        other.close()
        with pytest.raises(HostError, match="gone"):
            await asked
        with pytest.raises(HostError, match="gone"):
            await near.ask("echo")
        near.tell("nobody", 1)

    between(test)


class Attack:
    """What a worker that a stranger took over would send."""

    def __init__(self, function: Callable[..., Any], *values: Any) -> None:
        self._calls = function, values

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self._calls


@pytest.mark.parametrize(
    "attack",
    [Attack(os.system, "true"), Attack(eval, "1"), Attack(pickle.loads, b""), Attack(Attack)],
)
def test_nothing_but_values_is_let_in(attack: Attack) -> None:
    with pytest.raises(pickle.UnpicklingError, match="is no value"):
        load(pickle.dumps((3, 0, "install", (attack,))))


def test_a_name_that_a_module_of_values_borrowed_is_not_let_in() -> None:
    for name in (b"dataclass", b"socket.socket", b"struct", b"source_for"):
        octets = b"\x80\x04\x8c" + bytes([22]) + b"ikeway.runtime.network"
        octets += b"\x8c" + bytes([len(name)]) + name + b"\x93."
        with pytest.raises(pickle.UnpicklingError):
            load(octets)


@pytest.mark.parametrize("octets", [b"", b"\x80", b"nonsense", pickle.dumps(1)[:-1]])
def test_what_is_no_value_is_an_error_of_one_kind(octets: bytes) -> None:
    with pytest.raises(pickle.UnpicklingError):
        load(octets)
