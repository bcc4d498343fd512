# SPDX-License-Identifier: Apache-2.0
"""The users as an operator works with them: what to keep, who has to go, and what is too little."""

import time
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from ikeway.config.load import Book, load, load_book
from ikeway.ike.exchanges.eap_initiator import user as own_name
from ikeway.model.errors import UsageError
from ikeway.model.secret import Secret
from ikeway.runtime.entropy import SystemRandom
from ikeway.store.user import User, check_name, key_of
from ikeway.store.users import UserStore

PASSWORD_CHARACTERS_MOST: Final = 256
"""What MS-CHAPv2 allows (RFC 2759 §8.2)."""
SHORT: Final = 12
"""Who has a recording of MS-CHAPv2 outside a tunnel, or of the sealed hashes and the key, tries
shorter ones all."""
_ALPHABET: Final = "abcdefghijkmnpqrstuvwxyz23456789"
_GROUPS: Final = 5
_GROUP: Final = 4

__all__ = ("User", "UserBook", "check_password", "generate", "to_import")


class UserBook:
    """The users of a configuration's store. A change counts at once, for all gateways that use it.

    Nothing is made by looking: a store that is not there has nobody.
    """

    def __init__(self, config: Path) -> None:
        """Read where the users are.

        Raises:
            ConfigError: the configuration does not say it rightly.
        """
        self._book: Book = load_book(config)
        self._config = config
        self._opened: UserStore | None = None

    @property
    def _store(self) -> UserStore:
        if self._opened is None:
            settings = self._book.settings
            self._opened = UserStore(settings.file, settings.key, SystemRandom())
        return self._opened

    def stands_in_config(self, name: str) -> bool:
        """Whether the configuration itself has a user of that name, which wins over the store's."""
        return name.casefold() in self._book.taken

    def all(self) -> list[User]:
        """Return everybody, by name."""
        return self._store.all() if self._book.settings.file.exists() else []

    def find(self, name: str) -> User:
        """Return a user.

        Raises:
            UsageError: there is no such user.
        """
        found = self._store.find(name) if self._book.settings.file.exists() else None
        if found is None:
            why = "there is no user {!r}; `ikeway user list` shows all"
            if self.stands_in_config(name):
                why = f"user {{!r}} stands in {self._config}, not in the store; change it there"
            raise UsageError(why.format(name))
        return found.user

    def add(
        self,
        name: str,
        password: Secret,
        groups: Iterable[str] = (),
        expires_at: float | None = None,
        *,
        keep_clear: bool = False,
    ) -> User:
        """Keep a new user.

        Raises:
            UsageError: there is one, or the name is none.
        """
        if self.stands_in_config(name):
            raise UsageError(
                f"user {name!r} stands in {self._config}, which wins over the store; remove it"
                " there first, or move it with `ikeway user import`"
            )
        return self.take_over(name, password, groups, expires_at, keep_clear=keep_clear)

    def take_over(
        self,
        name: str,
        password: Secret,
        groups: Iterable[str] = (),
        expires_at: float | None = None,
        *,
        keep_clear: bool = False,
    ) -> User:
        """Keep a new user, also one that the configuration has.

        Raises:
            UsageError: there is one, or the name is none.
        """
        now = time.time()
        user = User(
            name=check_name(name),
            groups=tuple(sorted({check_group(group) for group in groups})),
            is_enabled=True,
            created_at=now,
            expires_at=expires_at,
            password_at=now,
            has_clear=keep_clear,
            proofs_from=now,
        )
        self._store.add(user, check_password(password))
        return user

    def set_password(
        self, name: str, password: Secret, *, keep_clear: bool, end_sessions: bool
    ) -> User:
        """Keep another password of a user, and end what came in by the old one if that is wanted.

        Raises:
            UsageError: there is no such user.
        """
        user, now = self.find(name), time.time()
        self._store.set_password(
            user.name, check_password(password), now, with_clear=keep_clear or user.has_clear
        )
        if end_sessions:
            self._store.depart(user.name, "given another password", now)
        return user

    def enable(self, name: str) -> User:
        """Let a user in again.

        Raises:
            UsageError: there is no such user.
        """
        user = self.find(name)
        self._store.set_enabled(user.name, is_enabled=True)
        return user

    def disable(self, name: str) -> User:
        """Let a user in no more, and end its IKE SAs.

        Raises:
            UsageError: there is no such user.
        """
        user = self.find(name)
        self._store.set_enabled(user.name, is_enabled=False)
        self._store.depart(user.name, "disabled", time.time())
        return user

    def remove(self, name: str) -> User:
        """Forget a user, and end its IKE SAs.

        Raises:
            UsageError: there is no such user.
        """
        user = self.find(name)
        self._store.remove(user.name)
        self._store.depart(user.name, "removed", time.time())
        return user

    def change(
        self, name: str, groups: Iterable[str] | None, expires_at: float | None, *, expires: bool
    ) -> User:
        """Change the groups, if they are given, and when a user `expires`, if that is wanted.

        Raises:
            UsageError: there is no such user.
        """
        user = self.find(name)
        if groups is not None:
            self._store.set_groups(user.name, sorted({check_group(group) for group in groups}))
        if expires:
            self._store.set_expiry(user.name, expires_at)
            if expires_at is not None and expires_at <= time.time():
                self._store.depart(user.name, "expired", time.time())
        return self.find(user.name)


def check_password(password: Secret) -> Secret:
    """Return a password as it is kept: text in one form of Unicode, since keyboards differ.

    Raises:
        UsageError: it is none that every method can do with.
    """
    try:
        text = unicodedata.normalize("NFC", password.octets.decode())
    except UnicodeDecodeError as error:
        raise UsageError("a password has to be text in UTF-8") from error
    if not text:
        raise UsageError("the password is empty")
    if len(text) > PASSWORD_CHARACTERS_MOST:
        raise UsageError(
            f"a password has at most {PASSWORD_CHARACTERS_MOST} characters, not {len(text)}"
        )
    if any(unicodedata.category(character) == "Cc" for character in text):
        raise UsageError("a password has no line breaks and no other control characters")
    return Secret(text.encode())


def check_group(name: str) -> str:
    """Return the name of a group.

    Raises:
        UsageError: it is none.
    """
    if not name or not name.isprintable() or name != name.strip() or len(name) > 128:
        raise UsageError(f"{name!r} is no name of a group")
    return name


def generate() -> Secret:
    """Return a fresh password: 100 bits, in letters that nobody mistakes for others."""
    octets = SystemRandom().octets(_GROUPS * _GROUP)
    letters = [_ALPHABET[octet % len(_ALPHABET)] for octet in octets]
    groups = ("".join(letters[at : at + _GROUP]) for at in range(0, len(letters), _GROUP))
    return Secret("-".join(groups).encode())


def to_import(config: Path) -> tuple[list[tuple[str, Secret]], list[str]]:
    """Return the users of a configuration with their passwords, and names that are our own.

    Raises:
        ConfigError: the configuration is wrong.
    """
    loaded = load(config)
    ours = {
        key_of(own_name(each).decode()) for each in loaded.connections if each.local_auth.eap_method
    }
    users: list[tuple[str, Secret]] = []
    own: list[str] = []
    for account in loaded.credentials.accounts:
        if account.usim is not None:
            continue
        if key_of(account.name) in ours:
            own.append(account.name)
        else:
            users.append((account.name, account.password))
    return users, own
