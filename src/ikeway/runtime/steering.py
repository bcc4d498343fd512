# SPDX-License-Identifier: Apache-2.0
"""Which worker a datagram is for: a program for the kernel, and the same rule for what is left.

The first octet of an IKE SPI that we chose names its worker (adr 4). An IKE_SA_INIT request that
begins an IKE SA has none of ours yet: it goes by its source address, so that what is counted of a
source is counted by one worker, also when it comes back with a cookie. Ports do not count.

Each worker has two queues. One is for first requests without a cookie, which a flood is made of:
when it runs over, those who have returned a cookie, and all who have an IKE SA, lose nothing
(RFC 7296 §2.6). A daemon without workers is one worker.
"""

import ctypes
import socket
import struct
from typing import Final, NamedTuple

from ikeway.model.address import Address
from ikeway.model.errors import HostError
from ikeway.wire.message import NON_ESP_MARKER, Flags
from ikeway.wire.registry import PayloadType

WORKERS_MOST: Final = 16
QUEUES: Final = 2
"""How many sockets a worker has on each port of each address."""
_SO_ATTACH_REUSEPORT_CBPF: Final = 51
_NETWORK_HEADER: Final = 0xFFF00000  # SKF_NET_OFF
_SPI_R, _NEXT_PAYLOAD, _FLAGS, _LENGTH = 8, 16, 19, 24

# Classic BPF (linux/filter.h).
_LD_W, _LD_B, _LD_LEN, _TAX, _RET_K, _RET_A = 0x20, 0x30, 0x80, 0x07, 0x06, 0x16
_ADD_K, _RSH_K, _MOD_K, _XOR_X = 0x04, 0x74, 0x94, 0xAC
_JEQ_K, _JEQ_X, _JGE_K, _JSET_K = 0x15, 0x1D, 0x35, 0x45


class Jump(NamedTuple):
    """An instruction by its operation and number; jumps name the labels that they go to."""

    code: int
    value: int = 0
    when_true: str = ""
    when_false: str = ""


Step = Jump | str
"""An instruction, or the label of the next one."""


def program(
    family: socket.AddressFamily, workers: int, *, is_shared: bool, esp_sockets: int = 1
) -> bytes:
    """Return the program for a group of sockets.

    First come those of the workers, then as many for first requests, then those of ESP, to which
    their SPI leads. `is_shared` is port 4500, where IKE has a non-ESP marker (RFC 3948 §2.2). Loads
    beyond the end make the program return 0, so that stumps go to the first worker.
    """
    start = len(NON_ESP_MARKER) if is_shared else 0
    steps: list[Step] = []
    if is_shared:
        # A datagram that is longer than its IKE header says may be several that the kernel received
        # as one: only the engine takes those apart.
        steps += [Jump(_LD_W, 0), Jump(_JEQ_K, 0, "", "esp"), Jump(_LD_W, start + _LENGTH)]
        steps += [Jump(_ADD_K, start), Jump(_TAX), Jump(_LD_LEN), Jump(_JEQ_X, 0, "", "esp")]
    initiator = int(Flags.INITIATOR)
    steps += [Jump(_LD_B, start + _FLAGS), Jump(_JSET_K, initiator, "theirs", "")]
    steps += [Jump(_LD_B, start), Jump(_JGE_K, workers, "first", "found")]
    steps += ["theirs", Jump(_LD_W, start + _SPI_R), Jump(_JEQ_K, 0, "", "ours")]
    steps += [Jump(_LD_W, start + _SPI_R + 4), Jump(_JEQ_K, 0, "new", "")]
    steps += ["ours", Jump(_LD_B, start + _SPI_R), Jump(_JGE_K, workers, "first", "found")]
    # A cookie comes first (§2.6), so that what begins with another payload has none.
    steps += ["new", Jump(_LD_B, start + _NEXT_PAYLOAD)]
    steps += [Jump(_JEQ_K, int(PayloadType.NOTIFY), "", "without")]
    steps += [*_by_source(family, workers), Jump(_RET_A)]
    steps += ["without", *_by_source(family, workers), Jump(_ADD_K, workers)]
    steps += ["found", Jump(_RET_A), "first", Jump(_RET_K, 0)]
    steps += ["esp", Jump(_LD_W, 0), Jump(_MOD_K, esp_sockets)]
    steps += [Jump(_ADD_K, QUEUES * workers), Jump(_RET_A)]
    return _assembled(steps)


def _by_source(family: socket.AddressFamily, workers: int) -> tuple[Step, ...]:
    """Load a worker by what counts of a source address: all of IPv4's, the /64 of IPv6's."""
    load: tuple[Step, ...] = (Jump(_LD_W, _NETWORK_HEADER + 12),)
    if family != socket.AF_INET:
        load = (Jump(_LD_W, _NETWORK_HEADER + 8), Jump(_TAX), *load, Jump(_XOR_X))
    mixed = Jump(_TAX), Jump(_RSH_K, 16), Jump(_XOR_X), Jump(_TAX), Jump(_RSH_K, 8), Jump(_XOR_X)
    return *load, *mixed, Jump(_MOD_K, workers)


def _assembled(steps: list[Step]) -> bytes:
    labels: dict[str, int] = {}
    instructions: list[Jump] = []
    for step in steps:
        if isinstance(step, str):
            labels[step] = len(instructions)
        else:
            instructions.append(step)
    octets = b""
    for at, (code, value, when_true, when_false) in enumerate(instructions):
        far = [labels[name] - at - 1 if name else 0 for name in (when_true, when_false)]
        octets += struct.pack("=HBBI", code, *far, value)
    return octets


def attach(sock: socket.socket, workers: int, *, is_shared: bool, esp_sockets: int = 1) -> None:
    """Steer the datagrams of the group of sockets that `sock` belongs to.

    Raises:
        HostError: the kernel refuses.
    """
    octets = program(sock.family, workers, is_shared=is_shared, esp_sockets=esp_sockets)
    buffer = ctypes.create_string_buffer(octets, len(octets))
    count, address = len(octets) // 8, ctypes.addressof(buffer)
    try:
        sock.setsockopt(
            socket.SOL_SOCKET, _SO_ATTACH_REUSEPORT_CBPF, struct.pack("@HP", count, address)
        )
    except OSError as error:
        raise HostError(f"the kernel does not steer datagrams: {error.strerror}") from error


def owner(octets: bytes, source: Address, workers: int) -> int:
    """Return the worker that an IKE message is for, by the rule of `program`."""
    if len(octets) <= _FLAGS:
        return 0
    if not octets[_FLAGS] & Flags.INITIATOR:
        worker = octets[0]
    elif any(octets[_SPI_R : _SPI_R + 8]):
        worker = octets[_SPI_R]
    else:
        return _hash(source) % workers
    return worker if worker < workers else 0


def _hash(source: Address) -> int:
    if source.version == 4:
        number = int(source)
    else:
        number = int.from_bytes(source.packed[:4]) ^ int.from_bytes(source.packed[4:8])
    number ^= number >> 16
    return number ^ number >> 8
