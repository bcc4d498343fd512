# SPDX-License-Identifier: Apache-2.0
"""The DER reader: one encoding for each value, and nothing else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikeway.crypto.der import SEQUENCE, SET, decode, encode, oid


@given(st.binary(max_size=70_000))
def test_what_is_encoded_decodes(contents: bytes) -> None:
    element = decode(encode(SEQUENCE, contents))
    assert (element.tag, element.contents) == (SEQUENCE, contents)


@given(st.binary(max_size=64))
def test_any_octets_decode_to_themselves_or_are_a_value_error(octets: bytes) -> None:
    try:
        element = decode(octets)
    except ValueError:
        return
    assert encode(element.tag, element.contents) == octets


@pytest.mark.parametrize(
    "text",
    ["", "30", "3001", "30050000", "300000", "1f0100", "3080", "308000", "30810100", "3082000100"],
)
def test_what_is_not_der_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="DER"):
        decode(bytes.fromhex(text))


def test_children_must_have_the_tag_and_fill_it() -> None:
    assert [one.tag for one in decode(bytes.fromhex("30050500020101")).children()] == [5, 2]
    with pytest.raises(ValueError, match="tag"):
        decode(bytes.fromhex("30020500")).children(SET)
    with pytest.raises(ValueError, match="DER"):
        decode(bytes.fromhex("3003050002")).children()


@pytest.mark.parametrize(
    ("contents", "text"),
    [
        ("550403", "2.5.4.3"),
        ("2a864886f70d010101", "1.2.840.113549.1.1.1"),
        ("8837", "2.999"),
        ("00", "0.0"),
        ("0992268993f22c640119", "0.9.2342.19200300.100.1.25"),
    ],
)
def test_an_object_identifier_has_its_dotted_form(contents: str, text: str) -> None:
    assert oid(bytes.fromhex(contents)) == text


@pytest.mark.parametrize("contents", ["", "80", "5581"])
def test_an_object_identifier_that_does_not_end_is_a_value_error(contents: str) -> None:
    with pytest.raises(ValueError, match="object identifier"):
        oid(bytes.fromhex(contents))
