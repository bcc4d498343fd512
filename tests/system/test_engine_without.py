# SPDX-License-Identifier: Apache-2.0
"""An engine without some of its techniques, as benchmarks ask for it, carries the same packets."""

import asyncio
from pathlib import Path

import pytest

from ikeway.dataplane import EngineDataPlane, PlaneConfig
from ikeway.model.errors import HostError
from support.netns import namespaces
from support.suites import BY_NAME
from support.tunnel import LISTEN, child_pair, ping, transfer, two_hosts

pytestmark = pytest.mark.system

VARIABLE = "IKEWAY_ENGINE_WITHOUT"


@pytest.mark.parametrize("words", ["segment", "gro,joining", "segment,gro,offload,joining,batches"])
def test_what_is_sent_arrives_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    monkeypatch.setenv(VARIABLE, words)
    with two_hosts(tmp_path) as hosts:
        for host, child in zip(hosts, child_pair(BY_NAME["aes256gcm16"]), strict=True):
            host.install(child)
        for family in (0, 1):
            ping(*hosts, family)
            transfer(*hosts, 1 << 20, family)


def test_a_word_that_names_no_technique_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, "segment,gso")

    async def work() -> None:
        with pytest.raises(HostError, match='"gso" is none of segment, gro, offload'):
            await EngineDataPlane.start(tmp_path, PlaneConfig(LISTEN))

    with namespaces(1) as (namespace,):
        namespace.inside(lambda: asyncio.run(work()))
