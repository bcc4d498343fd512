# SPDX-License-Identifier: Apache-2.0
"""Addresses of pools: every one is found, none is lent twice, and little work is done."""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from time import process_time

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ikeway.ike.questions import Answer, Lease, Leased, Refused
from ikeway.model.address import Address
from ikeway.model.identity import Identity
from ikeway.policy.pools import Pool
from ikeway.runtime import leases
from ikeway.runtime.leases import Leases

ANY_4, ANY_6 = IPv4Address(0), IPv6Address(0)


def pool(*ranges: str, dns: tuple[str, ...] = ()) -> Pool:
    networks = tuple(map(ip_network, ranges))
    return Pool("staff", networks, tuple(map(ip_address, dns)), ("corp.example",))


def lending(*ranges: str, dns: tuple[str, ...] = ()) -> Leases:
    return Leases({"staff": pool(*ranges, dns=dns)})


def ask(one: Leases, who: str, *wanted: Address, sa: bytes | None = None) -> Answer:
    question = Lease("staff", Identity.parse(who), wanted or (ANY_4,))
    return one.lease(who.encode() if sa is None else sa, question)


def lent(one: Leases, who: str, *wanted: Address, sa: bytes | None = None) -> list[str]:
    answer = ask(one, who, *wanted, sa=sa)
    return [str(address) for address in answer.addresses] if isinstance(answer, Leased) else []


def test_one_address_of_each_family_that_is_asked_for() -> None:
    one = lending("10.0.0.0/24", "fd00::/64")
    assert lent(one, "a", ANY_4, ANY_6) == ["10.0.0.1", "fd00::1"]
    assert lent(one, "b", ANY_6) == ["fd00::2"]
    assert lent(one, "c", ANY_4) == ["10.0.0.2"]


def test_who_has_framed_addresses_gets_them_with_or_without_a_pool() -> None:
    """RFC 2865 §5.8: RADIUS has chosen; of a family that it says nothing of, the pool has."""
    one = lending("10.0.0.0/24", "fd00::/64")
    framed = (ip_address("10.66.0.77"),)
    both = Lease("staff", Identity.parse("a"), (ANY_4, ANY_6), framed)
    none = Lease(None, Identity.parse("a"), (ANY_4, ANY_6), framed)
    assert one.lease(b"1", both) == Leased(
        (framed[0], ip_address("fd00::1")), (), ("corp.example",)
    )
    assert one.lease(b"2", none) == Leased(framed)
    other = Lease(None, Identity.parse("b"), (ANY_4,), framed)
    assert one.lease(b"3", other) == Refused("10.66.0.77, which RADIUS gives b, is taken")
    one.release(b"1")
    one.release(b"2")
    assert one.lease(b"3", other) == Leased(framed)


def test_the_answer_has_the_servers_and_domains_of_the_pool() -> None:
    answer = ask(lending("10.0.0.0/24", dns=("10.9.9.9",)), "a")
    assert isinstance(answer, Leased)
    assert (answer.dns, answer.domains) == ((ip_address("10.9.9.9"),), ("corp.example",))


def test_the_addresses_of_a_network_and_its_servers_are_not_lent() -> None:
    one = lending("10.0.0.0/29", dns=("10.0.0.1", "10.0.0.5"))
    found = [address for who in "abcdefgh" for address in lent(one, who)]
    assert found == ["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.6"]
    assert lent(one, "z", ip_address("10.0.0.1")) == []


@pytest.mark.parametrize(
    ("network", "count"),
    [
        ("10.0.0.0/32", 1),
        ("10.0.0.0/31", 2),
        ("10.0.0.0/30", 2),
        ("fd00::/128", 1),
        ("fd00::/126", 3),
    ],
)
def test_small_networks_are_used_as_far_as_they_go(network: str, count: int) -> None:
    one = lending(network)
    any_of = ANY_4 if "." in network else ANY_6
    found = [address for who in "abcdefgh" for address in lent(one, who, any_of)]
    assert len(found) == len(set(found)) == count


def test_a_pool_that_is_not_there_or_has_nothing_is_refused() -> None:
    assert isinstance(Leases({}).lease(b"", Lease("staff", Identity.parse("a"), (ANY_4,))), Refused)
    assert isinstance(ask(lending(), "a"), Refused)
    assert isinstance(ask(lending("fd00::/64"), "a", ANY_4), Refused)


def test_an_identity_gets_its_address_back() -> None:
    one = lending("10.0.0.0/24")
    first = lent(one, "a")
    one.release(b"a")
    assert lent(one, "b") != first
    assert lent(one, "a") == first


def test_an_identity_whose_address_is_taken_gets_another() -> None:
    one = lending("10.0.0.0/24")
    (first,) = lent(one, "a")
    assert lent(one, "a", sa=b"second SA of a") not in ([], [first])


def test_an_identity_that_asks_for_its_own_address_has_it_twice_until_one_goes() -> None:
    """RFC 7296 §2.8.3: it proves itself anew before the old IKE SA goes, whichever goes first."""
    one = lending("10.0.0.0/24")
    (first,) = lent(one, "a", sa=b"old")
    wish = ip_address(first)
    assert lent(one, "a", wish, sa=b"new") == [first]
    one.release(b"old")
    assert lent(one, "b", wish) != [first]
    assert lent(one, "a", wish, sa=b"failing") == [first]
    one.release(b"failing")
    one.pass_on(b"new", b"rekeyed")
    assert lent(one, "c", wish) != [first]
    one.release(b"rekeyed")
    assert lent(one, "d", wish) == [first]


def test_another_identity_does_not_get_what_is_lent() -> None:
    one = lending("10.0.0.0/24")
    (first,) = lent(one, "a")
    assert lent(one, "b", ip_address(first)) != [first]


def test_an_address_of_another_pool_is_not_lent_to_who_has_it_there() -> None:
    one = Leases({"staff": pool("10.0.0.0/24"), "guests": pool("10.1.0.0/24")})
    (first,) = lent(one, "a")
    question = Lease("guests", Identity.parse("a"), (ip_address(first),))
    answer = one.lease(b"other", question)
    assert isinstance(answer, Leased)
    assert str(answer.addresses[0]) == "10.1.0.1"


def test_a_wish_is_granted_if_the_address_is_free() -> None:
    one = lending("10.0.0.0/24")
    assert lent(one, "a", ip_address("10.0.0.77")) == ["10.0.0.77"]
    assert lent(one, "b", ip_address("10.0.0.77")) == ["10.0.0.1"]
    assert lent(one, "c", ip_address("10.0.0.0")) == ["10.0.0.2"]
    assert lent(one, "d", ip_address("10.0.0.255")) == ["10.0.0.3"]
    assert lent(one, "e", ip_address("192.168.0.1")) == ["10.0.0.4"]


def test_a_full_network_goes_on_with_what_comes_back() -> None:
    one = lending("10.0.0.0/24")
    found = [address for number in range(300) for address in lent(one, f"host{number}")]
    assert len(found) == len(set(found)) == 254
    one.release(b"host77")
    one.release(b"host5")
    assert lent(one, "late") == [found[77]]
    assert lent(one, "later") == [found[5]]
    assert lent(one, "too late") == []


def test_the_next_network_of_a_pool_takes_over() -> None:
    one = lending("10.0.0.0/32", "10.1.0.0/32")
    assert [lent(one, who) for who in "abc"] == [["10.0.0.0"], ["10.1.0.0"], []]


def test_pools_that_overlap_never_lend_an_address_twice() -> None:
    one = Leases({"staff": pool("10.0.0.0/30"), "guests": pool("10.0.0.0/29")})
    guests = [
        one.lease(bytes([number]), Lease("guests", Identity.parse(f"g{number}"), (ANY_4,)))
        for number in range(8)
    ]
    found = [str(one.addresses[0]) for one in guests if isinstance(one, Leased)]
    assert len(set(found)) == 6
    assert lent(one, "a") == []
    one.release(b"\0")
    assert lent(one, "a") == ["10.0.0.1"]


def test_releasing_twice_or_nothing_does_no_harm() -> None:
    one = lending("10.0.0.0/30")
    lent(one, "a")
    one.release(b"a")
    one.release(b"a")
    one.release(b"nobody")
    assert lent(one, "b") == ["10.0.0.2"]


def test_what_is_remembered_has_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(leases, "REMEMBERED_MOST", 10)
    one = lending("10.0.0.0/16")
    for number in range(50):
        lent(one, f"host{number}")
        one.release(f"host{number}".encode())
    assert len(one._last) == 10
    assert one._held == one._by_sa == {}


@pytest.mark.parametrize("network", ["fd00::/64", "10.0.0.0/8"])
def test_a_huge_network_costs_no_more_than_a_small_one(network: str) -> None:
    any_of = ANY_6 if ":" in network else ANY_4
    one = lending(network)
    begin = process_time()
    for number in range(3000):
        assert lent(one, f"host{number}", any_of)
    assert process_time() - begin < 2


def test_a_full_network_refuses_in_little_work() -> None:
    one = lending("10.0.0.0/19")
    for number in range(8190):
        assert lent(one, f"host{number}")
    begin = process_time()
    for number in range(1000):
        assert not lent(one, f"more{number}")
    assert process_time() - begin < 1


class Lending(RuleBasedStateMachine):
    """Any order of leases and releases, against a set of what is out."""

    def __init__(self) -> None:
        super().__init__()
        self.leases = Leases({"staff": pool("10.0.0.0/29", "10.0.1.0/30")})
        self.out: dict[bytes, list[str]] = {}
        self.holder: dict[str, str] = {}
        self.count = 0

    @rule(who=st.sampled_from("abcd"), wish=st.integers(0, 9))
    def connect(self, who: str, wish: int) -> None:
        self.count += 1
        sa = str(self.count).encode()
        wanted = ip_address("10.0.0.0") + wish if wish else ANY_4
        found = lent(self.leases, who, wanted, sa=sa)
        taken = {address for addresses in self.out.values() for address in addresses}
        if str(wanted) in taken and self.holder[str(wanted)] == who:
            assert found == [str(wanted)]
        else:
            assert bool(found) == (len(taken) < 8)
            assert not taken & set(found)
        self.out[sa] = found
        self.holder |= dict.fromkeys(found, who)

    @rule(number=st.integers(0, 30))
    def disconnect(self, number: int) -> None:
        if self.out:
            sa = sorted(self.out)[number % len(self.out)]
            self.leases.release(sa)
            del self.out[sa]

    @invariant()
    def nothing_is_lost(self) -> None:
        out = [address for addresses in self.out.values() for address in addresses]
        assert sorted(map(str, self.leases._held)) == sorted(set(out))


TestLending = Lending.TestCase
