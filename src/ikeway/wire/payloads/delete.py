# SPDX-License-Identifier: Apache-2.0
"""Delete payload (RFC 7296 §3.11)."""

from struct import Struct
from typing import Annotated, Final, Self

from typing_extensions import override

from ikeway.model.errors import MalformedError
from ikeway.wire.codec import Body, Parts, Reader, UInt, names, payload
from ikeway.wire.registry import PayloadType, ProtocolId

_HEAD: Final = Struct("!BBH")
_PROTOCOLS: Final = names(ProtocolId)
_SPI_OCTETS: Final = {ProtocolId.IKE: 0, ProtocolId.AH: 4, ProtocolId.ESP: 4}


@payload(PayloadType.DELETE)
class Delete(Body):
    """Delete payload, RFC 7296 §3.11. An IKE SA has no SPI here: the header names it."""

    protocol: Annotated[ProtocolId, UInt(1)]
    spi_size: Annotated[int, UInt(1)] = 0
    spis: Annotated[tuple[bytes, ...], Parts("spi", count=2)] = ()

    @override
    @classmethod
    def decode(cls, reader: Reader, critical: bool = False) -> Self:
        code, size, count = reader.unpack(_HEAD)
        protocol = _PROTOCOLS[code]
        if size != _SPI_OCTETS.get(protocol, size) or (count and not size):
            raise MalformedError(f"Delete of {count} {protocol.name} SPIs of {size} octets")
        reader.spend(count)
        spis = tuple([reader.take(size) for _ in range(count)])
        return cls(protocol, size, spis, critical=critical)

    @override
    def encode(self) -> bytes:
        return b"".join([_HEAD.pack(self.protocol, self.spi_size, len(self.spis)), *self.spis])
