# SPDX-License-Identifier: Apache-2.0
"""Traffic Selector payloads."""

from ipaddress import IPv4Address, IPv6Address

import pytest

from ikeway.model.errors import MalformedError
from ikeway.model.selectors import TrafficSelector
from ikeway.wire.message import decode_chain, encode_chain
from ikeway.wire.payloads import RawSelector, TsI, TsR
from ikeway.wire.registry import PayloadType, TsType
from support.octets import generic, selector

LOW_4, HIGH_4 = bytes([10, 0, 0, 0]), bytes([10, 0, 0, 255])
LOW_6, HIGH_6 = IPv6Address("2001:db8::").packed, IPv6Address("2001:db8::ffff").packed


def test_ranges_of_both_families_have_the_octets_of_the_rfc() -> None:
    octets = b"\2\0\0\0" + selector(7, (0, 65535), LOW_4, HIGH_4)
    octets += selector(8, (443, 443), LOW_6, HIGH_6, protocol=6)
    expected = (
        TrafficSelector(0, 0, 65535, IPv4Address("10.0.0.0"), IPv4Address("10.0.0.255")),
        TrafficSelector(6, 443, 443, IPv6Address("2001:db8::"), IPv6Address("2001:db8::ffff")),
    )
    assert decode(octets) == TsI(expected)
    assert decode(octets).selectors == expected
    assert TsR(expected).encode() == octets


@pytest.mark.conformance("CF-G11")
def test_ports_65535_to_0_are_opaque_and_any_other_inversion_is_malformed() -> None:
    opaque = b"\1\0\0\0" + selector(7, (65535, 0), LOW_4, HIGH_4, protocol=17)
    assert decode(opaque).selectors[0].is_opaque
    assert decode(opaque).encode() == opaque
    for ports in ((65535, 1), (2, 1), (65534, 0)):
        with pytest.raises(MalformedError, match="ports"):
            decode(b"\1\0\0\0" + selector(7, ports, LOW_4, HIGH_4, protocol=17))


def test_addresses_in_the_wrong_order_are_malformed() -> None:
    with pytest.raises(MalformedError, match="addresses"):
        decode(b"\1\0\0\0" + selector(7, (0, 65535), HIGH_4, LOW_4))
    with pytest.raises(MalformedError, match="addresses"):
        decode(b"\1\0\0\0" + selector(8, (0, 65535), HIGH_6, LOW_6))


@pytest.mark.conformance("CF-G12")
def test_icmp_has_its_type_in_the_high_octet_and_its_code_in_the_low() -> None:
    echo = TrafficSelector(
        1, 8 << 8, 8 << 8 | 255, IPv4Address("10.0.0.0"), IPv4Address("10.0.0.255")
    )
    octets = TsI((echo,)).encode()
    assert octets[8:12] == bytes([8, 0, 8, 255])
    assert decode(octets) == TsI((echo,))


@pytest.mark.parametrize(
    "octets",
    [
        b"\2\0\0\0" + selector(7, (0, 1), LOW_4, HIGH_4),
        b"\0\0\0\0" + selector(7, (0, 1), LOW_4, HIGH_4),
        b"\1\0\0\0" + selector(7, (0, 1), LOW_6, HIGH_6),
        b"\1\0\0\0" + selector(8, (0, 1), LOW_4, HIGH_4),
        b"\1\0\0\0\7\0\0\3",
        b"\1\0\0",
    ],
    ids=["too few", "too many", "IPv4 of 40", "IPv6 of 16", "shorter than its header", "cut"],
)
def test_selectors_that_do_not_fit_are_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(octets)


@pytest.mark.conformance("CF-C19")
def test_reserved_octets_of_the_payload_are_ignored() -> None:
    content = selector(7, (0, 65535), LOW_4, HIGH_4)
    assert decode(b"\1\xff\xff\xff" + content) == decode(b"\1\0\0\0" + content)


def test_a_selector_of_another_type_survives_between_known_ones() -> None:
    label = b"\x0a\0\0\x0dsecret_t\0"
    octets = b"\3\0\0\0" + selector(7, (0, 65535), LOW_4, HIGH_4) + label
    octets += selector(8, (0, 65535), LOW_6, HIGH_6)
    decoded = decode(octets)
    assert decoded.parts[1] == RawSelector(TsType.SECLABEL, b"secret_t\0")
    assert [one.version for one in decoded.selectors] == [4, 6]
    assert decoded.encode() == octets


def decode(octets: bytes) -> TsI:
    (body,) = decode_chain(PayloadType.TS_I, generic(0, octets))
    assert isinstance(body, TsI)
    assert decode_chain(*encode_chain((body,))) == (body,)
    return body
