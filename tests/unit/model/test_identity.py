# SPDX-License-Identifier: Apache-2.0
"""Identities: what an operator's text means, and which octets cannot be (RFC 7296 §3.5)."""

import pytest

from ikeway.model.errors import MalformedError
from ikeway.model.identity import Identity, IdType


@pytest.mark.conformance("CF-I18")
@pytest.mark.parametrize(
    ("text", "kind", "data"),
    [
        ("192.0.2.1", IdType.IPV4_ADDR, bytes([192, 0, 2, 1])),
        ("2001:db8::1", IdType.IPV6_ADDR, bytes.fromhex("20010db8" + "00" * 11 + "01")),
        ("user@example.com", IdType.RFC822_ADDR, b"user@example.com"),
        ("gw.example.com", IdType.FQDN, b"gw.example.com"),
        ("@#00ff", IdType.KEY_ID, b"\0\xff"),
    ],
)
def test_a_text_is_an_identity_and_back(text: str, kind: IdType, data: bytes) -> None:
    identity = Identity.parse(text)
    assert identity == Identity(kind, data)
    assert str(identity) == text
    identity.check()


@pytest.mark.parametrize("text", ["", "@#0", "@#zz"])
def test_a_text_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"empty|hex"):
        Identity.parse(text)


@pytest.mark.conformance("CF-I18")
@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (IdType.IPV4_ADDR, b""),
        (IdType.IPV4_ADDR, bytes(16)),
        (IdType.IPV6_ADDR, bytes(4)),
        (IdType.FQDN, b""),
        (IdType.FQDN, b"gw.example\0"),
        (IdType.FQDN, b"gw\r.example"),
        (IdType.RFC822_ADDR, b"user@example\n"),
    ],
)
def test_octets_that_do_not_fit_their_type_are_malformed(kind: IdType, data: bytes) -> None:
    with pytest.raises(MalformedError):
        Identity(kind, data).check()


@pytest.mark.parametrize("kind", [IdType.KEY_ID, IdType.DER_ASN1_DN, IdType(99)])
def test_octets_of_other_types_may_be_anything(kind: IdType) -> None:
    Identity(kind, b"\0\r\n").check()


@pytest.mark.parametrize(
    ("identity", "text"),
    [
        (Identity(IdType.FQDN, b"\xff\xfe"), "\\xff\\xfe"),
        (Identity(IdType.IPV4_ADDR, b"\1"), "IPV4_ADDR:01"),
        (Identity(IdType(99), b"\1\2"), "UNKNOWN_99:0102"),
    ],
)
def test_odd_identities_have_a_text_too(identity: Identity, text: str) -> None:
    assert str(identity) == text


def test_an_identity_without_octets_has_a_text_too() -> None:
    """A peer may send one: what is logged of it must not be nothing."""
    assert str(Identity(IdType.FQDN, b"")) == "FQDN:"
