# SPDX-License-Identifier: Apache-2.0
"""Users of the store are let in as those of the configuration are, and not when they may not."""

from ipaddress import ip_address
from pathlib import Path
from time import thread_time

import pytest

from ikeway.auth.eap.accounts import Accounts
from ikeway.auth.eap.means import Means
from ikeway.auth.eap.methods import gtc, md5, mschapv2
from ikeway.auth.eap.methods import method as method_of
from ikeway.auth.eap.peer import EapPeer
from ikeway.auth.eap.progress import Failure, Success
from ikeway.auth.eap.server import EapServer
from ikeway.crypto.mschap import nt_hash
from ikeway.ike.admission import Admit, Welcome
from ikeway.ike.questions import Refused
from ikeway.model.errors import AuthenticationError
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.credentials import Account
from ikeway.policy.limits import Limits
from ikeway.policy.store import StoreSettings
from ikeway.runtime.entropy import SystemRandom
from ikeway.runtime.guesses import Guesses
from ikeway.runtime.users import Users, Visitor
from ikeway.store.user import User
from ikeway.store.users import UserStore
from support.eap import converse, random

HERE = ip_address("192.0.2.1")
RIGHT, WRONG = Secret(b"correct horse"), Secret(b"wrong donkey")
NOW = 1_800_000_000.0
METHODS = {"mschapv2": mschapv2.METHOD, "md5": md5.METHOD, "gtc": gtc.METHOD}


class House:
    """A gateway's users: carol of the configuration, and whoever is added to the store."""

    def __init__(self, folder: Path) -> None:
        self.settings = StoreSettings(folder / "users.db", folder / "users.key")
        self.store = UserStore(self.settings.file, self.settings.key, SystemRandom())
        self.now = NOW
        self.users = Users(
            Accounts((Account("carol", RIGHT),)),
            self.settings,
            Guesses(Limits(user_guesses=3)),
            SystemRandom(),
            lambda: self.now,
        )

    def add(self, name: str, password: Secret = RIGHT, **changes: object) -> None:
        plain: dict[str, object] = {
            "groups": (),
            "is_enabled": True,
            "created_at": NOW - 9,
            "expires_at": None,
            "password_at": NOW - 9,
            "has_clear": False,
            "proofs_from": NOW - 9,
        }
        self.store.add(User(name, **plain | changes), password)  # type: ignore[arg-type]

    def visitor(self) -> Visitor:
        return self.users.visitor(HERE)

    def login(self, name: str, password: Secret, method: str) -> Success | Failure:
        """Have a client log in by a method, and return how it ended for the server."""
        server = EapServer((METHODS[method],), Means(self.visitor(), random()), name.encode())
        theirs = Accounts((Account(name, password),))
        peer = EapPeer((METHODS[method],), Means(theirs, random()), name.encode())
        end = converse(server, peer).server
        assert end is not None
        return end


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@pytest.mark.parametrize("method", METHODS)
def test_a_user_of_the_store_comes_in_by_each_method(house: House, method: str) -> None:
    house.add("Dave", has_clear=True, groups=("staff",))
    end = house.login("CORP\\dave", RIGHT, method)
    assert isinstance(end, Success)
    assert (end.identity, end.groups) == (b"Dave", ("staff",))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["dave", "nobody", "carol"])
def test_a_wrong_password_lets_nobody_in(house: House, method: str, name: str) -> None:
    house.add("dave", has_clear=True)
    assert isinstance(house.login(name, WRONG, method), Failure)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"is_enabled": False}, "is disabled"), ({"expires_at": NOW - 1}, "has expired")],
)
def test_who_may_not_come_in_does_not_with_the_right_password(
    house: House, method: str, changes: dict[str, object], reason: str
) -> None:
    house.add("dave", has_clear=True, **changes)
    end = house.login("dave", RIGHT, method)
    assert isinstance(end, Failure)
    if method != "mschapv2":  # whose last word is that the peer has acknowledged it
        assert reason in end.reason


def test_what_a_peer_sees_is_the_same_for_all_who_may_not_come_in(house: House) -> None:
    house.add("dave")
    house.add("erin", is_enabled=False)
    seen = set()
    for name in ("dave", "erin", "nobody", "carol"):
        means = Means(house.visitor(), random())
        server = EapServer((gtc.METHOD,), means, name.encode())
        peer = EapPeer(
            (gtc.METHOD,), Means(Accounts((Account(name, WRONG),)), random()), name.encode()
        )
        said = converse(server, peer).said
        seen.add(tuple(packet.encode() for packet in said))
    assert len(seen) == 1


def test_md5_needs_the_password_itself_and_says_so_to_the_operator(house: House) -> None:
    house.add("dave")
    end = house.login("dave", RIGHT, "md5")
    assert isinstance(end, Failure)
    assert "only hashes of the password of 'dave' are kept" in end.reason
    assert "--keep-clear" in end.reason


def test_an_unknown_user_takes_as_long_as_a_wrong_password(house: House) -> None:
    house.add("dave")

    def took(name: str) -> float:
        least = 9.0
        for _ in range(3):
            visitor = Users(
                house.users.accounts, house.settings, Guesses(Limits()), SystemRandom()
            ).visitor(HERE)
            visitor.name(name.encode())
            began = thread_time()
            assert not visitor.accepts(name.encode(), WRONG)
            least = min(least, thread_time() - began)
        return least

    times = {name: took(name) for name in ("dave", "nobody", "carol")}
    assert max(times.values()) < 3 * min(times.values()), times


def test_the_configuration_wins_over_the_store(house: House) -> None:
    house.add("carol", Secret(b"another one"), groups=("admins",))
    visitor = house.visitor()
    assert visitor.nt_hash(b"carol") == nt_hash(RIGHT)
    assert visitor.groups(b"carol") == ()
    assert not visitor.accepts(b"carol", Secret(b"another one"))
    assert visitor.accepts(b"carol", RIGHT)


def test_who_guesses_too_often_is_not_looked_at_any_more(house: House) -> None:
    house.add("dave")
    for _ in range(3):
        assert isinstance(house.login("dave", WRONG, "gtc"), Failure)
    end = house.login("DAVE", RIGHT, "gtc")
    assert isinstance(end, Failure)
    assert "too many wrong passwords for 'dave'" in end.reason
    assert isinstance(house.login("carol", RIGHT, "gtc"), Success)


@pytest.mark.parametrize("method", METHODS)
def test_each_method_counts_each_wrong_password_once(house: House, method: str) -> None:
    for name in ("dave", "nobody"):
        if name == "dave":
            house.add(name, has_clear=True)
        for _ in range(3):
            house.users.guesses.check(name, HERE)
            house.login(name, WRONG, method)
        with pytest.raises(AuthenticationError, match="too many"):
            house.users.guesses.check(name, HERE)


def test_a_gateway_without_a_store_has_the_configurations_users(tmp_path: Path) -> None:
    settings = StoreSettings(tmp_path / "gone.db", tmp_path / "gone.key")
    accounts = Accounts((Account("carol", RIGHT),))
    users = Users(accounts, settings, Guesses(Limits()), SystemRandom())
    visitor = users.visitor(HERE)
    assert visitor.accepts(b"carol", RIGHT)
    assert not visitor.accepts(b"dave", RIGHT)
    assert visitor.nt_hash(b"dave") is None
    assert visitor.clear(b"dave") is None
    assert not list(tmp_path.iterdir())


def test_a_store_that_appears_later_is_used(tmp_path: Path) -> None:
    house = House(tmp_path / "later")
    house.add("dave")
    settings = StoreSettings(tmp_path / "users.db", tmp_path / "later/users.key")
    users = Users(Accounts(), settings, Guesses(Limits()), SystemRandom())
    assert users.visitor(HERE).nt_hash(b"dave") is None
    house.store.close()
    house.settings.file.rename(settings.file)
    assert users.visitor(HERE).nt_hash(b"dave") == nt_hash(RIGHT)
    users.close()


# Whether who was proven may still come in ---------------------------------------------------------


def admits(house: House, name: str, method: str = "mschapv2", age: float = 0.0) -> str:
    answer = house.users.admits(Admit(Identity.parse(name), method, age))
    return answer.reason if isinstance(answer, Refused) else "welcome"


def test_who_was_proven_and_may_come_in_is_welcome(house: House) -> None:
    house.add("dave")
    assert admits(house, "carol") == admits(house, "dave") == "welcome"
    assert house.users.admits(Admit(Identity.parse("DAVE"), "gtc")) == Welcome()


def test_who_has_been_taken_away_since_is_not(house: House) -> None:
    house.add("dave")
    house.store.set_enabled("dave", is_enabled=False)
    assert admits(house, "dave") == "user 'dave' is disabled"
    assert admits(house, "dave", "tls") == "user 'dave' is disabled"
    house.store.remove("dave")
    assert admits(house, "dave") == "there is no such user any more"


def test_whom_a_certificate_or_a_usim_proves_need_not_be_in_the_store(house: House) -> None:
    assert {admits(house, "erin", method) for method in ("tls", "aka", "aka-prime")} == {"welcome"}


def test_a_proof_from_before_all_had_to_end_counts_no_more(house: House) -> None:
    house.add("dave")
    house.store.depart("dave", "disabled", NOW - 5)
    assert admits(house, "dave", age=4) == "welcome"
    assert "before all IKE SAs" in admits(house, "dave", age=6)


def test_the_methods_by_password_are_methods() -> None:
    from ikeway.runtime.users import BY_PASSWORD

    assert all(method_of(name) for name in BY_PASSWORD)
