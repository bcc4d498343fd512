# SPDX-License-Identifier: Apache-2.0
"""Wrong passwords are counted, and whoever tries too many has to wait; nobody else has."""

from ipaddress import ip_address

import pytest

from ikeway.model.errors import AuthenticationError
from ikeway.policy.limits import Limits
from ikeway.runtime import guesses as module
from ikeway.runtime.guesses import Guesses

HERE, THERE = ip_address("192.0.2.1"), ip_address("198.51.100.2")
LIMITS = Limits(user_guesses=3, source_guesses=5, guess_window=60.0)


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_user_has_so_many_guesses_from_all_strangers_together() -> None:
    clock = Clock()
    guesses = Guesses(LIMITS, clock)
    for place in (HERE, THERE, HERE):
        guesses.check("carol", place)
        guesses.wrong("carol", place)
    with pytest.raises(AuthenticationError, match=r"for 'carol'; the next is looked at in 20 s"):
        guesses.check("carol", THERE)
    guesses.check("dave", THERE)
    clock.now += 20
    guesses.check("carol", THERE)


def test_a_source_has_so_many_for_all_users_together() -> None:
    guesses = Guesses(LIMITS, Clock())
    for user in "abcde":
        guesses.wrong(user, HERE)
    with pytest.raises(AuthenticationError, match=r"from 192\.0\.2\.1"):
        guesses.check("f", HERE)
    guesses.check("f", THERE)


def test_addresses_of_one_network_are_one_source() -> None:
    guesses = Guesses(LIMITS, Clock())
    for number in range(5):
        guesses.wrong(str(number), ip_address(f"2001:db8::{number}"))
    with pytest.raises(AuthenticationError, match=r"from 2001:db8::/64"):
        guesses.check("f", ip_address("2001:db8::ffff"))
    guesses.check("f", ip_address("2001:db8:0:1::1"))


def test_strangers_lock_nobody_out_where_he_has_come_in_before() -> None:
    guesses = Guesses(LIMITS, Clock())
    guesses.right("carol", HERE)
    for _ in range(9):
        guesses.wrong("carol", THERE)
    guesses.check("carol", HERE)
    for _ in range(3):
        guesses.wrong("carol", HERE)
    with pytest.raises(AuthenticationError, match="for 'carol'"):
        guesses.check("carol", HERE)
    guesses.check("dave", HERE)


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED_MOST", 10)
    guesses = Guesses(LIMITS, Clock())
    for number in range(100):
        guesses.wrong(str(number), HERE)
        guesses.right(str(number), THERE)
    assert len(guesses) <= 20
