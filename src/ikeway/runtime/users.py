# SPDX-License-Identifier: Apache-2.0
"""Whom a gateway lets in by password: users of the configuration, and those of the store.

Who is in both is the configuration's. Everything here may take long and is called from threads.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from threading import Lock

from typing_extensions import override

from ikeway.auth.eap.accounts import Accounts
from ikeway.auth.eap.identity import without_domain
from ikeway.auth.eap.passwords import Passwords
from ikeway.crypto.milenage import Usim
from ikeway.crypto.random import Random
from ikeway.crypto.slow_hash import DUMMY, is_password
from ikeway.ike.admission import Admit, Welcome
from ikeway.ike.questions import Refused
from ikeway.model.address import Address
from ikeway.model.errors import AuthenticationError
from ikeway.model.secret import Secret
from ikeway.policy.store import StoreSettings
from ikeway.runtime.guesses import Guesses
from ikeway.store.user import key_of
from ikeway.store.users import Entry, UserStore

BY_PASSWORD = frozenset({"mschapv2", "ttls", "peap", "md5", "gtc"})
"""The methods whose users have to be somewhere; others bring proofs of their own."""


class Users:
    """All users. The store is opened when somebody is looked for, once its file is there."""

    def __init__(
        self,
        accounts: Accounts,
        settings: StoreSettings,
        guesses: Guesses,
        random: Random,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.accounts = accounts
        self.guesses = guesses
        self.clock = clock
        self._settings = settings
        self._random = random
        self._lock = Lock()
        self._opened: UserStore | None = None

    @property
    def store(self) -> UserStore | None:
        """The store, if there is one.

        Raises:
            HostError: it cannot be used.
        """
        with self._lock:
            if self._opened is None and self._settings.file.exists():
                self._opened = UserStore(self._settings.file, self._settings.key, self._random)
            return self._opened

    def visitor(self, place: Address) -> "Visitor":
        """Return the users as one conversation sees them, with a peer there."""
        return Visitor(self, place)

    def admits(self, question: Admit) -> Welcome | Refused:
        """Return whether a user that was proven may still come in.

        Raises:
            HostError: the store fails.
        """
        identity, store = question.user.data, self.store
        if self.accounts.knows(identity):
            return Welcome()
        entry = None if store is None else find(store, identity)
        if entry is None:
            is_stranger = question.method in BY_PASSWORD
            return Refused("there is no such user any more") if is_stranger else Welcome()
        now = self.clock()
        reason = entry.user.refusal(now)
        if reason is None and entry.user.proofs_from > now - question.age:
            reason = "it was proven before all IKE SAs of the user had to end"
        return Welcome() if reason is None else Refused(reason)

    def close(self) -> None:
        """Let the store go."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
                self._opened = None


@dataclass
class Visitor(Passwords):
    """The users in one conversation. What is found of one stays so for its length."""

    users: Users
    place: Address
    _found: dict[bytes, Entry | None] = field(default_factory=dict)
    _refusals: list[str] = field(default_factory=list)

    def told(self) -> tuple[str, ...]:
        """Return why logins were refused since the last call, for the operator to know.

        Many a peer leaves without a word before its method comes to its end.
        """
        told = tuple(self._refusals)
        self._refusals.clear()
        return told

    @override
    def name(self, identity: bytes) -> bytes:
        """Return the name of the user that an identity means; itself where there is none."""
        if self.users.accounts.knows(identity):
            return self.users.accounts.name(identity)
        entry = self._entry(identity)
        return identity if entry is None else entry.user.name.encode()

    @override
    def clear(self, identity: bytes) -> Secret | None:
        """Return the password itself, where it is kept."""
        self._check(identity)
        if self.users.accounts.knows(identity):
            return self.users.accounts.clear(identity)
        entry, store = self._entry(identity), self.users.store
        if entry is None or store is None:
            self._unknown(identity)
            return None
        found = store.clear(entry)
        self._check_entry(identity, entry)
        if found is None:
            raise self._refused(
                identity,
                f"only hashes of the password of {entry.user.name!r} are kept, and this method"
                " needs itself; `ikeway user password` with --keep-clear keeps it",
            )
        return found

    @override
    def nt_hash(self, identity: bytes) -> Secret | None:
        """Return the NT hash of the password."""
        self._check(identity)
        if self.users.accounts.knows(identity):
            return self.users.accounts.nt_hash(identity)
        entry, store = self._entry(identity), self.users.store
        if store is None:
            self._unknown(identity)
            return None
        found = store.nt_hash(entry)
        if entry is None:
            self._unknown(identity)
            return None
        self._check_entry(identity, entry)
        return found

    @override
    def usim(self, identity: bytes) -> Usim | None:
        """Return the USIM; only the configuration has some."""
        return self.users.accounts.usim(identity)

    @override
    def accepts(self, identity: bytes, password: Secret) -> bool:
        """Whether this is the password. A wrong one costs the same, whoever it is for."""
        self._check(identity)
        is_right = self._compare(identity, password)
        if not is_right:
            self.failed(identity)
        return is_right

    def _compare(self, identity: bytes, password: Secret) -> bool:
        entry, store = self._entry(identity), self.users.store
        if self.users.accounts.accepts(identity, password):
            return True
        if store is None:
            return False
        if entry is None or self.users.accounts.knows(identity):
            is_password(DUMMY, password)
            return False
        is_right = is_password(entry.kept.argon2, password)
        self._check_entry(identity, entry)
        return is_right

    @override
    def failed(self, identity: bytes) -> None:
        """Count a wrong password."""
        self._refused(identity, "a wrong password")
        self.users.guesses.wrong(_key(identity), self.place)

    def _unknown(self, identity: bytes) -> None:
        self._refused(identity, "nobody has that name and a password")
        self.users.guesses.wrong(_key(identity), self.place)

    def succeeded(self, identity: bytes) -> None:
        """Note that this user came in from here."""
        self.users.guesses.right(_key(identity), self.place)

    @override
    def groups(self, identity: bytes) -> tuple[str, ...]:
        """Return the groups of a user of the store."""
        if self.users.accounts.knows(identity):
            return ()
        entry = self._entry(identity)
        return () if entry is None else entry.user.groups

    def _entry(self, identity: bytes) -> Entry | None:
        if identity not in self._found:
            store = self.users.store
            self._found[identity] = None if store is None else find(store, identity)
        return self._found[identity]

    def _check(self, identity: bytes) -> None:
        try:
            self.users.guesses.check(_key(identity), self.place)
        except AuthenticationError as error:
            raise self._refused(identity, error.reason) from error

    def _check_entry(self, identity: bytes, entry: Entry) -> None:
        reason = entry.user.refusal(self.users.clock())
        if reason is not None:
            raise self._refused(identity, reason)

    def _refused(self, identity: bytes, reason: str) -> AuthenticationError:
        """Return the error; what is said of it names who it was and from where."""
        name = identity.decode(errors="replace")
        self._refusals.append(f"login of {name!r} from {self.place} refused: {reason}")
        return AuthenticationError(reason)


def find(store: UserStore, identity: bytes) -> Entry | None:
    r"""Return the user that an identity means: all of it, else what follows `DOMAIN\`."""
    try:
        whole, rest = identity.decode(), without_domain(identity).decode()
    except UnicodeDecodeError:
        return None
    found = store.find(whole)
    return store.find(rest) if found is None and rest != whole else found


def _key(identity: bytes) -> str:
    return key_of(without_domain(identity).decode(errors="replace")) or "nobody"
