# SPDX-License-Identifier: Apache-2.0
"""OpenIKED 7.2 and 7.4, with the ESP of a Linux kernel."""

import pytest

from support.inguest import Meeting
from support.openiked import OpenIked
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]


@pytest.mark.parametrize("auth", ["psk", "rsa", "ecdsa"])
def test_a_tunnel_with_openiked(meet: Meeting, auth: str) -> None:
    pair = meet(OpenIked, auth=auth)
    pair.connect()
    pair.carry()
    pair.peer.terminate()
    wait_until(pair.is_down, 6.0, "both ends to be down")
    pair.nothing_is_left()
