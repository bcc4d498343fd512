# SPDX-License-Identifier: Apache-2.0
"""Libreswan 4.10 and 5.2, with the ESP of a Linux kernel."""

import pytest

from support.inguest import Meeting
from support.libreswan import Libreswan
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]


@pytest.mark.parametrize("auth", ["psk", "rsa", "ecdsa"])
def test_a_tunnel_with_libreswan(meet: Meeting, auth: str) -> None:
    pair = meet(Libreswan, auth=auth)
    pair.connect()
    pair.carry()
    pair.peer.terminate()
    wait_until(pair.is_down, 6.0, "both ends to be down")
    pair.nothing_is_left()
