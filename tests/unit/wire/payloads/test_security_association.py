# SPDX-License-Identifier: Apache-2.0
"""Proposals and transforms."""

import pytest

from ikeway.model.errors import MalformedError
from ikeway.wire.codec import Reader
from ikeway.wire.payloads import Attribute, Proposal, SecurityAssociation, Transform
from ikeway.wire.registry import (
    EncrId,
    EsnId,
    KeMethod,
    ProtocolId,
    TransformAttribute,
    TransformType,
)
from support.octets import proposal, transform

KEY_256 = bytes.fromhex("800e0100")


def test_a_proposal_has_the_octets_of_the_rfc() -> None:
    octets = proposal(transform(1, 20, KEY_256, more=True), transform(4, 31))
    expected = SecurityAssociation(
        (
            Proposal(
                1,
                ProtocolId.IKE,
                b"",
                (
                    Transform.of(TransformType.ENCR, EncrId.AES_GCM_16, 256),
                    Transform.of(TransformType.KE, KeMethod.CURVE25519),
                ),
            ),
        )
    )
    assert decode(octets) == expected
    assert expected.encode() == octets


def test_a_lone_proposal_keeps_its_number() -> None:
    """macOS rekeys with the one proposal that was chosen, under its old number."""
    octets = proposal(transform(5, 0), number=3, protocol=3, spi=b"spi4")
    assert decode(octets).proposals[0].number == 3
    assert decode(octets).encode() == octets


@pytest.mark.conformance("CF-K08")
@pytest.mark.parametrize(
    ("protocol", "size"), [(1, 4), (1, 1), (1, 9), (2, 0), (2, 8), (3, 0), (3, 3), (3, 8)]
)
def test_an_spi_of_the_wrong_size_is_malformed(protocol: int, size: int) -> None:
    with pytest.raises(MalformedError, match="an SPI of"):
        decode(proposal(transform(1, 12), protocol=protocol, spi=bytes(size)))


@pytest.mark.parametrize(("protocol", "size"), [(1, 0), (1, 8), (2, 4), (3, 4), (77, 5)])
def test_an_spi_of_the_right_size_or_of_an_unknown_protocol_is_kept(
    protocol: int, size: int
) -> None:
    octets = proposal(transform(1, 12), protocol=protocol, spi=bytes(size))
    assert decode(octets).encode() == octets


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        proposal(transform(1, 12), more=True),
        proposal(transform(1, 12)) + proposal(transform(1, 12)),
        proposal(transform(1, 12), count=2),
        proposal(transform(1, 12), count=0),
        proposal(transform(1, 12, more=True)),
        proposal(transform(1, 12) + transform(2, 5)),
        proposal(transform(1, 12, KEY_256[:3])),
        b"\1" + proposal(transform(1, 12))[1:],
        proposal(b"\2" + transform(1, 12)[1:]),
        b"\0\0\0\7\1\1\0",
    ],
    ids=[
        "no proposal",
        "another announced, none there",
        "another there, none announced",
        "too few transforms",
        "too many transforms",
        "transform announced, none there",
        "transform there, none announced",
        "attribute cut",
        "proposal marked 1",
        "transform marked 2",
        "proposal shorter than its header",
    ],
)
def test_substructures_that_do_not_fit_together_are_malformed(octets: bytes) -> None:
    with pytest.raises(MalformedError):
        decode(octets)


@pytest.mark.conformance("CF-C19")
def test_reserved_octets_of_substructures_are_ignored() -> None:
    plain = bytearray(proposal(transform(1, 20, KEY_256)))
    wild = bytearray(plain)
    wild[1] = wild[9] = wild[13] = 0xFF  # after the marks, and beside the transform type
    assert decode(bytes(wild)) == decode(bytes(plain))


def test_key_length_counts_only_in_the_form_that_is_allowed() -> None:
    short = Transform.of(TransformType.ENCR, EncrId.AES_CBC, 128)
    assert (short.key_bits, short.is_understood) == (128, True)
    long = Transform(TransformType.ENCR, 12, (Attribute(TransformAttribute.KEY_LENGTH, b"\0\x80"),))
    assert (long.key_bits, long.is_understood) == (None, False)
    twice = Transform(TransformType.ENCR, 12, short.attributes * 2)
    assert not twice.is_understood
    none = Transform.of(TransformType.KE, KeMethod.ECP_256)
    assert (none.key_bits, none.is_understood) == (None, True)


@pytest.mark.parametrize(
    ("kind", "number", "label"),
    [
        (TransformType.ENCR, EncrId.AES_GCM_16, "AES_GCM_16"),
        (TransformType.KE, KeMethod.CURVE25519, "CURVE25519"),
        (TransformType.ADDKE1, KeMethod.ML_KEM_768, "ADDKE1_ML_KEM_768"),
        (TransformType.ESN, EsnId.NO, "ESN_NO"),
        (TransformType.INTEG, 0, "INTEG_NONE"),
        (TransformType.PRF, 4660, "PRF_UNKNOWN_4660"),
        (TransformType(200), 1, "UNKNOWN_200_1"),
    ],
)
def test_a_transform_has_a_label_for_people(kind: TransformType, number: int, label: str) -> None:
    assert Transform(kind, number).label == label


def test_long_transforms_survive_too() -> None:
    attributes = KEY_256 + bytes.fromhex("0012000a") + bytes(10)
    octets = proposal(transform(1, 12, attributes))
    assert decode(octets).encode() == octets
    assert len(decode(octets).proposals[0].transforms[0].attributes) == 2


def decode(octets: bytes) -> SecurityAssociation:
    reader = Reader(octets)
    body = SecurityAssociation.decode(reader)
    reader.leave(reader.left)  # raises unless everything was consumed
    return body
