# SPDX-License-Identifier: Apache-2.0
"""The header, chains of payloads, and what makes a whole message malformed."""

from struct import pack

import pytest

from ikeway.model.errors import MalformedError, UsageError
from ikeway.wire.message import (
    PAYLOADS_MAX,
    Flags,
    Header,
    Message,
    decode_chain,
    encode_chain,
    with_marker,
    without_marker,
)
from ikeway.wire.payloads import (
    Encrypted,
    EncryptedFragment,
    Nonce,
    Notify,
    TsI,
    Unknown,
    VendorId,
)
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType
from support.octets import SPI_I, SPI_R, generic, message

NONCE = bytes(range(16))


def test_a_header_is_28_octets_in_the_order_of_the_rfc() -> None:
    octets = SPI_I + SPI_R + bytes.fromhex("21202220000000070000001c")
    header = Header.decode(octets)
    assert header == Header(
        SPI_I, SPI_R, PayloadType.SA, 2, 0, ExchangeType.IKE_SA_INIT, Flags.RESPONSE, 7, 28
    )
    assert (header.length, header.encode()) == (28, octets)
    assert (header.is_response, header.is_request, header.is_from_initiator) == (True, False, False)


def test_fewer_octets_than_a_header_are_malformed() -> None:
    for size in range(28):
        with pytest.raises(MalformedError):
            Message.decode(bytes(size))


def test_the_header_of_another_version_can_be_read_but_not_the_message() -> None:
    octets = bytearray(message(0, b""))
    for version in (0x10, 0x30):
        octets[17] = version
        assert Header.decode(bytes(octets)).major == version >> 4
        with pytest.raises(MalformedError, match="major version"):
            Message.decode(bytes(octets))


def test_a_higher_minor_version_is_decoded() -> None:
    octets = bytearray(message(0, b""))
    octets[17] = 0x2F
    assert Message.decode(bytes(octets)).header.minor == 15


@pytest.mark.conformance("CF-K03")
@pytest.mark.parametrize("wrong", [0, 27, 28, 51, 53, 0xFFFFFFFF])
def test_a_length_that_is_not_the_datagrams_is_malformed(wrong: int) -> None:
    body = generic(0, bytes(20))
    with pytest.raises(MalformedError, match="length"):
        Message.decode(message(40, body, length=wrong))


@pytest.mark.conformance("CF-C19")
def test_reserved_bits_of_headers_are_ignored() -> None:
    octets = message(40, generic(0, NONCE, flags=0x7F), flags=0xC7 | 0x08)
    decoded = Message.decode(octets)
    assert decoded.header.flags is Flags.INITIATOR
    assert decoded.payloads == (Nonce(NONCE),)


@pytest.mark.conformance("CF-K06")
@pytest.mark.parametrize("length", [0, 1, 2, 3, 21, 100, 65535])
def test_a_payload_length_below_4_or_beyond_the_message_is_malformed(length: int) -> None:
    with pytest.raises(MalformedError):
        Message.decode(message(40, generic(0, NONCE, length=length)))


def test_octets_after_the_last_payload_are_malformed() -> None:
    with pytest.raises(MalformedError, match="3 octets after the last payload"):
        Message.decode(message(40, generic(0, NONCE) + b"abc"))


def test_a_chain_that_ends_before_its_last_payload_is_malformed() -> None:
    with pytest.raises(MalformedError):
        Message.decode(message(40, generic(41, NONCE)))


def test_a_message_without_payloads_is_a_message() -> None:
    assert Message.decode(message(0, b"")).payloads == ()


@pytest.mark.conformance("CF-C23")
def test_an_unknown_payload_is_stepped_over_by_its_length() -> None:
    octets = message(200, generic(40, b"anything") + generic(0, NONCE))
    decoded = Message.decode(octets)
    assert decoded.payloads == (Unknown(PayloadType(200), b"anything"), Nonce(NONCE))
    assert decoded.encode() == octets
    assert decode_chain(PayloadType(200), octets[28:]) == decoded.payloads


def test_an_unknown_critical_payload_says_so() -> None:
    (body,) = Message.decode(message(200, generic(0, b"", flags=0x80))).payloads
    assert body == Unknown(PayloadType(200), b"", critical=True)
    assert body.kind == 200


@pytest.mark.conformance("CF-C24")
def test_a_known_payload_may_be_critical_and_stays_so() -> None:
    octets = message(40, generic(0, NONCE, flags=0x80))
    decoded = Message.decode(octets)
    assert decoded.payloads == (Nonce(NONCE, critical=True),)
    assert decoded.encode() == octets


@pytest.mark.conformance("CF-C26")
def test_payloads_may_come_in_any_order() -> None:
    bodies = (VendorId(b"x"), Notify(NotifyType.COOKIE, b"y"), TsI(()), Nonce(NONCE))
    for payloads in (bodies, bodies[::-1]):
        assert decode_chain(*encode_chain(payloads)) == payloads


@pytest.mark.conformance("CF-K12")
def test_vendor_ids_may_be_many_and_empty() -> None:
    bodies = tuple(VendorId(bytes(size)) for size in range(40))
    assert decode_chain(*encode_chain(bodies)) == bodies


@pytest.mark.conformance("CF-K04")
@pytest.mark.parametrize("kind", [46, 53])
def test_what_follows_an_encrypted_payload_is_malformed(kind: int) -> None:
    sealed = generic(35, pack("!HH", 1, 1) + b"sealed")
    with pytest.raises(MalformedError, match="24 octets after"):
        Message.decode(message(kind, sealed + generic(0, bytes(20))))


@pytest.mark.conformance("CF-K04")
@pytest.mark.parametrize("kind", [46, 53])
def test_an_encrypted_payload_inside_another_is_malformed(kind: int) -> None:
    inner = generic(kind, NONCE) + generic(0, pack("!HH", 1, 1) + b"sealed")
    with pytest.raises(MalformedError, match="inside another"):
        decode_chain(PayloadType.NONCE, inner)


def test_an_encrypted_payload_may_follow_others_and_keeps_the_type_inside() -> None:
    octets = message(41, generic(46, pack("!BBH", 0, 0, 16390)) + generic(35, b"sealed"))
    decoded = Message.decode(octets)
    assert decoded.payloads[1] == Encrypted(PayloadType.IDI, b"sealed")
    assert decoded.encode() == octets


def test_nothing_of_ours_follows_an_encrypted_payload() -> None:
    with pytest.raises(UsageError):
        encode_chain((Encrypted(PayloadType.NONE, b""), Nonce(NONCE)))


def test_a_payload_that_its_length_cannot_tell_is_our_fault() -> None:
    with pytest.raises(UsageError):
        encode_chain((VendorId(bytes(65532)),))
    assert len(encode_chain((VendorId(bytes(65531)),))[1]) == 65535


def test_a_number_that_does_not_fit_is_our_fault() -> None:
    sealed = EncryptedFragment(PayloadType.NONE, 1, 65536, b"")
    with pytest.raises(UsageError):
        encode_chain((sealed,))
    header = Message.build(SPI_I, SPI_R, ExchangeType.IKE_AUTH, Flags(0), 1 << 32, ()).header
    with pytest.raises(UsageError):
        header.encode()
    with pytest.raises(UsageError):
        Message.build(b"short", SPI_R, ExchangeType.IKE_AUTH, Flags(0), 1, ()).encode()


def test_a_chain_has_at_most_256_payloads() -> None:
    most = generic(43, b"") * (PAYLOADS_MAX - 1) + generic(0, b"")
    assert len(Message.decode(message(43, most)).payloads) == PAYLOADS_MAX
    with pytest.raises(MalformedError, match="more than 256 payloads"):
        Message.decode(message(43, generic(43, b"") + most))


def test_a_built_message_equals_the_decoded_one() -> None:
    bodies = (Notify(NotifyType.COOKIE, b"c"), Nonce(NONCE))
    built = Message.build(SPI_I, SPI_R, ExchangeType.IKE_SA_INIT, Flags.INITIATOR, 0, bodies)
    octets = built.encode()
    assert Message.decode(octets) == built
    assert Message.decode(octets).header.length == len(octets)
    assert built.header.is_from_initiator
    assert built.header.is_request


def test_payloads_are_found_by_class_and_notifies_by_type() -> None:
    bodies = (VendorId(b"1"), Notify(NotifyType.COOKIE), VendorId(b"2"))
    found = Message.build(SPI_I, SPI_R, ExchangeType.IKE_SA_INIT, Flags(0), 0, bodies)
    assert found.one(VendorId) == bodies[0]
    assert found.one(Nonce) is None
    assert found.all(VendorId) == (bodies[0], bodies[2])
    assert found.notify(NotifyType.COOKIE) == bodies[1]
    assert found.notify(NotifyType.REKEY_SA) is None


def test_a_message_shows_itself_as_json() -> None:
    built = Message.build(
        SPI_I, SPI_R, ExchangeType.INFORMATIONAL, Flags.RESPONSE, 3, (VendorId(b"\xff"),)
    )
    assert built.to_json() == {
        "spi_i": SPI_I.hex(),
        "spi_r": SPI_R.hex(),
        "next_payload": "VENDOR",
        "major": 2,
        "minor": 0,
        "exchange": "INFORMATIONAL",
        "flags": ["RESPONSE"],
        "message_id": 3,
        "length": 0,
        "payloads": [{"payload": "VENDOR", "data": "ff"}],
    }


def test_the_marker_tells_ike_from_esp_on_port_4500() -> None:
    octets = message(0, b"")
    assert without_marker(with_marker(octets)) == octets
    assert without_marker(b"\0\0\0\1" + bytes(40)) is None
    assert without_marker(b"\xff") is None
    assert without_marker(b"") is None
