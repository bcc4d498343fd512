# SPDX-License-Identifier: Apache-2.0
"""ESP packets that documents print (RFC 7634 appendix A, RFC 3602 §4)."""

import hashlib
import hmac
from typing import Any

import pytest

from ikeway._engine import EspSa
from support.vectors import cases


@pytest.mark.conformance("CF-U18", "CF-U11", "CF-U19")
@pytest.mark.parametrize("case", cases("esp"))
def test_the_packet_of_the_document_opens(case: dict[str, Any]) -> None:
    sa = EspSa(
        case["spi"],
        encr=case["encr"],
        key_bits=case["key_bits"],
        integ=case["integ"],
        encr_key=case["encr_key"],
        integ_key=case["integ_key"],
    )
    packet = case["packet"]
    if case["integ"]:
        # RFC 3602 prints packets without an ICV: HMAC-SHA2-256 is half the octets of the MAC.
        packet += hmac.digest(case["integ_key"], packet, hashlib.sha256)[:16]
    assert sa.open(packet) == case["inner"]
