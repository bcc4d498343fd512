# SPDX-License-Identifier: Apache-2.0
"""Between the supervisor and one of its workers: questions with answers, both ways, and news.

Values travel as they are. A worker reads what strangers send, so the supervisor does not believe it
more than it must: only plain values of a few modules are let in, and a question about what is
another worker's is refused by whoever answers it.
"""

import asyncio
import io
import pickle
import socket
from collections.abc import Callable
from typing import Any, Final, Protocol

from typing_extensions import override

from ikeway.model.errors import HostError, IkewayError, UsageError

FRAME_OCTETS: Final = 64 << 20
_MODULES: Final = frozenset(
    {
        "ikeway.auth.radius.orders",
        "ikeway.dataplane.port",
        "ikeway.ike.io",
        "ikeway.ike.questions",
        "ikeway.runtime.network",
        "ikeway.wire.transforms",
        "ipaddress",
    }
)
_GONE: Final = "the process at the other end is gone"
_ASK, _ANSWER, _FAULT, _TELL = range(4)


class Party(Protocol):
    """Whoever is at one end of a channel."""

    async def answer(self, question: str, *values: Any) -> Any:
        """Answer a question. `IkewayError`s are told to who asked."""
        ...

    def hear(self, news: str, *values: Any) -> None:
        """Take news, in the order in which they were told."""
        ...


class Channel:
    """One end. Questions may overtake one another; news do not."""

    def __init__(self, party: Party, sock: socket.socket) -> None:
        self._party = party
        self._sock = sock
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last = 0
        self._opened = asyncio.Event()

    async def run(self) -> None:
        """Work until the other end is gone."""
        reader, self._writer = await asyncio.open_connection(sock=self._sock)
        self._opened.set()
        try:
            while True:
                size = int.from_bytes(await reader.readexactly(4))
                if size > FRAME_OCTETS:
                    return
                self._take(*load(await reader.readexactly(size)))
        except (
            asyncio.IncompleteReadError,
            OSError,
            pickle.UnpicklingError,
            TypeError,
            UsageError,
        ):
            return  # gone, or not to be understood, which comes to the same
        finally:
            self._end()

    async def opened(self) -> None:
        """Wait until it can be used."""
        await self._opened.wait()

    async def ask(self, question: str, *values: Any) -> Any:
        """Ask the other end and return its answer.

        Raises:
            HostError: it is gone, or says so.
            UsageError: it says so.
        """
        self._last += 1
        number, answer = self._last, asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._send(_ASK, number, question, values)
            return await answer
        finally:
            self._waiting.pop(number, None)

    def tell(self, news: str, *values: Any) -> None:
        """Tell the other end something. Where nobody is left to hear, nobody hears."""
        if self._is_open:
            self._send(_TELL, 0, news, values)

    @property
    def _is_open(self) -> bool:
        return self._writer is not None and not self._writer.is_closing()

    def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()

    def _send(self, kind: int, number: int, what: Any, values: Any) -> None:
        if self._writer is None or self._writer.is_closing():
            raise HostError(_GONE)
        octets = pickle.dumps((kind, number, what, values), protocol=5)
        self._writer.write(len(octets).to_bytes(4) + octets)

    def _take(self, kind: int, number: int, what: Any, values: Any) -> None:
        if kind == _TELL:
            self._party.hear(what, *values)
        elif kind == _ASK:
            task = asyncio.get_running_loop().create_task(self._answer(number, what, values))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif (waiting := self._waiting.get(number)) is not None and not waiting.done():
            if kind == _ANSWER:
                waiting.set_result(what)
            else:
                waiting.set_exception(UsageError(values) if what == "usage" else HostError(values))

    async def _answer(self, number: int, question: str, values: tuple[Any, ...]) -> None:
        answer: tuple[int, int, Any, Any]
        try:
            answer = (_ANSWER, number, await self._party.answer(question, *values), ())
        except UsageError as error:
            answer = (_FAULT, number, "usage", str(error))
        except IkewayError as error:
            answer = (_FAULT, number, "host", str(error))
        except Exception as error:  # noqa: BLE001 - I1: no question ends a process
            answer = (_FAULT, number, "host", f"a fault of ikeway: {type(error).__name__}: {error}")
        if self._is_open:
            self._send(*answer)

    def _end(self) -> None:
        self.close()
        for task in self._tasks:
            task.cancel()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(HostError(_GONE))


def load(octets: bytes) -> Any:
    """Return the value in a frame.

    Raises:
        UnpicklingError: it has something else than plain values.
    """
    try:
        return _Values(io.BytesIO(octets)).load()
    except pickle.UnpicklingError:
        raise
    except Exception as error:
        raise pickle.UnpicklingError(f"not a value: {error}") from error


class _Values(pickle.Unpickler):
    """Makes instances of the classes of a few modules, which do nothing but hold values."""

    @override
    def find_class(self, module: str, name: str) -> Any:
        if module in _MODULES or module.startswith("ikeway.model."):
            found: Callable[..., Any] = super().find_class(module, name)
            if isinstance(found, type) and found.__module__ == module:
                return found
        raise pickle.UnpicklingError(f"{module}.{name} is no value")
