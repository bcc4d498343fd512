# SPDX-License-Identifier: Apache-2.0
"""IKE SAs that begin without a Child SA (RFC 6023)."""

import re

import pytest

from support.pair import INITIATOR, RESPONDER, Case, Pair, Tunnel
from support.strongswan import wait_until

pytestmark = [pytest.mark.interop, pytest.mark.system]

IKE_AUTH = re.compile(r"IKE_AUTH request 1 \[ ([^\]]*) \]")


def was_childless(pair: Pair) -> bool:
    """Whether no IKE_AUTH request that strongSwan knows of had traffic selectors."""
    found = IKE_AUTH.findall(pair.strongswan.log())
    return bool(found) and not any("TSi" in payloads for payloads in found)


@pytest.mark.parametrize(
    ("role", "childless"),
    [(INITIATOR, "prefer"), (INITIATOR, "force"), (RESPONDER, "allow"), (RESPONDER, "force")],
)
def test_the_first_child_follows_in_an_exchange_of_its_own(tunnel: Tunnel, childless: str) -> None:
    """Whoever starts does so without a Child SA; the tunnel is as good as any."""
    case = Case(ikeway={"childless": childless}, strongswan={"childless": "force"}, inside=(4, 6))
    pair = tunnel(case)
    pair.connect()
    assert was_childless(pair)
    pair.carry()


@pytest.mark.parametrize("role", [RESPONDER])
def test_strongswan_sets_up_the_ike_sa_alone_and_the_child_later(tunnel: Tunnel) -> None:
    pair = tunnel(Case())
    assert pair.strongswan.initiate(childless=True) is None
    wait_until(lambda: len(pair.ikeway.established()) == 1, 4.0, "the IKE SA")
    pair.no_child_is_left()
    pair.connect()
    assert len(pair.ikeway.established()) == 1
    pair.carry()


@pytest.mark.parametrize("role", [INITIATOR])
def test_addresses_come_before_the_child(tunnel: Tunnel) -> None:
    """RFC 6023 §5: the configuration payload stays in IKE_AUTH."""
    case = Case(
        ikeway={"childless": "force", "virtual_ips": ["0.0.0.0"], "local_ts": ["dynamic"]},
        strongswan={"pool": "10.66.0.0/24", "remote_ts": "dynamic"},
    )
    pair = tunnel(case)
    pair.connect()
    assert was_childless(pair)
    assert pair.ikeway.established()[0].virtual_ips == ["10.66.0.1"]
    pair.carry(ours={4: "10.66.0.1"})


@pytest.mark.parametrize(
    ("role", "ours", "peer"), [(INITIATOR, "force", "never"), (RESPONDER, "never", "force")]
)
def test_who_has_to_and_may_not_gets_no_tunnel(tunnel: Tunnel, ours: str, peer: str) -> None:
    """RFC 6023 §3: nobody starts without a Child SA where the responder did not offer that."""
    pair = tunnel(Case(ikeway={"childless": ours}, strongswan={"childless": peer}))
    pair.fails()
    # The responder has answered IKE_SA_INIT and waits for an IKE_AUTH that does not come.
    wait_until(lambda: len(pair.ikeway.sas()) <= 1, 6.0, "us to give up")
    assert not pair.ikeway.established()
    assert not pair.ikeway.children()
    assert not pair.routes()
