# SPDX-License-Identifier: Apache-2.0
"""The small values that every layer shares."""

import pickle
from ipaddress import ip_address

import pytest

from ikeway.model import errors
from ikeway.model.address import Endpoint
from ikeway.model.errors import Ends, IkewayError, MalformedError, PeerError
from ikeway.model.open_enum import OpenEnum
from ikeway.model.secret import Secret
from ikeway.wire.registry import NotifyType

PEER_ERRORS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, PeerError) and kind is not PeerError
]


class Kind(OpenEnum):
    ONE = 1


def test_a_code_point_without_a_name_is_a_value_like_any_other() -> None:
    unknown = Kind(4660)
    assert (unknown.name, unknown, unknown.is_known) == ("UNKNOWN_4660", 4660, False)
    assert Kind(1) is Kind.ONE
    assert Kind.ONE.is_known
    assert len(Kind) == 1


@pytest.mark.parametrize("value", [-1, "one", None, 1.5])
def test_what_is_no_code_point_is_no_member(value: object) -> None:
    with pytest.raises(ValueError, match="is not a valid Kind"):
        Kind(value)


def test_a_secret_shows_its_length_only() -> None:
    secret = Secret(b"hunter2")
    assert repr(secret) == str(secret) == f"{secret}" == "Secret(7 octets)"
    assert len(secret) == 7
    assert secret == Secret(b"hunter2")
    assert secret != Secret(b"hunter3")
    assert pickle.loads(pickle.dumps(secret)) == secret


def test_an_endpoint_is_written_as_people_do() -> None:
    assert str(Endpoint(ip_address("192.0.2.1"), 500)) == "192.0.2.1:500"
    assert str(Endpoint(ip_address("2001:db8::1"), 4500)) == "[2001:db8::1]:4500"


@pytest.mark.parametrize("kind", PEER_ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_of_a_peer_says_what_it_is_told(kind: type[PeerError]) -> None:
    error = kind("the reason", b"data")
    assert (str(error), error.reason, error.data) == ("the reason", "the reason", b"data")
    assert isinstance(error, IkewayError)
    told = NotifyType(kind.notify)
    # Who is to go elsewhere is told by a status, REDIRECT (RFC 5685 §3).
    assert not kind.notify or told.is_error or told is NotifyType.REDIRECT


@pytest.mark.conformance("CF-J15", "CF-A13")
def test_only_fatal_errors_end_an_ike_sa() -> None:
    """RFC 7296 §2.21: AUTHENTICATION_FAILED and INVALID_SYNTAX."""
    fatal = {NotifyType(kind.notify).name for kind in PEER_ERRORS if kind.ends is Ends.SA}
    assert fatal == {"AUTHENTICATION_FAILED", "INVALID_SYNTAX"}
    assert MalformedError("x").ends is Ends.SA
