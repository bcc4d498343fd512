# SPDX-License-Identifier: Apache-2.0
"""EAP payload (RFC 7296 §3.16): one EAP packet, whose own length must be the payload's."""

from struct import Struct
from typing import Annotated, Final, Self

from typing_extensions import override

from ikeway.model.errors import MalformedError
from ikeway.wire.codec import Body, Reader, Rest, payload
from ikeway.wire.registry import PayloadType

_PACKET: Final = Struct("!BBH")
_WITH_TYPE: Final = frozenset({1, 2})  # Request and Response have a Type octet
_WITHOUT_DATA: Final = frozenset({3, 4})  # Success and Failure have nothing


@payload(PayloadType.EAP)
class Eap(Body):
    """EAP payload, RFC 7296 §3.16: Code, Identifier, Length and data, as in RFC 3748 §4."""

    data: Annotated[bytes, Rest(least=4)]

    @property
    def code(self) -> int:
        """1 Request, 2 Response, 3 Success, 4 Failure."""
        return self.data[0]

    @property
    def identifier(self) -> int:
        """What matches a response with its request."""
        return self.data[1]

    @override
    @classmethod
    def decode(cls, reader: Reader, critical: bool = False) -> Self:
        data = reader.rest()
        if len(data) < _PACKET.size:
            raise MalformedError(f"an EAP packet of {len(data)} octets")
        code, _, length = _PACKET.unpack_from(data)
        if length != len(data):
            raise MalformedError(f"EAP length {length} in a payload of {len(data)} octets")
        if (code in _WITHOUT_DATA and length != 4) or (code in _WITH_TYPE and length < 5):
            raise MalformedError(f"EAP code {code} of {length} octets")
        return cls(data, critical=critical)
