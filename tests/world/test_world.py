# SPDX-License-Identifier: Apache-2.0
"""Worlds of many seeds hold every invariant; a script gives the same octets each time."""

import subprocess
import sys
from pathlib import Path

import pytest

from world import actions, found, variety
from world.abilities import MEBIBYTE
from world.actions import KINDS, Strike
from world.prng import Prng
from world.simulation import Script, play, written

SEEDS = range(60)
HOURS = 20.0


@pytest.mark.thorough
@pytest.mark.conformance("CF-A05", "CF-B05", "CF-B07", "CF-B10")
@pytest.mark.parametrize("seed", SEEDS)
def test_a_world_holds_what_must_always_hold(seed: int) -> None:
    """I1 to I7, agreement of both sides after all is quiet, and nothing left in the end."""
    outcome = play(written(seed, HOURS))
    assert outcome.violation is None, f"PYTHONPATH=tests python -m world --seed {seed}"


@pytest.mark.thorough
@pytest.mark.parametrize("seed", range(16))
def test_a_world_of_the_newest_generation_holds_it_too(seed: int) -> None:
    """What is not drawn by default yet: hybrid keys, tickets, redirects, hard limits."""
    outcome = play(written(seed, HOURS, variety.NEWEST))
    told = f"PYTHONPATH=tests python -m world --seed {seed} --generation {variety.NEWEST}"
    assert outcome.violation is None, told


def test_the_newest_generation_draws_all_that_it_is_for() -> None:
    drawn = [variety.draw(seed, variety.NEWEST) for seed in range(40)]
    connections = [each for one in drawn for place in one.places for each in place.connections]
    assert any(spec.additional for each in connections for spec in each.ike)
    assert any(spec.additional for each in connections for spec in each.esp)
    assert any(each.resumption for each in connections)
    assert any(each.redirect_to for each in connections)
    assert any(one.packet_octets > MEBIBYTE for one in drawn)


@pytest.mark.parametrize("name", found.names())
def test_what_once_failed_holds_now(name: str) -> None:
    assert play(found.load(found.FOLDER / f"{name}.json")).violation is None


@pytest.mark.parametrize("seed", [1, 3, 7])
def test_the_same_script_gives_the_same_octets(seed: int) -> None:
    first, second = (play(written(seed, 2.0)) for _ in range(2))
    assert first.digest == second.digest
    assert first.messages == second.messages
    assert play(written(seed + 100, 2.0)).digest != first.digest


def test_quickened_values_give_the_same_octets() -> None:
    """`make simulate` stores plainly where the tests here have frozen values."""
    told = (
        "from world import quick, simulation as s; quick.quicken();"
        "print(*(s.play(s.written(n, 2.0)).digest for n in (1, 2, 3)))"
    )
    path = {"PYTHONPATH": str(Path(__file__).parent.parent)}
    ran = subprocess.run([sys.executable, "-c", told], env=path, capture_output=True, check=True)
    assert ran.stdout.decode().split() == [play(written(n, 2.0)).digest for n in (1, 2, 3)]


def test_a_script_survives_a_file() -> None:
    script = written(5, 50.0)
    assert {type(act) for act in script.acts} >= {KINDS["Idle"], KINDS["Forge"], Strike}
    assert [actions.parse(actions.plain(act)) for act in script.acts] == list(script.acts)


def test_every_kind_of_action_is_drawn() -> None:
    drawn = {type(act) for seed in range(12) for act in actions.draw(seed, 50.0)}
    assert drawn == set(KINDS.values())


def test_the_streams_of_a_seed_do_not_disturb_each_other() -> None:
    one, again, other = Prng(7, "network"), Prng(7, "network"), Prng(7, "actions")
    assert [one.word() for _ in range(5)] == [again.word() for _ in range(5)]
    assert one.word() != other.word()


def test_a_world_in_which_nothing_happens_comes_up_and_goes_down() -> None:
    outcome = play(Script(11, ()))
    assert outcome.violation is None
    assert outcome.reports["ChildEstablished"] >= 2
