# SPDX-License-Identifier: Apache-2.0
"""The engine dies beside a daemon that lives: another one comes, with new keys, and no leak."""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from support.leaks import clear_ports, ends, engine_of, keep_sending, kill_engine, two, up
from support.strongswan import wait_until
from support.traffic import ping

pytestmark = pytest.mark.system


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.mark.conformance("CF-U17", "CF-U18")
@pytest.mark.parametrize("workers", [1, 2])
def test_a_killed_engine_is_replaced_with_new_keys_and_nothing_in_clear(
    stack: ExitStack, tmp_path: Path, workers: int
) -> None:
    """I6, I7: traffic is back, on Child SAs that no engine had before."""
    host = {"host": {"identity": "ours.lab", "listen": ["0.0.0.0"], "workers": workers}}
    made = two(stack, tmp_path, {"start": "now"}, host, {})
    up(made)
    made.carries()
    before, (ike,) = made.ours.children(), made.ours.established()
    sender = threading.Thread(target=lambda: keep_sending(made, 3.0))
    sender.start()
    kill_engine(made)
    wait_until(lambda: ping(made.link.ours.namespace, *ends(made), 1, 0.1) == 1, 20, "traffic")
    sender.join()
    made.carries()
    after = made.ours.children()
    assert {child.spi_out for child in before}.isdisjoint(child.spi_out for child in after)
    assert len(after) == 1
    assert [sa.id for sa in made.ours.established()] == [ike.id], "the IKE SA goes on"
    assert not clear_ports(made)
    assert not made.ours.faults()


@pytest.mark.conformance("CF-U17")
def test_engines_that_die_again_and_again_are_replaced_ever_later(
    stack: ExitStack, tmp_path: Path
) -> None:
    """Traps and policies are in each of them, and the operator hears how long nothing is moved."""
    nowhere = {"action": "discard", "peer_ts": ["10.2.0.0/16[tcp/8002]"]}
    more = {"policies": {"nowhere": nowhere}}
    made = two(stack, tmp_path, {"start": "demand"}, more, {})
    here = made.link.ours.namespace
    for again in ("at once", "in 1 s"):
        (old,) = engine_of(made)
        kill_engine(made)
        made.ours.wait_for_log(f"engine process is gone; another engine is started {again}")
        wait_until(lambda: ping(here, *ends(made), 1, 0.3) == 1, 20, "traffic")
        assert engine_of(made) != [old]
        made.carries()
        assert len(made.ours.children()) == 1
    made.ours.disconnect()
    wait_until(lambda: not made.ours.children(), 5, "the end of the Child SA")
    wait_until(lambda: ping(here, *ends(made), 1, 0.3) == 1, 20, "a Child SA on demand")
    assert not clear_ports(made)
    assert not made.ours.faults()


def test_an_engine_that_cannot_begin_is_tried_again_and_said(
    stack: ExitStack, tmp_path: Path
) -> None:
    """Somebody else's interface has our name: what is wrong is said, and mended it goes on."""
    made = two(stack, tmp_path, {"start": "now"}, {}, {})
    up(made)
    here = made.link.ours.namespace
    (old,) = engine_of(made)
    os.kill(old, signal.SIGSTOP)
    here.ip("link", "set", "ikeway0", "down")
    here.ip("link", "set", "ikeway0", "name", "old0")
    here.ip("tuntap", "add", "ikeway0", "mode", "tun")
    kill_engine(made)
    made.ours.wait_for_log("EBUSY")
    assert ping(here, *ends(made), 1, 0.3) == 0
    here.ip("tuntap", "del", "ikeway0", "mode", "tun")
    wait_until(lambda: ping(here, *ends(made), 1, 0.3) == 1, 15, "traffic")
    assert not clear_ports(made)
