# SPDX-License-Identifier: Apache-2.0
"""Makes a NAT forget its mappings, as after a restart (the kernel's ctnetlink)."""

import errno
import socket
import struct
from typing import Final

from support.netns import Namespace

_NETLINK_NETFILTER: Final = 12
_CONNTRACK_DELETE: Final = 0x0102
_REQUEST_AND_ACK: Final = 0x5
_MESSAGE: Final = struct.Struct("=IHHIIBBH")
"""struct nlmsghdr, then struct nfgenmsg, which names no connection: all are meant."""


def forget(router: Namespace) -> None:
    """Let a router forget every connection; with `masquerade random` it picks other ports."""
    netlink = router.inside(
        lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_NETFILTER)
    )
    with netlink:
        netlink.bind((0, 0))
        netlink.settimeout(5)
        netlink.send(
            _MESSAGE.pack(_MESSAGE.size, _CONNTRACK_DELETE, _REQUEST_AND_ACK, 1, 0, 0, 0, 0)
        )
        (status,) = struct.unpack_from("=i", netlink.recv(4096), 16)
    assert status == 0, errno.errorcode.get(-status, status)
