# SPDX-License-Identifier: Apache-2.0
"""Distinguished names: text, DER and comparison."""

import pytest
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from ikeway.crypto.der import OBJECT_IDENTIFIER, SEQUENCE, SET, encode
from ikeway.crypto.names import distinguished_name, name_text, names_equal
from ikeway.model.identity import IdType

CN, O = "550403", "55040a"  # noqa: E741 - the attributes' own names
UTF8, PRINTABLE, TELETEX, BMP, UNIVERSAL = 0x0C, 0x13, 0x14, 0x1E, 0x1C


def part(kind: str, tag: int, value: bytes) -> bytes:
    return encode(SEQUENCE, encode(OBJECT_IDENTIFIER, bytes.fromhex(kind)), encode(tag, value))


def name(*rdns: bytes) -> bytes:
    """A Name of RDNs with one attribute each."""
    return encode(SEQUENCE, *(encode(SET, rdn) for rdn in rdns))


def test_the_text_has_the_order_of_the_certificate() -> None:
    identity = distinguished_name("C=CH, O=Example Ltd, CN=gateway")
    assert identity.type is IdType.DER_ASN1_DN
    expected = x509.Name(
        [
            x509.NameAttribute(x509.NameOID.COUNTRY_NAME, "CH"),
            x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Example Ltd"),
            x509.NameAttribute(x509.NameOID.COMMON_NAME, "gateway"),
        ]
    )
    assert identity.data == expected.public_bytes()
    assert name_text(identity.data) == "C=CH, O=Example Ltd, CN=gateway"


@pytest.mark.parametrize(
    "text",
    [
        "CN=a",
        r"CN=Smith\, John",
        r"CN=back\\slash",
        "O=A+B, CN=x=y",
        "CN=Zürich",
        "DC=example, DC=com, UID=jo, E=jo@example.com, serialNumber=5, ST=ZH, L=Zug, STREET=a",
    ],
)
def test_a_name_survives_text_and_der(text: str) -> None:
    assert name_text(distinguished_name(text).data) == text


def test_attributes_have_other_words_too() -> None:
    one = distinguished_name("c=CH,emailAddress=a@b, cn = x")
    assert one == distinguished_name("C=CH, E=a@b, CN=x")


@pytest.mark.parametrize("text", ["", ",", "gateway", "CN", "XX=y", "=x", "CN=a, b", "C=Zürich"])
def test_what_is_no_name_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        distinguished_name(text)


EQUAL = [
    (part(CN, UTF8, b"gateway"), part(CN, PRINTABLE, b"gateway")),
    (part(CN, UTF8, b"GateWay"), part(CN, UTF8, b"gateway")),
    (part(CN, UTF8, b"  a \t b "), part(CN, UTF8, b"a b")),
    (part(CN, UTF8, "Zürich".encode()), part(CN, TELETEX, "ZÜRICH".encode("latin-1"))),
    (part(CN, UTF8, "Zürich".encode()), part(CN, BMP, "Zürich".encode("utf-16-be"))),
    (part(CN, UTF8, b"ab"), part(CN, UNIVERSAL, "ab".encode("utf-32-be"))),
    (part(CN, UTF8, "u\u0308".encode()), part(CN, UTF8, "\u00fc".encode())),
    (part(CN, UTF8, "straße".encode()), part(CN, UTF8, b"STRASSE")),
]
DIFFERENT = [
    (part(CN, UTF8, b"gateway"), part(O, UTF8, b"gateway")),
    (part(CN, UTF8, b"gateway"), part(CN, UTF8, b"gateway2")),
    (part(CN, UTF8, b"gateway"), part(CN, UTF8, b"gateway\0")),
    (part(CN, UTF8, b"gateway"), part(CN, 0x04, b"gateway")),
    (part(CN, UTF8, b"a b"), part(CN, UTF8, b"ab")),
]


@pytest.mark.conformance("CF-I18")
@pytest.mark.parametrize(("one", "two"), EQUAL)
def test_string_type_case_and_spaces_do_not_count(one: bytes, two: bytes) -> None:
    """RFC 5280 §7.1."""
    assert names_equal(name(one), name(two))


@pytest.mark.conformance("CF-I18")
@pytest.mark.parametrize(("one", "two"), DIFFERENT)
def test_everything_else_counts(one: bytes, two: bytes) -> None:
    assert not names_equal(name(one), name(two))


@pytest.mark.conformance("CF-I18")
def test_the_order_of_rdns_counts_and_that_within_one_does_not() -> None:
    one, two = part(CN, UTF8, b"a"), part(O, UTF8, b"b")
    assert not names_equal(name(one, two), name(two, one))
    assert names_equal(
        encode(SEQUENCE, encode(SET, one, two)), encode(SEQUENCE, encode(SET, two, one))
    )
    assert not names_equal(name(one, two), encode(SEQUENCE, encode(SET, one, two)))
    assert name_text(encode(SEQUENCE, encode(SET, one, two))) == "CN=a + O=b"


def test_a_name_that_begins_another_one_is_not_equal() -> None:
    one = distinguished_name("C=CH, CN=x").data
    assert not names_equal(one, distinguished_name("C=CH").data)
    assert not names_equal(distinguished_name("C=CH").data, one)


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_any_octets_can_be_compared_and_shown(one: bytes, two: bytes) -> None:
    assert names_equal(one, two) is names_equal(two, one)
    assert isinstance(name_text(one), str)


def test_what_is_no_name_is_shown_in_hex() -> None:
    assert name_text(b"\x30\x01") == "DN:3001"
    odd = name(encode(SEQUENCE, encode(OBJECT_IDENTIFIER, b"\x2a"), encode(0x04, b"x"), b"\5\0"))
    assert name_text(odd).startswith("DN:")


def test_an_attribute_that_we_do_not_know_is_shown_by_its_number() -> None:
    assert name_text(name(part("2a03", UTF8, b"x"))) == "1.2.3=x"
    assert name_text(name(part("2a03", 0x04, b"x"))) == "1.2.3=#040178"


def test_characters_that_rule_a_terminal_are_not_shown() -> None:
    shown = name_text(name(part(CN, UTF8, b"a\x1b[2Jb\r\n")))
    assert shown.isprintable()
