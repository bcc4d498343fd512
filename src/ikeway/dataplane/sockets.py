# SPDX-License-Identifier: Apache-2.0
"""The IKE sockets on the port of ESP, for data planes that do not bring their own (RFC 3948)."""

import socket
from typing import Final

from ikeway.dataplane.advice import host_error
from ikeway.dataplane.port import PlaneConfig
from ikeway.model.address import Address

# Linux's numbers; Python names them only since 3.12 and 3.14.
_IP_PKTINFO: Final = 8
_IPV6_RECVPKTINFO: Final = 49


def bind(config: PlaneConfig) -> tuple[socket.socket, ...]:
    """Return the sockets of every address, in the order of `DataPlane.ike_sockets`.

    Raises:
        HostError: an address or port cannot be bound.
    """
    bound: list[socket.socket] = []
    for address in config.listen:
        try:
            bound += _bind_group(address, config)
        except OSError as error:
            close(tuple(bound))
            what = f"UDP port {config.port} of {address}: {error.strerror}"
            raise host_error(what, error.errno, config) from error
    return tuple(bound)


def _bind_group(address: Address, config: PlaneConfig) -> list[socket.socket]:
    """Return the sockets of an address; who shares a port would join whoever shares it already."""
    if config.ike_sockets == 1:
        return [_bind(address, config.port)]
    _bind(address, config.port).close()
    return [_bind(address, config.port, is_shared=True) for _ in range(config.ike_sockets)]


def _bind(address: Address, port: int, *, is_shared: bool = False) -> socket.socket:
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    made = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    try:
        if is_shared:
            made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET:
            made.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)
        else:
            made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            made.setsockopt(socket.IPPROTO_IPV6, _IPV6_RECVPKTINFO, 1)
        made.bind((str(address), port))
    except OSError:
        made.close()
        raise
    return made


def close(sockets: tuple[socket.socket, ...]) -> None:
    """Close them all."""
    for each in sockets:
        each.close()
