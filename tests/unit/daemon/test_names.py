# SPDX-License-Identifier: Apache-2.0
"""What `ikeway up NAME` means, and which worker it is for."""

from pathlib import Path

import pytest

from ikeway.config.load import Loaded
from ikeway.daemon.share import Share, keeper
from ikeway.daemon.starter import named
from ikeway.model.errors import UsageError
from support.configured import PSK, loaded

CHILDREN = """
[connections.b.children.voice]
peer_ts = ["10.2.0.0/16"]
[connections.b.children.data]
peer_ts = ["10.3.0.0/16"]
[connections.c]
peer = "203.0.113.8"
local_auth = "psk"
peer_auth = ["psk"]
peer_id = "b.example.com"
[connections.c.children.data]
peer_ts = ["10.4.0.0/16"]
"""


@pytest.fixture
def two(tmp_path: Path) -> Loaded:
    return loaded(tmp_path, PSK + CHILDREN)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("b", ("b", "")),
        ("voice", ("b", "voice")),
        ("c/data", ("c", "data")),
        ("nobody", ("nobody", "")),
    ],
)
def test_a_name_is_that_of_a_connection_or_of_a_child(
    two: Loaded, name: str, meant: tuple[str, str]
) -> None:
    assert named(name, two.connections) == meant


def test_a_name_that_two_children_have_says_nothing(two: Loaded) -> None:
    with pytest.raises(UsageError, match="b/data, c/data"):
        named("data", two.connections)


def test_a_child_is_for_the_worker_that_keeps_its_connection(two: Loaded) -> None:
    """Each connection has one worker, the same for whoever asks."""
    for connection in two.connections:
        owners = [n for n in range(4) if Share(worker=n, workers=4).starts(connection)]
        assert owners == [keeper(connection.name, 4)]
        for child in connection.children:
            full = f"{connection.name}/{child.name}"
            assert keeper(named(full, two.connections)[0], 4) == owners[0]
