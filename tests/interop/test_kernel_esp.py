# SPDX-License-Identifier: Apache-2.0
"""ESP with the Linux kernel's, which strongSwan configures: ESN too (RFC 4303 §2.2.1, RFC 3948)."""

import pytest

from support.guest import GuestTunnel
from support.pair import Case

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]

SUITES = (
    "aes128gcm16-esn",
    "aes256gcm16-esn",
    "aes256gcm16-noesn",
    "chacha20poly1305-esn",
    "aes128-sha256-esn",
    "aes128-sha256-noesn",
    "aes256-sha384-esn",
    "aes256-sha512-esn",
    "aes128gmac-esn",
    "aes256ccm16-noesn",
)


@pytest.mark.conformance("CF-U04")
@pytest.mark.parametrize("suite", SUITES)
def test_the_kernel_and_the_engine_carry_each_others_packets(
    guest_tunnel: GuestTunnel, suite: str
) -> None:
    pair = guest_tunnel(Case(esp=suite, inside=(4, 6)))
    pair.connect()
    (child,) = pair.ikeway.children()
    assert child.suite == suite.removesuffix("-noesn")
    pair.carry()
    assert pair.witness.seen["bare esp"] == 0


@pytest.mark.parametrize("outside", [4, 6], ids=["outside-IPv4", "outside-IPv6"])
def test_both_ends_prefer_extended_sequence_numbers(
    guest_tunnel: GuestTunnel, outside: int
) -> None:
    """Both offer ESN and NO; UDP encapsulation is our wish alone, as no NAT is there."""
    pair = guest_tunnel(Case(outside=outside, inside=(4, 6), esp="aes256gcm16-esn-noesn"))
    pair.connect()
    (child,) = pair.ikeway.children()
    assert child.suite.endswith("-esn")
    pair.carry()
    assert pair.witness.seen["bare esp"] == 0


@pytest.mark.parametrize(
    ("outside", "suite"),
    [(4, "aes256gcm16-esn"), (6, "aes256-sha256-noesn")],
    ids=["outside-IPv4", "outside-IPv6"],
)
def test_esp_without_udp_where_no_nat_is(
    guest_tunnel: GuestTunnel, outside: int, suite: str
) -> None:
    """IKE stays on port 500 and ESP is IP protocol 50, IPv4 and IPv6 in either (RFC 4303 §2)."""
    bare = {"encapsulation": "nat"}
    pair = guest_tunnel(Case(outside=outside, inside=(4, 6), esp=suite, ikeway=bare))
    pair.connect()
    pair.carry()
    assert pair.witness.seen["bare esp"] > 0
    assert pair.witness.seen["esp"] == 0
