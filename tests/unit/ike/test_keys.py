# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §3.2: a payload has at most 65,535 octets, and so has what is sealed in one."""

import pytest

from ikeway.model.errors import UsageError
from ikeway.wire.message import HEADER_OCTETS
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType
from support.forge import sealed, session_of
from support.hosts import CBC, GCM, Row


@pytest.mark.parametrize("row", [GCM, CBC], ids=str)
def test_what_is_too_long_to_be_sealed_is_an_error_by_type(row: Row) -> None:
    ladder = row.psk()
    ladder.connect()
    session = session_of(ladder.left)
    parts = tuple(Notify(NotifyType(40960), bytes(octets)) for octets in (32_000, 33_400))
    assert len(sealed(session, parts, 2)) <= HEADER_OCTETS + 0xFFFF
    with pytest.raises(UsageError, match="a payload has 65535 at most"):
        sealed(session, (*parts, parts[0]), 2)
