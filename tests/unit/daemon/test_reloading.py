# SPDX-License-Identifier: Apache-2.0
"""What a changed configuration changes in a daemon that runs."""

import asyncio
from pathlib import Path

import pytest

from ikeway.config.load import load
from ikeway.daemon.reloading import changes
from ikeway.model.errors import ConfigError
from support.configured import CERTIFICATE, PSK, write
from support.supervised import supervising, until

NOW = PSK.replace("203.0.113.7", "127.0.0.9") + 'start = "now"\n'
OTHER = """
[connections.c]
peer = "127.0.0.8"
local_auth = "psk"
peer_auth = ["psk"]
peer_id = "b.example.com"
"""


def differ(folder: Path, old: str, new: str) -> tuple[tuple[str, ...], ...]:
    before = load(write(folder, old))
    found = changes(before, load(write(folder, new)))
    return found.added, found.changed, found.removed


@pytest.mark.parametrize("text", [PSK, CERTIFICATE])
def test_a_file_that_is_the_same_changes_nothing(tmp_path: Path, text: str) -> None:
    assert differ(tmp_path, text, f"# read again\n{text}") == ((), (), ())


def test_connections_are_told_apart_by_their_names(tmp_path: Path) -> None:
    moved = PSK.replace("203.0.113.7", "203.0.113.8")
    assert differ(tmp_path, PSK, PSK + OTHER) == (("c",), (), ())
    assert differ(tmp_path, PSK + OTHER, PSK) == ((), (), ("c",))
    assert differ(tmp_path, PSK, moved) == ((), ("b",), ())


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("[dataplane]\nmtu = 1300\n", r"\[dataplane\]"),
        ('[pools.p]\nranges = ["10.66.0.0/24"]\n', r"\[pools\]"),
        ("[limits]\nhalf_open = 77\n", r"\[limits\]"),
    ],
)
def test_what_takes_a_restart_is_named_and_nothing_changes(
    tmp_path: Path, more: str, words: str
) -> None:
    with pytest.raises(ConfigError, match=f"nothing was changed: {words} differ"):
        differ(tmp_path, PSK, PSK + OTHER + more)


def test_other_certificates_take_a_restart(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="certificates"):
        differ(tmp_path, CERTIFICATE, CERTIFICATE.replace('authorities = ["ca.crt"]', ""))


def test_a_running_daemon_heeds_what_changed(tmp_path: Path) -> None:
    """One connection more, one that is another, and one less; a wrong file changes nothing."""

    async def story() -> None:
        async with supervising(tmp_path, NOW) as one:
            supervisor, endpoint = one.supervisor, one.supervisor._driver.endpoint
            await until(lambda: bool(endpoint.sas), "a first try")
            (first,) = (sa.spi for sa in endpoint.sas)

            write(tmp_path, NOW + OTHER + 'start = "now"\n')
            both = await asyncio.gather(supervisor.reload(), supervisor.reload())
            assert [found.added for found in both] == [["c"], []], "one after the other"
            await until(lambda: len(endpoint.sas) == 2, "the new one")
            assert first in {sa.spi for sa in endpoint.sas}, "what did not change goes on"

            write(tmp_path, NOW.replace("127.0.0.9", "127.0.0.10") + OTHER)
            found = await supervisor.reload()
            assert (found.changed, found.removed) == (["b", "c"], [])
            await until(lambda: first not in {sa.spi for sa in endpoint.sas}, "the end")
            await until(lambda: len(endpoint.sas) == 1, "its successor")
            assert [str(sa.state.link.peer.address) for sa in endpoint.sas] == ["127.0.0.10"]

            write(tmp_path, NOW + "nonsense = 1\n")
            with pytest.raises(ConfigError, match="nonsense"):
                await supervisor.reload()
            assert len(endpoint.env.connections) == 2

            write(tmp_path, PSK.split("[connections.b]")[0])
            assert (await supervisor.reload()).removed == ["b", "c"]
            await until(lambda: not endpoint.sas, "the end of all")
            assert (await supervisor.status()).retries == []

    asyncio.run(story())
