# SPDX-License-Identifier: Apache-2.0
"""The XFRM interface: what is routed into it leaves through its own policies or not at all (I6)."""

import errno
import os
from contextlib import suppress
from typing import Final
from zlib import crc32

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from ikeway.model.errors import HostError

_LOOPBACK: Final = 1
_NO_SUCH_KIND: Final = frozenset({errno.EOPNOTSUPP, errno.ENODEV, errno.EINVAL})


def number_of(name: str) -> int:
    """Return the number that ties SAs and policies to the interface of that name (if_id)."""
    return crc32(name.encode()) or 1


def make(name: str, mtu: int) -> None:
    """Make the interface anew.

    Raises:
        HostError: it cannot be had.
    """
    with IPRoute() as netlink:
        _remove(netlink, name)
        try:
            netlink.link(
                "add",
                ifname=name,
                kind="xfrm",
                xfrm_link=_LOOPBACK,
                xfrm_if_id=number_of(name),
                mtu=mtu,
            )
        except NetlinkError as error:
            words = f"interface {name}: {os.strerror(error.code)}"
            if error.code in _NO_SUCH_KIND:
                words += ": this kernel has no XFRM interfaces (xfrm_interface, Linux 4.19)"
            raise HostError(f"{words}; the engine needs none of it") from error


def remove(name: str) -> None:
    """Take the interface away, if it is there."""
    with IPRoute() as netlink:
        _remove(netlink, name)


def _remove(netlink: IPRoute, name: str) -> None:
    for index in netlink.link_lookup(ifname=name, kind="xfrm"):
        with suppress(NetlinkError):
            netlink.link("del", index=index)
