# SPDX-License-Identifier: Apache-2.0
"""A Child SA between two addresses of the loopback, for tests of data planes."""

from ipaddress import ip_address
from typing import Final

from ikeway.model.address import NAT_PORT, Endpoint
from ikeway.model.esp import ChildSa, Encapsulation, EspKeys, EspSuite, Mode
from ikeway.model.secret import Secret
from ikeway.model.selectors import TrafficSelector

HERE: Final = "127.0.0.1"
THERE: Final = "127.0.0.2"
KEYS: Final = EspKeys(Secret(bytes(36)), Secret(b""))
CHILD: Final = ChildSa(
    spi_in=0x1000,
    spi_out=0x2000,
    local=Endpoint(ip_address(HERE), NAT_PORT),
    peer=Endpoint(ip_address(THERE), NAT_PORT),
    mode=Mode.TUNNEL,
    encapsulation=Encapsulation.UDP,
    suite=EspSuite(20, 256, 0, esn=True),
    keys_in=KEYS,
    keys_out=KEYS,
    local_ts=(TrafficSelector.of("10.1.0.0/16"),),
    peer_ts=(TrafficSelector.of("10.2.0.0/16"),),
)
