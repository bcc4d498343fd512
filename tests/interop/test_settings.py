# SPDX-License-Identifier: Apache-2.0
"""Settings of strongSwan that ikeway has to live with, whatever it has itself."""

import pytest

from support.pair import RESPONDER, Case, Tunnel

pytestmark = [pytest.mark.interop, pytest.mark.system]

SETTINGS = (
    "fragmentation=yes",
    "fragmentation=accept",
    "fragmentation=force",
    "fragmentation=no",
    "mobike=yes",
    "mobike=no",
    "childless=allow",
    "childless=never",
    "unique=replace",
    "unique=keep",
    "unique=never",
    "crypto=native",
    "crypto=debian",
    "send_certreq=no",
    "keyingtries=0",
    "reauth=3600",
    "dpd_action=restart",
    "dpd=1",
    "close_action=start",
    "send_cert=always",
    "signature_auth=no",
    "cas=all",
    "start_action=trap",
)


@pytest.mark.parametrize("setting", SETTINGS)
def test_the_tunnel_works_with_this_setting(tunnel: Tunnel, setting: str) -> None:
    key, value = setting.split("=")
    pair = tunnel(Case(auth="ecdsa", strongswan={"cas": "ecdsa", key: value}))
    pair.connect()
    pair.carry()


@pytest.mark.conformance("CF-T01")
def test_message_id_sync_is_announced_by_strongswan_where_it_starts(
    tunnel: Tunnel, role: str
) -> None:
    """RFC 6311 §4: we say so as initiator, and as responder to who said so."""
    pair = tunnel(Case())
    pair.connect()
    lines = [line for line in pair.ikeway.log().splitlines() if "MESSAGE_ID_SYNC_SUPPORTED" in line]
    assert any("sent IKE_AUTH" in line for line in lines)
    assert any("received IKE_AUTH" in line for line in lines) == (role == RESPONDER)
