# SPDX-License-Identifier: Apache-2.0
"""The circumstances that every ladder runs in."""

import pytest

from support.hosts import ROWS, Row


@pytest.fixture(params=ROWS, ids=str)
def row(request: pytest.FixtureRequest) -> Row:
    """AES-GCM and AES-CBC with HMAC, IPv4 and IPv6, with a NAT and without."""
    assert isinstance(request.param, Row)
    return request.param
