# SPDX-License-Identifier: Apache-2.0
"""Who asks the RADIUS server, and about which session: the same in access and in accounting."""

from dataclasses import dataclass
from typing import Final

from ikeway.auth.radius.packet import Address, Attribute, of_address
from ikeway.auth.radius.registry import NAS_PORT_VIRTUAL, AttributeType, ServiceType

_NAS_PORT_TYPE: Final = Attribute.number(AttributeType.NAS_PORT_TYPE, NAS_PORT_VIRTUAL)
_SERVICE_TYPE: Final = Attribute.number(AttributeType.SERVICE_TYPE, ServiceType.FRAMED)


@dataclass(frozen=True, slots=True)
class Visit:
    """A user's IKE SA, as the RADIUS server is told of it.

    `nas` is what the gateway calls itself, `session` is the same from the first request to the
    last, and unique also across restarts of the gateway (RFC 2866 §5.5).
    """

    nas: str
    session: str
    connection: str
    local: Address
    peer: Address
    peer_port: int

    def attributes(self) -> tuple[Attribute, ...]:
        """Return what identifies the gateway, the session and where the user is."""
        return (
            Attribute.text(AttributeType.NAS_IDENTIFIER, self.nas),
            of_address(AttributeType.NAS_IP_ADDRESS, AttributeType.NAS_IPV6_ADDRESS, self.local),
            Attribute.text(AttributeType.NAS_PORT_ID, self.connection),
            _NAS_PORT_TYPE,
            _SERVICE_TYPE,
            Attribute.text(AttributeType.CALLED_STATION_ID, str(self.local)),
            Attribute.text(AttributeType.CALLING_STATION_ID, f"{self.peer}[{self.peer_port}]"),
            Attribute.text(AttributeType.ACCT_SESSION_ID, self.session),
        )
