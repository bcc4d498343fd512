# SPDX-License-Identifier: Apache-2.0
"""Two engines that each test finds empty."""

from collections.abc import Iterator

import pytest

from support.tunnel import Hosts, empty, two_hosts


@pytest.fixture(scope="module")
def pair(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Hosts]:
    """Two hosts with a cable between them, for all tests of a module, with its `QUEUES`."""
    queues = getattr(request.module, "QUEUES", 1)
    with two_hosts(tmp_path_factory.mktemp("run"), queues) as hosts:
        yield hosts


@pytest.fixture
def hosts(pair: Hosts) -> Iterator[Hosts]:
    """The same hosts; what a test has installed is gone after it."""
    yield pair
    empty(pair)
