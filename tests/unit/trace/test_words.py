# SPDX-License-Identifier: Apache-2.0
"""Payloads, notifies and inner packets are told in words, whatever octets they have."""

import random

import pytest

from ikeway.model.identity import IdType
from ikeway.model.selectors import TrafficSelector
from ikeway.trace import inner, notifies, words
from ikeway.trace.chain import walk
from ikeway.trace.fields import fields
from ikeway.wire.codec import Body
from ikeway.wire.payloads import (
    Certificate,
    CfgAttributeValue,
    Configuration,
    Delete,
    Eap,
    IdI,
    Notify,
    Proposal,
    SecurityAssociation,
    Transform,
    TsI,
    Unknown,
    VendorId,
)
from ikeway.wire.registry import (
    CertEncoding,
    CfgAttribute,
    CfgType,
    NotifyType,
    PayloadType,
    ProtocolId,
)
from ikeway.wire.transforms import EncrId, EsnId, TransformType

N = NotifyType
ESP = Proposal(
    1,
    ProtocolId.ESP,
    b"\xc0\xff\xee\x01",
    (
        Transform.of(TransformType.ENCR, EncrId.AES_GCM_16, 256),
        Transform.of(TransformType.ENCR, EncrId.AES_GCM_16, 128),
        Transform.of(TransformType.ESN, EsnId.NO),
    ),
)


@pytest.mark.parametrize(
    ("body", "name", "told"),
    [
        (IdI(IdType.FQDN, b"a.example"), "IDi", ["IDi FQDN a.example"]),
        (IdI(IdType.KEY_ID, b"\x01"), "IDi", ["IDi KEY_ID @#01"]),
        (
            SecurityAssociation((ESP,)),
            "SA",
            ["SA proposal 1 ESP spi c0ffee01: AES_GCM_16_256 AES_GCM_16_128 / ESN_NO"],
        ),
        (TsI((TrafficSelector.of("10.0.0.0/8"),)), "TSi", ["TSi 10.0.0.0/8"]),
        (Delete(ProtocolId.ESP, 4, (b"abcd",)), "D(ESP)", ["D ESP 61626364"]),
        (
            Configuration(
                CfgType.CFG_REPLY,
                (
                    CfgAttributeValue(CfgAttribute.INTERNAL_IP4_ADDRESS, b"\x0a\x42\0\x01"),
                    CfgAttributeValue(CfgAttribute.INTERNAL_IP6_ADDRESS, bytes(16) + b"\x40"),
                    CfgAttributeValue(CfgAttribute.INTERNAL_IP4_SUBNET, b"\x0a\0\0\0\xff\0\0\0"),
                    CfgAttributeValue(CfgAttribute.INTERNAL_IP4_DNS),
                    CfgAttributeValue(CfgAttribute.INTERNAL_IP4_DNS, b"odd"),
                    CfgAttributeValue(CfgAttribute.APPLICATION_VERSION, b"other 1.0"),
                ),
            ),
            "CP(CFG_REPLY)",
            [
                (
                    "CP CFG_REPLY IP4_ADDRESS 10.66.0.1, IP6_ADDRESS ::/64,"
                    " IP4_SUBNET 10.0.0.0/255.0.0.0, IP4_DNS ?, IP4_DNS 6f6464,"
                    " APPLICATION_VERSION 'other 1.0'"
                ),
            ],
        ),
        (Eap(b"\x01\x07\0\x05\x01"), "EAP", ["EAP request 7 Identity"]),
        (Eap(b"\x02\x07\0\x06\x01a"), "EAP", ["EAP response 7 Identity 'a'"]),
        (Eap(b"\x03\x07\0\x04"), "EAP", ["EAP success 7"]),
        (VendorId(b"maker 1"), "V", ["V 'maker 1'"]),
        (VendorId(b"\x1b[2J"), "V", ["V 1b5b324a"]),
        (Unknown(PayloadType(99), b"x"), "?99", ["payload 99, 78"]),
        (
            Certificate(CertEncoding.X509_SIGNATURE, b"none"),
            "CERT",
            None,
        ),
        (Certificate(CertEncoding.CRL, b"abc"), "CERT", ["CERT CRL, 3 octets"]),
        (Notify(N.INITIAL_CONTACT), "N(INITIAL_CONTACT)", []),
        (Notify(N.NO_PROPOSAL_CHOSEN), "N(NO_PROPOSAL_CHOSEN)", ["N NO_PROPOSAL_CHOSEN"]),
    ],
)
def test_a_payload_is_told(body: Body, name: str, told: list[str] | None) -> None:
    assert words.name(body) == name
    if told is None:
        (line,) = words.details(body)
        assert "no certificate that we can read" in line
    else:
        assert list(words.details(body)) == told
    assert next(fields(body)) == body.kind.name


@pytest.mark.parametrize(
    ("notify", "told"),
    [
        (Notify(N.INVALID_KE_PAYLOAD, b"\0\x1f"), "INVALID_KE_PAYLOAD: wants CURVE25519"),
        (
            Notify(N.REKEY_SA, protocol=ProtocolId.ESP, spi=b"abcd"),
            "REKEY_SA ESP 61626364",
        ),
        (Notify(N.COOKIE, b"\x01\x02"), "COOKIE: 0102"),
        (Notify(N.COOKIE, bytes(40)), f"COOKIE: {'00' * 16}… (40 octets)"),
        (Notify(N.SIGNATURE_HASH_ALGORITHMS, b"\0\x02"), "SIGNATURE_HASH_ALGORITHMS: SHA2_256"),
        (
            Notify(N.SIGNATURE_HASH_ALGORITHMS, b"\0"),
            "SIGNATURE_HASH_ALGORITHMS: 00, which is malformed",
        ),
        (Notify(N.AUTH_LIFETIME, b"\0\0\x0e\x10"), "AUTH_LIFETIME: 3600 s"),
        (Notify(N.ADDITIONAL_IP4_ADDRESS, b"\x0a\0\0\x01"), "ADDITIONAL_IP4_ADDRESS: 10.0.0.1"),
        (Notify(N.REDIRECT, b"\x03\x02ab" + bytes(16)), "REDIRECT: to ab"),
        (Notify(N.SUPPORTED_AUTH_METHODS, b"\x03\x0e\0"), "SUPPORTED_AUTH_METHODS: DIGITAL_SIGN"),
        (Notify(NotifyType(40000)), "UNKNOWN_40000"),
    ],
)
def test_a_notify_is_told(notify: Notify, told: str) -> None:
    assert notifies.describe(notify).startswith(told)


@pytest.mark.parametrize("kind", list(NotifyType))
def test_any_notification_data_are_told(kind: NotifyType) -> None:
    source = random.Random(int(kind))
    for size in range(40):
        assert notifies.describe(Notify(kind, source.randbytes(size))).startswith(kind.name)


@pytest.mark.parametrize("kind", list(PayloadType))
def test_any_chain_is_told(kind: PayloadType) -> None:
    source = random.Random(int(kind))
    for size in range(80):
        octets = bytes([0, 0, 0, size + 4]) + source.randbytes(size)
        for part in walk(kind, octets):
            assert words.name(part)
            assert all(isinstance(text, str) for text in words.details(part))
            assert list(fields(part))


def test_any_inner_packet_is_told() -> None:
    source = random.Random(1)
    assert inner.transport(6, b"\0\x50\0\x51" + bytes(9) + b"\x12") == "TCP 80 > 81 SYN ACK"
    assert inner.transport(58, b"\x80\0") == "ICMPv6 echo request"
    for size in range(60):
        for start in (b"", b"\x45", b"\x60"):
            for header in (4, 41, 59, 17, 200):
                assert inner.describe(header, start + source.randbytes(size))
