# SPDX-License-Identifier: Apache-2.0
"""Forks workers on demand: a process from before the event loop, with all that was loaded.

A worker that ended is so replaced within milliseconds, by one with the same configuration, whatever
has become of the files since; they are read again when the supervisor says so.
"""

import array
import os
import signal
import socket
from collections.abc import Sequence
from typing import Final, NoReturn, Protocol

import structlog

DESCRIPTORS_MOST: Final = 250
_RELOAD: Final = 255
"""Is no worker's number."""


class Job(Protocol):
    """What a worker does: with its number, and the sockets that it got."""

    def __call__(self, number: int, sockets: list[socket.socket], /) -> None:
        """Do it."""
        ...

    def reloaded(self) -> "Job":
        """Return it by the configuration as it is now."""
        ...


class Nursery:
    """The supervisor's end. Closing it ends the nursery, and no worker."""

    def __init__(self, job: Job) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            ours.close()
            _serve(theirs, job)
        theirs.close()
        self._socket = ours

    def bear(self, number: int, sockets: Sequence[socket.socket]) -> None:
        """Have a worker begin, with copies of these sockets."""
        descriptors = array.array("i", [sock.fileno() for sock in sockets])
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, descriptors)]
        self._socket.sendmsg([bytes([number])], rights)

    def reload(self) -> None:
        """Have those that are born from now on know the configuration as it is now."""
        self._socket.send(bytes([_RELOAD]))

    def close(self) -> None:
        """Bear no more."""
        self._socket.close()


def _serve(door: socket.socket, job: Job) -> NoReturn:
    """Fork whenever the supervisor asks, until it is gone."""
    # Whoever ends the service ends all its processes; the supervisor alone knows in which order.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel buries them
    room = socket.CMSG_SPACE(DESCRIPTORS_MOST * 4)
    while True:
        message, ancillary, _, _ = door.recvmsg(1, room, socket.MSG_CMSG_CLOEXEC)
        if not message:
            os._exit(0)
        if message[0] == _RELOAD:
            job = job.reloaded()
            continue
        sockets = [socket.socket(fileno=one) for one in _descriptors(ancillary)]
        if os.fork() == 0:
            door.close()
            _work(job, message[0], sockets)
        for sock in sockets:
            sock.close()


def _descriptors(ancillary: list[tuple[int, int, bytes]]) -> list[int]:
    found = array.array("i")
    for level, kind, octets in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            found.frombytes(octets[: len(octets) - len(octets) % found.itemsize])
    return found.tolist()


def _work(job: Job, number: int, sockets: list[socket.socket]) -> NoReturn:
    """Be a worker. Nothing of what the supervisor has to clean up at its end is done here."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    code = 1
    try:
        job(number, sockets)
        code = 0
    except Exception as error:  # noqa: BLE001 - said, and the supervisor starts another
        structlog.get_logger("ikeway").error(f"worker {number}: {type(error).__name__}: {error}")
    finally:
        os._exit(code)
