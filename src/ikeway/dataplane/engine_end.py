# SPDX-License-Identifier: Apache-2.0
"""The end of the engine's process: its sockets and its interface are the kernel's again."""

import asyncio
import os
import signal
from contextlib import suppress

from ikeway.model.time import Seconds


def end(process: int) -> None:
    """End a process that hears nothing any more.

    It holds its end of a socket of ours, so that no other process can have got its number.
    """
    if process > 0:  # 0 is one that cannot be named from here, and would mean ourselves
        with suppress(ProcessLookupError, PermissionError):
            os.kill(process, signal.SIGKILL)


async def ended(process: int, patience: Seconds) -> bool:
    """Wait until a process has ended and given back what it had; return whether it has.

    Its control socket may close a moment before the rest.
    """
    try:
        watch = os.pidfd_open(process)
    except ProcessLookupError:
        return True
    except OSError:
        return False  # a number that means nothing here, or a kernel before 5.3
    loop, is_over = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(watch, is_over.set)
    try:
        async with asyncio.timeout(patience):
            await is_over.wait()
    except TimeoutError:
        return False
    finally:
        loop.remove_reader(watch)
        os.close(watch)
    return True
