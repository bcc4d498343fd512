# SPDX-License-Identifier: Apache-2.0
"""What several Child SAs share stays until the last one goes."""

from ipaddress import ip_address, ip_network

from hypothesis import given
from hypothesis import strategies as st

from ikeway.client.ledger import Apply, Change, Ledger, Revert
from ikeway.client.plan import AddAddress, AddRoute, Step

HOME = AddAddress(ip_address("10.66.0.2"))
WORLD = AddRoute(ip_network("0.0.0.0/0"), ip_address("10.66.0.2"))
WORLD_FROM_ELSEWHERE = AddRoute(ip_network("0.0.0.0/0"), ip_address("10.66.0.3"))
STEPS = (HOME, WORLD, WORLD_FROM_ELSEWHERE, AddAddress(ip_address("10.66.0.3")))


def test_the_first_applies_and_the_last_reverts_in_the_opposite_order() -> None:
    ledger = Ledger()
    assert ledger.add(1, (HOME, WORLD)) == (Apply(HOME), Apply(WORLD))
    assert ledger.remove(1) == (Revert(WORLD), Revert(HOME))


def test_a_rekeyed_child_takes_over_without_a_gap() -> None:
    ledger = Ledger()
    ledger.add(1, (HOME, WORLD))
    assert ledger.add(2, (HOME, WORLD)) == ()
    assert ledger.remove(1) == ()
    assert ledger.remove(2) == (Revert(WORLD), Revert(HOME))


def test_of_two_routes_to_one_place_the_newest_holds_and_the_older_comes_back() -> None:
    ledger = Ledger()
    ledger.add(1, (WORLD,))
    assert ledger.add(2, (WORLD_FROM_ELSEWHERE,)) == (Apply(WORLD_FROM_ELSEWHERE),)
    assert ledger.remove(2) == (Apply(WORLD),)


def test_an_unknown_child_changes_nothing() -> None:
    assert Ledger().remove(7) == ()


@given(st.lists(st.tuples(st.integers(0, 3), st.sets(st.sampled_from(STEPS)))))
def test_after_any_history_the_host_has_just_what_is_asked_of_it(
    history: list[tuple[int, set[Step]]],
) -> None:
    ledger, host, wanted = Ledger(), dict[object, Step](), dict[int, set[Step]]()
    for spi, steps in history:
        apply(host, ledger.add(spi, one_of_each_key(steps)) if steps else ledger.remove(spi))
        wanted[spi] = set(one_of_each_key(steps))
        asked = set().union(*wanted.values())
        assert set(host) == {step.key for step in asked}
        assert set(host.values()) <= asked


def one_of_each_key(steps: set[Step]) -> tuple[Step, ...]:
    return tuple({step.key: step for step in sorted(steps, key=str)}.values())


def apply(host: dict[object, Step], changes: tuple[Change, ...]) -> None:
    for change in changes:
        match change:
            case Apply(step):
                host[step.key] = step
            case Revert(step):
                del host[step.key]
