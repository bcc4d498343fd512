# SPDX-License-Identifier: Apache-2.0
"""Host errors of a data plane in words that say what to do."""

import errno
from typing import Final

from ikeway.dataplane.port import PlaneConfig
from ikeway.model.errors import HostError

_NO_RIGHT: Final = "ikeway needs CAP_NET_ADMIN: run it as root, or in a user namespace of its own"
_NO_TUN: Final = "this host has no TUN: load the module tun, or give the container /dev/net/tun"

_ADVICE: Final = {
    errno.EADDRINUSE: "another program uses UDP port {port}: stop it, or choose another port",
    errno.EADDRNOTAVAIL: "no interface of this host has that address: correct `listen`",
    errno.EAFNOSUPPORT: "this host has no IPv6: take the IPv6 addresses out of `listen`",
    errno.EBUSY: "the interface {tun} exists: stop the ikeway that made it, or choose another name",
    errno.EPERM: _NO_RIGHT,
    errno.EACCES: _NO_RIGHT,
    errno.ENOENT: _NO_TUN,
    errno.ENODEV: _NO_TUN,
    errno.EINVAL: "the kernel does not take that value: look at `mtu`, now {mtu}",
}


def host_error(what: str, number: int | None, config: PlaneConfig) -> HostError:
    """Return the error that says what failed, the errno's name, and what to do about it."""
    if number is None:
        return HostError(what)
    name = errno.errorcode.get(number, f"errno {number}")
    advice = _ADVICE.get(number)
    if advice is None:
        return HostError(f"{what} ({name})")
    return HostError(
        f"{what} ({name}): " + advice.format(port=config.port, tun=config.tun, mtu=config.mtu)
    )
