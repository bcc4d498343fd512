# SPDX-License-Identifier: Apache-2.0
"""Users in the database: looked up by gateways, changed by commands."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Row, Select, delete, func, insert, select, update

from ikeway.crypto.random import Random
from ikeway.model.errors import HostError, UsageError
from ikeway.model.secret import Secret
from ikeway.store import secret_file
from ikeway.store.database import Database
from ikeway.store.schema import DEPARTURES, MEMBERSHIPS, SEALS, USERS
from ikeway.store.seal import CLEAR, KEY_OCTETS, NT_HASH, Seal
from ikeway.store.user import Departure, Kept, User, key_of

NOBODY: Final = ""
DEPARTED_FOR: Final = 7 * 86400.0
"""How long it is known, in seconds, that somebody's IKE SAs have to end."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A user, with what is kept of the password."""

    user: User
    kept: Kept


class UserStore:
    """The users of one database. Names have no case. Times are seconds since 1970."""

    def __init__(self, file: Path, key: Path, random: Random) -> None:
        """Open the database and its key; both are made if they are not there.

        Raises:
            HostError: one of them cannot be used, or they do not belong together.
        """
        self._database = Database(file)
        self.seal = Seal(secret_file.load(key, "key of the database", KEY_OCTETS), random)
        self._decoy = self.seal.close(NOBODY, NT_HASH, Secret(random.octets(16)))
        self._check_key(key)

    def close(self) -> None:
        """Let the database go."""
        self._database.close()

    # Looking ----------------------------------------------------------------------------------

    def find(self, name: str) -> Entry | None:
        """Return who is called so."""
        with self._database.reading() as connection:
            found = connection.execute(select(USERS).where(USERS.c.key == key_of(name))).first()
            return None if found is None else _entry(found, _groups(connection, found.id))

    def all(self) -> list[User]:
        """Return everybody, by name."""
        with self._database.reading() as connection:
            rows = connection.execute(select(USERS).order_by(USERS.c.key)).all()
            members = connection.execute(_members()).all()
        groups: dict[int, list[str]] = {}
        for member in members:
            groups.setdefault(member.user_id, []).append(member.group)
        return [_entry(row, tuple(groups.get(row.id, ()))).user for row in rows]

    def nt_hash(self, entry: Entry | None) -> Secret:
        """Return the NT hash of a password; of nobody one that takes as long.

        Raises:
            HostError: it was changed.
        """
        if entry is None:
            return self.seal.open(NOBODY, NT_HASH, self._decoy)
        return self.seal.open(entry.user.name, NT_HASH, entry.kept.nt_hash)

    def clear(self, entry: Entry) -> Secret | None:
        """Return a password itself, where it is kept.

        Raises:
            HostError: it was changed.
        """
        sealed = entry.kept.clear
        return None if sealed is None else self.seal.open(entry.user.name, CLEAR, sealed)

    # Changing ---------------------------------------------------------------------------------

    def add(self, user: User, password: Secret) -> None:
        """Keep a new user.

        Raises:
            UsageError: there is one of that name.
        """
        kept = self.seal.keep(user.name, password, with_clear=user.has_clear)
        row = {
            "name": user.name,
            "key": key_of(user.name),
            "is_enabled": user.is_enabled,
            "created_at": user.created_at,
            "expires_at": user.expires_at,
            **_password(kept, user.password_at),
            "proofs_from": user.proofs_from,
        }
        with self._database.writing() as connection:
            taken = connection.execute(
                select(USERS.c.name).where(USERS.c.key == row["key"])
            ).first()
            if taken is not None:
                raise UsageError(f"there is a user {taken.name!r} already")
            number = connection.execute(insert(USERS).values(row)).inserted_primary_key
            _join(connection, number[0] if number else 0, user.groups)

    def set_password(self, name: str, password: Secret, now: float, *, with_clear: bool) -> None:
        """Keep another password of a user.

        Raises:
            UsageError: there is no such user.
        """
        kept = self.seal.keep(name, password, with_clear=with_clear)
        self._update(name, _password(kept, now))

    def set_enabled(self, name: str, *, is_enabled: bool) -> None:
        """Let a user in, or not.

        Raises:
            UsageError: there is no such user.
        """
        self._update(name, {"is_enabled": is_enabled})

    def set_expiry(self, name: str, expires_at: float | None) -> None:
        """Let a user in until then, or for ever.

        Raises:
            UsageError: there is no such user.
        """
        self._update(name, {"expires_at": expires_at})

    def set_groups(self, name: str, groups: Iterable[str]) -> None:
        """Make a user a member of these groups, and of no others.

        Raises:
            UsageError: there is no such user.
        """
        with self._database.writing() as connection:
            number = _number(connection, name)
            connection.execute(delete(MEMBERSHIPS).where(MEMBERSHIPS.c.user_id == number))
            _join(connection, number, groups)

    def remove(self, name: str) -> None:
        """Forget a user.

        Raises:
            UsageError: there is no such user.
        """
        with self._database.writing() as connection:
            connection.execute(delete(USERS).where(USERS.c.id == _number(connection, name)))

    def _update(self, name: str, values: dict[str, Any]) -> None:
        with self._database.writing() as connection:
            number = _number(connection, name)
            connection.execute(update(USERS).where(USERS.c.id == number).values(values))

    # Departures -------------------------------------------------------------------------------

    def depart(self, name: str, reason: str, now: float) -> None:
        """Have all IKE SAs of a user end, everywhere, and all that was proven before count less."""
        with self._database.writing() as connection:
            old = DEPARTURES.c.at < now - DEPARTED_FOR
            connection.execute(delete(DEPARTURES).where(old))
            connection.execute(insert(DEPARTURES).values(name=name, reason=reason, at=now))
            mine = USERS.c.key == key_of(name)
            connection.execute(update(USERS).where(mine).values(proofs_from=now))

    def departures_until(self, moment: float) -> int:
        """Return the number of the last departure until then."""
        last = select(func.max(DEPARTURES.c.id)).where(DEPARTURES.c.at <= moment)
        with self._database.reading() as connection:
            return connection.execute(last).scalar() or 0

    def departures(self, after: int) -> list[Departure]:
        """Return the departures after the one of that number."""
        wanted = select(DEPARTURES).where(DEPARTURES.c.id > after).order_by(DEPARTURES.c.id)
        with self._database.reading() as connection:
            return [
                Departure(row.id, row.name, row.reason) for row in connection.execute(wanted).all()
            ]

    def expired(self, since: float, until: float) -> list[str]:
        """Return the users whose time ended between these moments."""
        ends = USERS.c.expires_at
        with self._database.reading() as connection:
            wanted = select(USERS.c.name).where(ends > since, ends <= until)
            return list(connection.execute(wanted).scalars())

    def _check_key(self, file: Path) -> None:
        with self._database.reading() as connection:
            known = connection.execute(select(SEALS.c.key_id)).scalar()
        if known is None:
            with self._database.writing() as connection:
                known = connection.execute(select(SEALS.c.key_id)).scalar()
                if known is None:
                    known = self.seal.id
                    connection.execute(insert(SEALS).values(key_id=known))
        if known != self.seal.id:
            self.close()
            raise HostError(
                f"{self._database.file} was sealed with another key than that in {file}; put the"
                " right one there, or set all passwords anew in a new database"
            )


def _entry(row: Row[Any], groups: tuple[str, ...]) -> Entry:
    user = User(
        name=row.name,
        groups=groups,
        is_enabled=row.is_enabled,
        created_at=row.created_at,
        expires_at=row.expires_at,
        password_at=row.password_at,
        has_clear=row.clear is not None,
        proofs_from=row.proofs_from,
    )
    return Entry(user, Kept(row.argon2, row.nt_hash, row.clear))


def _password(kept: Kept, now: float) -> dict[str, Any]:
    return {
        "argon2": kept.argon2,
        "nt_hash": kept.nt_hash,
        "clear": kept.clear,
        "password_at": now,
    }


def _members() -> Select[Any]:
    return select(MEMBERSHIPS).order_by(MEMBERSHIPS.c.group)


def _groups(connection: Connection, number: int) -> tuple[str, ...]:
    mine = _members().where(MEMBERSHIPS.c.user_id == number)
    return tuple(row.group for row in connection.execute(mine).all())


def _join(connection: Connection, number: int, groups: Iterable[str]) -> None:
    rows = [{"user_id": number, "group": group} for group in dict.fromkeys(groups)]
    if rows:
        connection.execute(insert(MEMBERSHIPS), rows)


def _number(connection: Connection, name: str) -> int:
    number = connection.execute(select(USERS.c.id).where(USERS.c.key == key_of(name))).scalar()
    if number is None:
        raise UsageError(f"there is no user {name!r}; `ikeway user list` shows all")
    return int(number)
