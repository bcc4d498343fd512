# SPDX-License-Identifier: Apache-2.0
"""Cookies that we demand; those that strongSwan demands are in test_negotiation (RFC 7296 §2.6)."""

import pytest

from support.pair import RESPONDER, Case, Tunnel

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.parametrize("role", [RESPONDER])]


@pytest.mark.conformance("CF-D07", "CF-D12")
@pytest.mark.parametrize("outside", [4, 6])
def test_we_ask_strongswan_for_a_cookie(tunnel: Tunnel, outside: int) -> None:
    """RFC 7296 §2.6: it comes back with it."""
    pair = tunnel(Case(outside=outside, ikeway_top={"limits": {"cookies_from": 0}}))
    pair.connect()
    pair.strongswan.wait_for_log("parsed IKE_SA_INIT response 0 [ N(COOKIE) ]")
    assert pair.ikeway.said("under pressure, asked 1 for a cookie")
    pair.carry()
