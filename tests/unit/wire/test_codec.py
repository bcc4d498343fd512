# SPDX-License-Identifier: Apache-2.0
"""The reader's bounds, and what the table of fields yields."""

from struct import Struct

import pytest

from ikeway.model.errors import MalformedError, UsageError
from ikeway.wire.codec import PARTS_MAX, Reader, Rest, UInt, names
from ikeway.wire.payloads import IdI, KeyExchange, Notify
from ikeway.wire.registry import IdType, KeMethod, NotifyType, ProtocolId


def test_a_reader_cannot_pass_the_end() -> None:
    reader = Reader(b"abc")
    assert reader.take(2) == b"ab"
    with pytest.raises(MalformedError, match="1 octets where 2 are needed"):
        reader.take(2)
    with pytest.raises(MalformedError, match="where 4 are needed"):
        reader.unpack(Struct("!I"))


def test_a_reader_cannot_go_backwards() -> None:
    reader = Reader(b"abc")
    reader.take(2)
    with pytest.raises(MalformedError):
        reader.take(-1)
    with pytest.raises(MalformedError):
        reader.enter(-1)


def test_a_part_ends_where_it_says_even_if_octets_follow() -> None:
    reader = Reader(b"abcdef")
    outer = reader.enter(2)
    assert reader.left == 2
    with pytest.raises(MalformedError):
        reader.take(3)
    assert reader.rest() == b"ab"
    reader.leave(outer)
    assert reader.rest() == b"cdef"


def test_a_part_cannot_be_larger_than_the_one_around_it() -> None:
    reader = Reader(b"abcdef")
    reader.enter(4)
    with pytest.raises(MalformedError, match="a part of 5 octets where 4 are left"):
        reader.enter(5)


def test_a_part_has_to_be_consumed_exactly() -> None:
    reader = Reader(b"abcdef")
    outer = reader.enter(3)
    reader.take(2)
    with pytest.raises(MalformedError, match="1 octets too many"):
        reader.leave(outer)


def test_the_parts_of_a_message_are_limited() -> None:
    reader = Reader(b"")
    for _ in range(PARTS_MAX):
        reader.leave(reader.enter(0))
    with pytest.raises(MalformedError, match="more parts"):
        reader.enter(0)


def test_only_a_bounded_number_of_unknown_code_points_is_kept() -> None:
    table = names(NotifyType)
    for code in range(30000, 31000):
        assert table[code].name == f"UNKNOWN_{code}"
    assert len(table) < 512


def test_the_table_of_a_payload_is_its_rfc_diagram() -> None:
    method, data = KeyExchange.columns
    assert (method.name, method.kind, method.registry) == ("method", UInt(2), KeMethod)
    assert (data.name, data.kind, data.registry) == ("data", Rest(), None)


def test_octets_that_a_field_cannot_hold_are_our_fault_not_the_peers() -> None:
    with pytest.raises(UsageError, match="2 octets where the field has 3"):
        IdI(IdType.FQDN, b"x", reserved=b"\0\0").encode()


def test_repr_names_code_points_and_shortens_octets() -> None:
    body = KeyExchange(KeMethod.CURVE25519, b"\xab" * 33, critical=True)
    shown = "x'" + "ab" * 32 + "…' (33 octets)"
    assert repr(body) == f"KeyExchange(method=CURVE25519, data={shown}, critical=True)"


def test_json_names_code_points_and_writes_octets_in_hex() -> None:
    body = Notify(NotifyType.REKEY_SA, protocol=ProtocolId.ESP, spi=b"\1\2\3\4")
    assert body.to_json() == {
        "payload": "NOTIFY",
        "protocol": "ESP",
        "type": "REKEY_SA",
        "spi": "01020304",
        "data": "",
    }


def test_payloads_are_values() -> None:
    one, two = (KeyExchange(KeMethod.ECP_256, b"x") for _ in range(2))
    assert one == two
    assert hash(one) == hash(two)
    with pytest.raises(AttributeError):
        one.data = b"y"  # type: ignore[misc]
