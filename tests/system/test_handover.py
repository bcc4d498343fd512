# SPDX-License-Identifier: Apache-2.0
"""Identities are proven anew while traffic goes on: the gateway waits until its peer is ready."""

from pathlib import Path

import pytest

from support.link import cable
from support.steady import Pinger
from support.strongswan import wait_until
from support.two import Two

pytestmark = pytest.mark.system

SECONDS = 5.0
LATE = 0.2
"""How much later than its packets the gateway's answer arrives; each would lose ten pings."""


@pytest.mark.conformance("CF-F04", "CF-F14")
def test_what_the_gateway_sends_does_not_overtake_its_answer(tmp_path: Path) -> None:
    """RFC 7296 §2.8: the old Child SA carries its traffic until the peer has the new one."""
    late = {
        "place": "sent",
        "effect": "delay",
        "exchange": "IKE_AUTH",
        "kind": "response",
        "count": 0,
        "seconds": LATE,
    }
    ours = {"start": "now", "lifetimes": {"reauth": "1500ms", "jitter": 0.0}}
    with cable() as link:
        two = Two(tmp_path, link, ours, {}, (late,))
        try:
            wait_until(lambda: bool(two.children() and two.peer.children()), 10, "the tunnel")
            (before,) = two.ours.established()
            peer, here = two.link.peer, two.link.ours
            pinger = Pinger(peer.namespace, peer.inner[4], here.inner[4], SECONDS)
            sent, lost = pinger.lost()
            assert lost == 0, f"{lost} of {sent}"
            assert before.id not in {sa.id for sa in two.ours.established()}
        finally:
            two.down()
