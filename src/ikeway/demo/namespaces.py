# SPDX-License-Identifier: Apache-2.0
"""Hosts without machines: network namespaces that live as long as a thread."""

import ctypes
import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar

from ikeway.model.errors import HostError

_NEW_USER: Final = 0x1000_0000
_NEW_NET: Final = 0x4000_0000
_SUBREAPER: Final = 36
_NEEDED: Final = 1 << 10 | 1 << 12 | 1 << 13 | 1 << 21
"""CAP_NET_BIND_SERVICE, CAP_NET_ADMIN, CAP_NET_RAW and CAP_SYS_ADMIN."""
_TUN: Final = Path("/dev/net/tun")
_ROOT_NEEDED: Final = (
    "run it as root (sudo; a container has to be --privileged), or let ordinary users make"
    " namespaces: sysctl -w user.max_user_namespaces=10000, and where they are there"
    " kernel.unprivileged_userns_clone=1, kernel.apparmor_restrict_unprivileged_userns=0"
)
_T = TypeVar("_T")


class Place:
    """A network namespace, entered by one thread that does what is to be done there.

    Sockets and processes made by that thread belong to the namespace, which the kernel removes once
    thread, sockets and processes are gone: nothing has to be cleaned up by name.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        try:
            self.descriptor = self.inside(_new_network)
        except HostError:
            self._thread.shutdown()
            raise

    def inside(self, work: Callable[[], _T]) -> _T:
        """Do `work` in the namespace and return its result."""
        return self._thread.submit(work).result()

    def close(self) -> None:
        """Leave the namespace for good."""
        self._thread.shutdown()
        os.close(self.descriptor)


def become_able() -> None:
    """Become one who may make network namespaces, if need be in a user namespace.

    Raises:
        HostError: the kernel does not permit it, or there is no TUN device; says what to do.
    """
    if not _is_able():
        _new_user()
    try:
        os.close(os.open(_TUN, os.O_RDWR | os.O_CLOEXEC))
    except OSError as error:
        raise HostError(_about_tun(error)) from error


def adopt_orphans() -> None:
    """Have processes that lose their parent become children of this one, so that none gets lost."""
    ctypes.CDLL(None).prctl(_SUBREAPER, 1, 0, 0, 0)


def children() -> set[int]:
    """Return the processes whose parent this one is."""
    tasks = Path("/proc/self/task").iterdir()
    return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}


def _is_able() -> bool:
    status = Path("/proc/self/status").read_text().splitlines()
    effective = next(line for line in status if line.startswith("CapEff:"))
    return int(effective.split()[1], 16) & _NEEDED == _NEEDED


def _new_user() -> None:
    user, group = os.geteuid(), os.getegid()
    if threading.active_count() > 1:
        raise HostError(f"a user namespace needs a process of one thread; {_ROOT_NEEDED}")
    _unshare(_NEW_USER)
    own = Path("/proc/self")
    try:
        (own / "setgroups").write_text("deny")
        (own / "uid_map").write_text(f"0 {user} 1")
        (own / "gid_map").write_text(f"0 {group} 1")
    except OSError as error:
        raise HostError(f"becoming root of a user namespace: {error}; {_ROOT_NEEDED}") from error


def _new_network() -> int:
    _unshare(_NEW_NET)
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _unshare(kind: int) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(kind) != 0:
        name = errno.errorcode.get(ctypes.get_errno(), "?")
        raise HostError(f"the kernel makes no namespace for us ({name}); {_ROOT_NEEDED}")


def _about_tun(error: OSError) -> str:
    if error.errno == errno.EACCES:
        return f"{_TUN} is for root only; run the demo as root, or: sudo chmod 666 {_TUN}"
    if error.errno == errno.EPERM:
        return f"this container may not use {_TUN}; start it with --device {_TUN}"
    return (
        f"there is no {_TUN} ({error.strerror}); load the driver with `modprobe tun`,"
        f" or give a container --device {_TUN}"
    )
