# SPDX-License-Identifier: Apache-2.0
"""The engine hangs beside a daemon that lives: it is ended and another one comes, with no leak."""

import asyncio
import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from ipaddress import ip_address
from pathlib import Path
from typing import Final

import pytest

from ikeway.dataplane import EngineDataPlane, PlaneConfig
from ikeway.dataplane.pulse import DEADLINE, EVERY
from support.leaks import clear_ports, ends, engine_of, keep_sending, two, up
from support.link import processes
from support.netns import namespaces
from support.strongswan import wait_until
from support.traffic import ping
from support.two import Two

pytestmark = pytest.mark.system

SAID: Final = f"engine did not answer for {DEADLINE:g} s and was ended; another engine is started"
NOTICED: Final = EVERY + 2 * DEADLINE
"""Within this on a machine that is busy with other tests, too."""

_PTRACE_SEIZE: Final = 0x4206
_PTRACE_INTERRUPT: Final = 0x4207
_WALL: Final = 0x40000000


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


def thread_of(process: int, name: str) -> int:
    """Return the number of a thread of a process."""
    tasks = Path(f"/proc/{process}/task").iterdir()
    (found,) = (task for task in tasks if (task / "comm").read_text().strip() == name)
    return int(found.name)


def hold(thread: int) -> None:
    """Have one thread of another process stand still, as if it hung, until that is killed."""
    stands, libc = threading.Event(), ctypes.CDLL(None, use_errno=True)

    def trace() -> None:
        # Whoever traces has to take note of its end, too: a process with a thread in between has
        # not ended.
        for request in (_PTRACE_SEIZE, _PTRACE_INTERRUPT):
            assert libc.ptrace(request, thread, None, None) == 0, os.strerror(ctypes.get_errno())
        os.waitpid(thread, _WALL)
        stands.set()
        with suppress(ChildProcessError):
            while not os.WIFSIGNALED(os.waitpid(thread, _WALL)[1]):
                pass

    threading.Thread(target=trace, daemon=True).start()
    assert stands.wait(5.0), "cannot be traced"


def stop(made: Two) -> None:
    """Have the engine as a whole stand still."""
    for pid in engine_of(made):
        os.kill(pid, signal.SIGSTOP)


def hold_receiver(made: Two) -> None:
    """Have only the thread stand still that receives, and sends where little is to do."""
    for pid in engine_of(made):
        hold(thread_of(pid, "ikeway-in0"))


@pytest.mark.conformance("CF-U17")
@pytest.mark.parametrize("hang", [stop, hold_receiver])
def test_an_engine_that_hangs_is_replaced_and_nothing_is_in_clear(
    stack: ExitStack, tmp_path: Path, hang: Callable[[Two], None]
) -> None:
    """I6, I7: also where the thread of the control socket lives, and one of packets does not."""
    made = two(stack, tmp_path, {"start": "now"}, {}, {})
    up(made)
    made.carries()
    old, before = engine_of(made), made.ours.children()
    hang(made)
    sender = threading.Thread(target=lambda: keep_sending(made, 1.0))
    sender.start()
    assert ping(made.link.ours.namespace, *ends(made), 1, 0.3) == 0, "it hangs"
    made.ours.wait_for_log(SAID, NOTICED)
    wait_until(lambda: ping(made.link.ours.namespace, *ends(made), 1, 0.3) == 1, 10, "traffic")
    sender.join()
    made.carries()
    after = made.ours.children()
    assert len(after) == 1
    assert {child.spi_out for child in before}.isdisjoint(child.spi_out for child in after)
    assert set(engine_of(made)).isdisjoint(old)
    assert not clear_ports(made)
    assert not made.ours.faults()


def test_a_machine_that_stood_still_keeps_its_engine(stack: ExitStack, tmp_path: Path) -> None:
    """It was suspended, or all of it had no processor: nothing hangs that nobody could run."""
    made = two(stack, tmp_path, {"start": "now"}, {}, {})
    up(made)
    engine, before = engine_of(made), made.ours.children()
    machine = processes(made.link.ours.namespace)
    assert set(engine) < set(machine)
    for pid in machine:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(DEADLINE + EVERY + 1.0)
    # The engine last: the daemon looks before it can have an answer.
    for pid in sorted(machine, key=engine.__contains__):
        os.kill(pid, signal.SIGCONT)
        time.sleep(0.5)
    made.carries()
    time.sleep(EVERY)
    assert engine_of(made) == engine
    assert not made.ours.said("did not answer")
    assert {child.spi_in for child in before} == {child.spi_in for child in made.ours.children()}


def test_a_daemon_that_finds_an_engine_hanging_starts_another(tmp_path: Path) -> None:
    config = PlaneConfig((ip_address("127.0.0.1"),))

    async def work() -> None:
        first = await EngineDataPlane.start(tmp_path, config)
        process = await first.process_id()
        await first.detach()
        os.kill(process, signal.SIGSTOP)
        second = await EngineDataPlane.start(tmp_path, config)
        assert not second.is_resumed
        assert await second.process_id() != process
        await second.close()

    with namespaces(1) as (namespace,):
        namespace.inside(lambda: asyncio.run(work()))
