# SPDX-License-Identifier: Apache-2.0
"""Compression with that of a Linux kernel (RFC 3173, RFC 7296 §2.22), which others have set up."""

import pytest

from support.guest import Guest, GuestPair, GuestTunnel
from support.inguest import InGuestPair, Meeting, name_of
from support.libreswan import Libreswan
from support.pair import Case
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]

ON = {"ipcomp": True}
TRANSPORT = {"mode": "transport", "local_ts": ["dynamic"], "peer_ts": ["dynamic"]}
LIBRESWAN = "{}\n\tcompress=yes"
"""Goes into the peer's ipsec.conf behind `type=`: the lab's tool has no option for it."""
PATIENCE = 30.0
OCTETS = 1000


@pytest.mark.conformance("CF-J16")
@pytest.mark.parametrize("mode", ["tunnel", "transport"])
def test_libreswan_and_its_kernel(meet: Meeting, guest: Guest, mode: str) -> None:
    """Both directions are smaller on the cable; what does not get smaller passes, too."""
    ikeway = ON | ({} if mode == "tunnel" else TRANSPORT)
    peer = {"mode": LIBRESWAN.format(mode)}
    if mode == "transport":
        peer |= {"local_ts": "", "remote_ts": ""}
    pair = meet(Libreswan, peer=peer, ikeway=ikeway)
    pair.connect()
    ends = pair.link.ours.inner[4], pair.link.peer.inner[4]
    if mode == "transport":
        ends = pair.link.ours.outer[4], pair.link.peer.outer[4]
    compresses(pair, guest, *ends)
    if mode == "tunnel":
        pair.carry()
        before = name_of(pair, "child")
        pair.peer.rekey("child")  # type: ignore[attr-defined]
        wait_until(lambda: name_of(pair, "child") not in {before, ""}, PATIENCE, "the rekey")
        wait_until(pair.is_up, PATIENCE, "the end of what was replaced")
        compresses(pair, guest, *ends)


@pytest.mark.conformance("CF-J16")
def test_strongswan_and_its_kernel(guest_tunnel: GuestTunnel, guest: Guest) -> None:
    swanctl = {"connections": {"lab": {"children": {"net": {"ipcomp": "yes"}}}}}
    pair = guest_tunnel(Case(ikeway=ON, swanctl=swanctl))
    pair.connect()
    compresses(pair, guest, pair.link.ours.inner[4], pair.link.peer.inner[4])
    pair.carry()


@pytest.mark.conformance("CF-J16")
def test_a_peer_that_does_not_want_it_gets_none(meet: Meeting, guest: Guest) -> None:
    """§2.22: who does not answer the offer, or makes none, has plain packets."""
    pair = meet(Libreswan, ikeway=ON)
    pair.connect()
    (child,) = pair.ikeway.children()
    assert child.compression is None
    pair.carry()


def compresses(pair: GuestPair | InGuestPair, guest: Guest, ours: str, peer: str) -> None:
    """Ping with what repeats, both ways, and look at what became of it."""
    how = ("-n", "-q", "-c", "5", "-i", "0.1", "-w", "10", "-s", str(OCTETS), "-p", "41")
    pair.link.ours.namespace.run("ping", *how, "-I", ours, peer)
    guest.run("ping", *how, "-I", peer, ours)
    (child,) = pair.ikeway.children()
    done = child.compression
    assert done is not None
    assert min(done.packets_in, done.packets_out) >= 10, done
    assert done.packed_bytes_in * 5 < done.plain_bytes_in
    assert done.packed_bytes_out * 5 < done.plain_bytes_out
    assert "proto comp" in guest.run("ip", "xfrm", "state")
