# SPDX-License-Identifier: Apache-2.0
"""One end is killed and started again beside strongSwan: how soon traffic is back (RFC 7296 §2.4).

strongSwan takes no tokens of RFC 6290, so that its own checks have to notice.
"""

import time
from collections.abc import Callable

import pytest

from support.pair import INITIATOR, RESPONDER, Case, Pair, Tunnel
from support.steady import Pinger
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system]

Property = Callable[[str, object], None]

SECONDS = 9.0
STRICT = {
    "dpd": "1",
    "dpd_action": "restart",
    "retransmit_timeout": "0.3",
    "retransmit_tries": "2",
    "keyingtries": "0",
}
"""strongSwan waits for 2.6 minutes by default, and then lets go."""


@pytest.mark.parametrize("role", [INITIATOR, RESPONDER])
def test_ikeway_is_killed(tunnel: Tunnel, role: str, record_property: Property) -> None:
    """As a client we begin anew; to a gateway without memory strongSwan has to come back."""
    ours = {"start": "now"} if role == INITIATOR else {}
    pair = tunnel(Case(ikeway=ours, strongswan={} if role == INITIATOR else STRICT))
    if role == RESPONDER:
        assert pair.strongswan.initiate() is None
    wait_until(pair.is_up, 6.0, "the tunnel")
    source, target = (
        (pair.link.ours, pair.link.peer) if role == INITIATOR else (pair.link.peer, pair.link.ours)
    )
    pinger = Pinger(source.namespace, source.inner[4], target.inner[4], SECONDS)
    time.sleep(1)
    pair.ikeway.kill()
    died = time.monotonic()
    pair.ikeway.begin()
    pair.ikeway.ready()
    said = f"ready after {time.monotonic() - died:.2f} s, traffic stood for {pinger.gap():.2f} s"
    record_property("figures", said)
    print(f"ikeway as {role}: {said}")
    assert pinger.gap() < 6.0, said
    wait_until(lambda: bool(pair.ikeway.established()), 5.0, "an IKE SA")
    carries(pair)


def carries(pair: Pair) -> None:
    """Check that nothing is lost any more."""
    ours, peer = pair.link.ours, pair.link.peer
    assert Pinger(ours.namespace, ours.inner[4], peer.inner[4], 0.5).lost()[1] == 0
