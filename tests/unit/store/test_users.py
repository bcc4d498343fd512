# SPDX-License-Identifier: Apache-2.0
"""Users are kept with what each method needs of their passwords, and with nothing in clear."""

import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from ikeway.crypto.mschap import nt_hash
from ikeway.crypto.slow_hash import DUMMY, is_password
from ikeway.model.errors import HostError, UsageError
from ikeway.model.secret import Secret
from ikeway.runtime.entropy import SystemRandom
from ikeway.store.user import User, check_name
from ikeway.store.users import UserStore

PASSWORD = Secret("correct hörse".encode())
NOW = 1_800_000_000.0


def opened(folder: Path, key: str = "users.key") -> UserStore:
    return UserStore(folder / "users.db", folder / key, SystemRandom())


def user(name: str, **changes: object) -> User:
    plain: dict[str, object] = {
        "groups": (),
        "is_enabled": True,
        "created_at": NOW,
        "expires_at": None,
        "password_at": NOW,
        "has_clear": False,
        "proofs_from": NOW,
    }
    return User(name, **plain | changes)  # type: ignore[arg-type]


def test_a_user_comes_back_as_it_was_kept_whatever_the_case_of_its_name(tmp_path: Path) -> None:
    store = opened(tmp_path)
    kept = user("Zoë@example.com", groups=("admins", "staff"), expires_at=NOW + 5, has_clear=True)
    store.add(kept, PASSWORD)
    found = opened(tmp_path).find("ZOË@EXAMPLE.com")
    assert found is not None
    assert found.user == kept
    assert store.nt_hash(found) == nt_hash(PASSWORD)
    assert store.clear(found) == PASSWORD
    assert is_password(found.kept.argon2, PASSWORD)
    assert not is_password(found.kept.argon2, Secret(b"correct horse"))
    assert store.find("zoe@example.com") is None


def test_nothing_of_a_password_can_be_read_in_the_files(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.add(user("carol", has_clear=True), PASSWORD)
    store.close()
    octets = b"".join(file.read_bytes() for file in tmp_path.iterdir())
    assert b"carol" in octets
    for secret in (PASSWORD.octets, nt_hash(PASSWORD).octets):
        assert secret not in octets
        assert secret.hex().encode() not in octets


def test_the_files_are_for_their_owner_only(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.add(user("carol"), PASSWORD)
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()}
    assert {"users.db", "users.key"} <= modes.keys()
    assert set(modes.values()) == {0o600}


def test_what_is_sealed_for_one_user_does_not_open_for_another(tmp_path: Path) -> None:
    """Who can write the database, and has no key, gives nobody a password that he knows."""
    store = opened(tmp_path)
    store.add(user("mallory"), Secret(b"known to mallory"))
    store.add(user("carol", has_clear=True), PASSWORD)
    with sqlite3.connect(tmp_path / "users.db") as raw:
        raw.execute(
            "UPDATE users SET nt_hash = (SELECT nt_hash FROM users WHERE key = 'mallory')"
            " WHERE key = 'carol'"
        )
        raw.execute("UPDATE users SET clear = nt_hash WHERE key = 'mallory'")
    raw.close()
    for name, opens in (("carol", store.nt_hash), ("mallory", store.clear)):
        found = store.find(name)
        assert found is not None
        with pytest.raises(HostError, match="was changed"):
            opens(found)


def test_a_key_of_another_database_is_noticed_at_once(tmp_path: Path) -> None:
    opened(tmp_path).close()
    (tmp_path / "users.key").unlink()
    with pytest.raises(HostError, match=r"sealed with another key than that in .*users\.key"):
        opened(tmp_path)


def test_a_key_that_others_can_read_is_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    (tmp_path / "users.key").chmod(0o640)
    with pytest.raises(HostError, match="lets others read it"):
        opened(tmp_path)


def test_a_database_of_a_later_release_stays_as_it_is(tmp_path: Path) -> None:
    opened(tmp_path).close()
    with sqlite3.connect(tmp_path / "users.db") as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
    raw.close()
    with pytest.raises(HostError, match=r"of a later release .*schema 9999"):
        opened(tmp_path)


def test_what_is_no_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "users.db").write_bytes(b"no database" * 1000)
    with pytest.raises(HostError, match="not a database"):
        opened(tmp_path)


def test_several_processes_may_begin_with_a_database_that_is_not_there(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        stores = list(pool.map(lambda _: opened(tmp_path), range(8)))
    stores[0].add(user("carol"), PASSWORD)
    assert all(store.find("carol") for store in stores)


def test_whoever_begins_waits_for_another_that_is_about_to(tmp_path: Path) -> None:
    """SQLite refuses at once, whatever time it is given: another has the file, not yet a log."""
    other = sqlite3.connect(tmp_path / "users.db", isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    leaves = threading.Timer(0.2, other.close)
    leaves.start()
    opened(tmp_path).add(user("carol"), PASSWORD)
    leaves.join()


def test_what_another_process_changes_is_seen_by_all_stores_of_a_process(tmp_path: Path) -> None:
    """Two stores opened one after the other: SQLite's locks of the first are the process's."""
    stores = [opened(tmp_path)]
    stores[0].add(user("carol"), PASSWORD)
    stores.append(opened(tmp_path))
    for is_enabled in (False, True, False):
        change = (
            "import pathlib, sys; from ikeway.runtime.entropy import SystemRandom;"
            " from ikeway.store.users import UserStore; folder = pathlib.Path(sys.argv[1]);"
            " store = UserStore(folder / 'users.db', folder / 'users.key', SystemRandom());"
            f" store.set_enabled('carol', is_enabled={is_enabled}); store.close()"
        )
        subprocess.run([sys.executable, "-c", change, str(tmp_path)], check=True)
        seen = [store.find("carol") for store in stores]
        assert [one.user.is_enabled for one in seen if one] == [is_enabled, is_enabled]


def test_there_is_one_user_of_a_name(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.add(user("Carol"), PASSWORD)
    with pytest.raises(UsageError, match="there is a user 'Carol' already"):
        store.add(user("carol"), PASSWORD)
    assert [one.name for one in store.all()] == ["Carol"]


def test_changes_are_of_that_user_alone(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for name in ("carol", "dave"):
        store.add(user(name, groups=("staff",)), PASSWORD)
    store.set_enabled("CAROL", is_enabled=False)
    store.set_expiry("carol", NOW + 9)
    store.set_groups("carol", ["admins", "admins", "board"])
    store.set_password("carol", Secret(b"another one"), NOW + 1, with_clear=True)
    carol, dave = store.all()
    assert (carol.is_enabled, carol.expires_at, carol.has_clear) == (False, NOW + 9, True)
    assert (carol.groups, carol.password_at) == (("admins", "board"), NOW + 1)
    assert dave == user("dave", groups=("staff",))
    store.remove("carol")
    assert store.all() == [dave]
    assert store.find("carol") is None


@pytest.mark.parametrize(
    "change",
    [
        lambda store: store.remove("carol"),
        lambda store: store.set_enabled("carol", is_enabled=True),
        lambda store: store.set_expiry("carol", None),
        lambda store: store.set_groups("carol", ()),
    ],
)
def test_nobody_is_changed_who_is_not_there(
    tmp_path: Path, change: Callable[[UserStore], None]
) -> None:
    with pytest.raises(UsageError, match="there is no user 'carol'; `ikeway user list` shows all"):
        change(opened(tmp_path))


def test_departures_are_told_once_and_in_order(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.add(user("carol"), PASSWORD)
    seen = store.departures_until(NOW)
    store.depart("carol", "disabled", NOW + 1)
    store.depart("dave", "removed", NOW + 2)
    told = store.departures(seen)
    assert [(one.name, one.reason) for one in told] == [("carol", "disabled"), ("dave", "removed")]
    assert store.departures(told[-1].number) == []
    assert store.departures_until(NOW + 1) == told[0].number
    assert store.departures_until(NOW + 2) == told[-1].number
    found = store.find("carol")
    assert found is not None
    assert found.user.proofs_from == NOW + 1


def test_a_departure_is_forgotten_and_its_number_is_not_used_again(tmp_path: Path) -> None:
    store = opened(tmp_path)
    store.depart("carol", "disabled", NOW)
    first = store.departures_until(NOW)
    store.depart("dave", "removed", NOW + 8 * 86400)
    assert [one.name for one in store.departures(0)] == ["dave"]
    assert store.departures_until(NOW + 9e6) > first


def test_whose_time_ended_is_found(tmp_path: Path) -> None:
    store = opened(tmp_path)
    for name, end in (("carol", NOW + 1), ("dave", NOW + 2), ("erin", None)):
        store.add(user(name, expires_at=end), PASSWORD)
    assert store.expired(NOW, NOW + 1) == ["carol"]
    assert store.expired(NOW + 1, NOW + 9) == ["dave"]


def test_who_may_not_come_in_is_said_why() -> None:
    assert user("carol", expires_at=NOW + 1).refusal(NOW) is None
    assert user("carol", expires_at=NOW).refusal(NOW) == "user 'carol' has expired"
    assert user("carol", is_enabled=False).refusal(NOW) == "user 'carol' is disabled"


@pytest.mark.parametrize("name", ["", " carol", "carol\n", "ca\x00rol", "x" * 254])
def test_nobody_is_called_what_cannot_be_said(name: str) -> None:
    with pytest.raises(UsageError):
        check_name(name)


def test_a_name_is_kept_in_one_form() -> None:
    assert check_name("Zoe\u0308") == "Zo\u00eb"


def test_nobody_has_the_password_that_unknown_users_are_compared_with() -> None:
    assert not is_password(DUMMY, Secret(bytes(32)))
    assert not is_password("no hash", PASSWORD)
