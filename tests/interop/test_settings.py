# SPDX-License-Identifier: Apache-2.0
"""Settings of strongSwan that ikeway has to live with, whatever it has itself."""

import pytest

from support.pair import Case, Tunnel

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
