# SPDX-License-Identifier: Apache-2.0
"""The regular payloads: their octets, and the octets that they refuse."""

from struct import pack

import pytest

from ikeway.model.errors import MalformedError, UsageError
from ikeway.model.identity import Identity, IdType
from ikeway.wire.codec import Body, Reader
from ikeway.wire.message import decode_chain, encode_chain
from ikeway.wire.payloads import (
    PAYLOADS,
    Authentication,
    Certificate,
    CertificateRequest,
    CfgAttributeValue,
    Configuration,
    Delete,
    Eap,
    Encrypted,
    EncryptedFragment,
    IdI,
    IdR,
    KeyExchange,
    Nonce,
    Notify,
    PuzzleSolution,
    Unknown,
)
from ikeway.wire.registry import (
    AuthMethod,
    CertEncoding,
    CfgAttribute,
    CfgType,
    KeMethod,
    NotifyType,
    PayloadType,
    ProtocolId,
)
from support.octets import generic

EXAMPLES = [
    (KeyExchange(KeMethod.CURVE25519, b"\xaa\xbb"), "001f0000aabb"),
    (IdI(IdType.FQDN, b"a.b"), "02000000612e62"),
    (IdR(IdType.KEY_ID, b"k"), "0b0000006b"),
    (Certificate(CertEncoding.X509_SIGNATURE, b"\x30\x00"), "043000"),
    (CertificateRequest(CertEncoding.X509_SIGNATURE, b"\x11" * 20), "04" + "11" * 20),
    (Authentication(AuthMethod.DIGITAL_SIGNATURE, b"\x99"), "0e00000099"),
    (Nonce(b"\x77" * 16), "77" * 16),
    (Notify(NotifyType.COOKIE, b"\x01\x02"), "000040060102"),
    (
        Notify(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=b"\1\2\3\4"),
        "0304400901020304",
    ),
    (Delete(ProtocolId.IKE), "01000000"),
    (Delete(ProtocolId.ESP, 4, (b"\0\0\0\1", b"\0\0\0\2")), "030400020000000100000002"),
    (
        Configuration(
            CfgType.CFG_REPLY,
            (CfgAttributeValue(CfgAttribute.INTERNAL_IP4_DNS, b"\x0a\0\0\1"),),
        ),
        "02000000000300040a000001",
    ),
    (Eap(b"\1\7\0\5\1"), "0107000501"),
    (Eap(b"\3\7\0\4"), "03070004"),
]


@pytest.mark.parametrize(("body", "octets"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_a_payload_has_the_octets_of_the_rfc(body: Body, octets: str) -> None:
    assert body.encode().hex() == octets
    assert decode(body.kind, bytes.fromhex(octets)) == body
    critical = generic(0, bytes.fromhex(octets), flags=0x80)
    assert encode_chain(decode_chain(body.kind, critical)) == (body.kind, critical)


@pytest.mark.parametrize(
    ("kind", "octets"),
    [
        (PayloadType.KE, "001f00"),
        (PayloadType.IDI, "010000"),
        (PayloadType.IDR, ""),
        (PayloadType.CERT, ""),
        (PayloadType.CERTREQ, ""),
        (PayloadType.AUTH, "020000"),
        (PayloadType.NOTIFY, "0000"),
        (PayloadType.NOTIFY, "030440090102"),
        (PayloadType.DELETE, "010000"),
        (PayloadType.CP, "010000"),
        (PayloadType.CP, "010000000001"),
        (PayloadType.CP, "0100000000010004aabb"),
    ],
)
def test_a_payload_that_is_cut_is_malformed(kind: PayloadType, octets: str) -> None:
    with pytest.raises(MalformedError):
        decode(kind, bytes.fromhex(octets))


@pytest.mark.conformance("CF-H01")
def test_a_nonce_has_16_to_256_octets() -> None:
    for size in (16, 17, 32, 255, 256):
        assert decode(PayloadType.NONCE, bytes(size)) == Nonce(bytes(size))
    for size in (0, 1, 15, 257, 1000):
        with pytest.raises(MalformedError, match="16 to 256"):
            decode(PayloadType.NONCE, bytes(size))


@pytest.mark.conformance("CF-K11")
@pytest.mark.parametrize(
    "octets",
    [
        pack("!BBH", 1, 8, 1) + bytes(8),
        pack("!BBH", 1, 4, 1) + bytes(4),
        pack("!BBH", 1, 0, 1),
        pack("!BBH", 3, 8, 1) + bytes(8),
        pack("!BBH", 3, 0, 0),
        pack("!BBH", 2, 3, 1) + bytes(3),
        pack("!BBH", 3, 4, 2) + bytes(4),
        pack("!BBH", 3, 4, 1) + bytes(8),
        pack("!BBH", 3, 4, 65535) + bytes(4),
        pack("!BBH", 99, 0, 65535),
    ],
    ids=[
        "IKE with an SPI",
        "IKE with 4 octets",
        "IKE counted",
        "ESP of 8",
        "ESP of 0",
        "AH of 3",
        "one missing",
        "one too many",
        "65535 announced",
        "65535 of nothing",
    ],
)
def test_a_delete_that_does_not_add_up_is_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(PayloadType.DELETE, octets)


@pytest.mark.conformance("CF-K11")
def test_several_deletes_of_different_protocols_are_several_payloads() -> None:
    bodies = (Delete(ProtocolId.ESP, 4, (b"\0\0\0\1",)), Delete(ProtocolId.AH, 4, (b"\0\0\0\2",)))
    assert decode_chain(*encode_chain(bodies)) == bodies


@pytest.mark.conformance("CF-I16")
@pytest.mark.parametrize(
    "octets",
    [
        "",
        "010700",
        "01070006017f7f",
        "0107000501ff",
        "0307000500",
        "04070003",
        "02070004",
        "01070004",
    ],
)
def test_an_eap_packet_whose_length_is_wrong_is_malformed(octets: str) -> None:
    with pytest.raises(MalformedError, match="EAP"):
        decode(PayloadType.EAP, bytes.fromhex(octets))


def test_an_eap_packet_tells_its_code_and_identifier() -> None:
    body = Eap(b"\2\x2a\0\5\1")
    assert (body.code, body.identifier) == (2, 42)


@pytest.mark.conformance("CF-I18")
@pytest.mark.parametrize(
    ("octets", "text"),
    [
        ("01000000c0000201", "192.0.2.1"),
        ("020000006177", "aw"),
        ("0300000061406277", "a@bw"),
        ("0500000020010db8000000000000000000000001", "2001:db8::1"),
        ("0b0000006b6579", "@#6b6579"),
    ],
)
def test_the_usual_identities_are_read_and_written(octets: str, text: str) -> None:
    body = decode(PayloadType.IDI, bytes.fromhex(octets))
    assert isinstance(body, IdI)
    body.identity.check()
    assert str(body.identity) == text
    assert IdI.of(Identity.parse(text)) == body


@pytest.mark.conformance("CF-I18")
@pytest.mark.parametrize("octets", ["0200000061770a", "03000000614062770d", "02000000617700"])
def test_a_name_with_a_terminator_fails_its_check(octets: str) -> None:
    body = decode(PayloadType.IDI, bytes.fromhex(octets))
    assert isinstance(body, IdI)
    with pytest.raises(MalformedError):
        body.identity.check()


@pytest.mark.conformance("CF-C19")
def test_the_reserved_octets_of_an_identity_stay_for_auth() -> None:
    octets = bytes.fromhex("02aabbcc6177")
    body = decode(PayloadType.IDR, octets)
    assert isinstance(body, IdR)
    assert body.body() == octets
    assert body.identity == Identity(IdType.FQDN, b"aw")


@pytest.mark.conformance("CF-C19")
@pytest.mark.parametrize(
    ("kind", "wild", "plain"),
    [
        (PayloadType.KE, "001fffffaa", "001f0000aa"),
        (PayloadType.AUTH, "02ffffffaa", "02000000aa"),
        (PayloadType.CP, "01ffffff", "01000000"),
    ],
)
def test_other_reserved_octets_are_ignored(kind: PayloadType, wild: str, plain: str) -> None:
    assert decode(kind, bytes.fromhex(wild)) == decode(kind, bytes.fromhex(plain))


@pytest.mark.conformance("CF-I22")
def test_authorities_that_are_no_multiple_of_20_octets_are_ignored() -> None:
    whole = CertificateRequest(CertEncoding.X509_SIGNATURE, b"\1" * 20 + b"\2" * 20)
    assert whole.hashes == (b"\1" * 20, b"\2" * 20)
    for size in (1, 19, 21, 39):
        octets = b"\4" + bytes(size)
        body = decode(PayloadType.CERTREQ, octets)
        assert isinstance(body, CertificateRequest)
        assert body.hashes == ()
        assert body.encode() == octets


@pytest.mark.conformance("CF-J07")
def test_a_configuration_attribute_of_an_illegal_length_is_ignored() -> None:
    octets = "02000000" + "00010005c000020100" + "00010004c0000201"
    body = decode(PayloadType.CP, bytes.fromhex(octets))
    assert isinstance(body, Configuration)
    assert body.all(CfgAttribute.INTERNAL_IP4_ADDRESS) == (bytes([192, 0, 2, 1]),)
    assert body.encode().hex() == octets


@pytest.mark.conformance("CF-L03")
@pytest.mark.parametrize(("number", "total"), [(0, 0), (0, 1), (1, 0), (2, 1), (65535, 1)])
def test_a_fragment_that_cannot_be_is_malformed(number: int, total: int) -> None:
    with pytest.raises(MalformedError, match="fragment"):
        EncryptedFragment.open(PayloadType.NONE, Reader(pack("!HH", number, total)), False)


def test_a_fragment_keeps_its_numbers_and_what_is_inside_the_first() -> None:
    fragments = [
        EncryptedFragment(PayloadType.IDI, 1, 2, b"one"),
        EncryptedFragment(PayloadType.NONE, 2, 2, b"two"),
    ]
    assert encode_chain(fragments[:1])[1].hex() == "2300000b00010002" + b"one".hex()
    assert encode_chain(fragments[1:])[1].hex() == "0000000b00020002" + b"two".hex()


@pytest.mark.parametrize("kind", [Encrypted, EncryptedFragment])
def test_an_encrypted_payload_cannot_be_decoded_without_its_generic_header(
    kind: type[Encrypted | EncryptedFragment],
) -> None:
    with pytest.raises(UsageError):
        kind.decode(Reader(b""))


def test_a_puzzle_solution_is_four_keys() -> None:
    """RFC 8019 §8.2: "This field MUST NOT be empty"."""
    keys = bytes(range(16))
    assert decode(PayloadType.PUZZLE, keys) == PuzzleSolution(keys)
    with pytest.raises(MalformedError):
        decode(PayloadType.PUZZLE, b"")


def test_error_notifies_are_those_below_16384() -> None:
    assert NotifyType.STATE_NOT_FOUND.is_error
    assert NotifyType(16383).is_error
    assert not NotifyType.INITIAL_CONTACT.is_error


def test_every_payload_type_has_one_class() -> None:
    kinds = [one.payload_type for one in PAYLOADS]
    assert len(set(kinds)) == len(kinds) == 18
    assert set(kinds) == {PayloadType(code) for code in (*range(33, 49), 53, 54)}


def decode(kind: PayloadType, octets: bytes) -> Body:
    (body,) = decode_chain(kind, generic(0, octets))
    assert not isinstance(body, Unknown)
    return body
