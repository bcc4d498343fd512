# SPDX-License-Identifier: Apache-2.0
"""ESP packets that documents print (RFC 7634 appendix A, RFC 3602 §4)."""

import hashlib
import hmac
from typing import Any

import pytest

from ikeway._engine import EspSa
from ikeway.trace.keyfile import load_keys
from support.pcap import CAPTURES, ESP, packets
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


@pytest.mark.conformance("CF-U11")
@pytest.mark.parametrize(
    ("name", "spi", "code", "bits"),
    [("08-sunrise-sunset-aes", 0xD1234567, 12, 256), ("08-sunrise-sunset-esp2", 0x12345678, 3, 0)],
)
def test_recorded_packets_open_to_what_was_sent(name: str, spi: int, code: int, bits: int) -> None:
    """The captures come with keys of encryption only, so each packet gets an ICV of ours."""
    key = load_keys(CAPTURES / "esp-secrets.txt").esp_keys(spi, "", "192.1.2.45")[0].encr.octets
    integ_key = bytes(range(20))
    sa = EspSa(spi, encr=code, key_bits=bits, integ=2, encr_key=key, integ_key=integ_key)
    recorded = [one.payload for one in packets(CAPTURES / f"{name}.pcap") if one.protocol == ESP]
    mine = [one[:-12] for one in recorded if int.from_bytes(one[:4]) == spi]
    assert len(mine) >= 4
    for packet in mine:
        inner = sa.open(packet + hmac.digest(integ_key, packet, hashlib.sha1)[:12])
        assert inner[0] >> 4 == 4
        assert len(inner) == int.from_bytes(inner[2:4])
