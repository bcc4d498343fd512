# SPDX-License-Identifier: Apache-2.0
"""A certification authority in a folder: `ca.crt`, `ca.key`, what it issued and what it took back.

Each certificate is a file of its own, named by its serial number, so nothing that was issued is
ever lost; `ca.json` has the rest. Whoever changes the folder holds its lock.
"""

import fcntl
import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ikeway.crypto.authority import Authority, issue, pem
from ikeway.crypto.certificate import Certificate, load_certificates
from ikeway.crypto.describe import describe
from ikeway.crypto.fields import Places
from ikeway.crypto.keypair import PrivateKey, PublicKey
from ikeway.crypto.profile import Purpose
from ikeway.crypto.revoking import Revoked, make_crl
from ikeway.model.errors import ConfigError, UsageError
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret

_STATE: Final = "ca.json"


@dataclass(frozen=True, slots=True)
class State:
    """What `ca.json` has: where the authority publishes, its last CRL number, what it revoked."""

    places: Places = field(default=Places())
    crl_number: int = 0
    revoked: tuple[Revoked, ...] = ()


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that the authority issued, and what became of it."""

    certificate: Certificate
    revoked: Revoked | None

    def status(self, now: datetime) -> str:
        """Return `valid`, `expired` or `revoked`."""
        if self.revoked is not None:
            return "revoked"
        return "valid" if self.certificate.not_after > now else "expired"


class Ca:
    """An authority that is there. Its key is read only for what needs it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        if not (folder / "ca.crt").exists():
            raise UsageError(
                f"there is no authority in {folder}; make one with `ikeway ca create NAME --dir"
                f" {folder}`"
            )
        self.chain = load_certificates((folder / "ca.crt").read_bytes())

    @classmethod
    def found(
        cls,
        folder: Path,
        made: tuple[Authority, Sequence[Certificate]],
        places: Places,
        password: Secret | None,
    ) -> "Ca":
        """Write a new authority, with those above it but the root, into a folder.

        Raises:
            UsageError: there is one already, which is never overwritten.
        """
        authority, above = made
        if (folder / "ca.crt").exists() or (folder / "ca.key").exists():
            raise UsageError(f"there is an authority in {folder} already; it stays as it is")
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_file(folder / "ca.key", authority.key.pem(password), is_secret=True)
        write_file(folder / _STATE, _written(State(places)))
        write_file(folder / "ca.crt", pem(authority.certificate, *above))
        return cls(folder)

    # What is there ----------------------------------------------------------------------------

    @property
    def certificate(self) -> Certificate:
        """The authority's own certificate."""
        return self.chain[0]

    @property
    def above(self) -> tuple[Certificate, ...]:
        """What goes behind a certificate that it issues: itself and those above, without a root."""
        return tuple(one for one in self.chain if one.subject_der != one.issuer_der)

    def authority(self, password: Secret | None) -> Authority:
        """Return the authority with its key.

        Raises:
            ConfigError: the key cannot be read, or needs another password.
        """
        try:
            octets = (self.folder / "ca.key").read_bytes()
        except OSError as error:
            raise ConfigError(f"{self.folder / 'ca.key'}: {error.strerror}") from error
        return Authority(self.certificate, PrivateKey.load(octets, password))

    def state(self) -> State:
        """Return what `ca.json` has."""
        try:
            return _read((self.folder / _STATE).read_bytes())
        except FileNotFoundError:
            return State()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ConfigError(f"{self.folder / _STATE}: {error}") from error

    def issued(self) -> list[Issued]:
        """Return all that it issued, the oldest first."""
        revoked = {one.serial: one for one in self.state().revoked}
        files = (self.folder / "issued").glob("*.crt")
        found = [load_certificates(file.read_bytes())[0] for file in files]
        found.sort(key=lambda one: (one.not_before, one.serial))
        return [Issued(one, revoked.get(one.serial)) for one in found]

    def find(self, which: str) -> Issued:
        """Return the certificate of that serial number, or the valid one of that name.

        Raises:
            UsageError: there is none, or more than one.
        """
        everything = self.issued()
        by_serial = [one for one in everything if f"{one.certificate.serial:x}" == which.lower()]
        by_name = [
            one
            for one in everything
            if one.revoked is None
            and which in {*map(str, one.certificate.sans), one.certificate.subject}
        ]
        found = by_serial or by_name
        if len(found) == 1:
            return found[0]
        if not found:
            raise UsageError(f"{self.certificate.subject} has issued nothing to {which!r}")
        serials = ", ".join(f"{one.certificate.serial:x}" for one in found)
        raise UsageError(f"several certificates are for {which!r}; name a serial number: {serials}")

    # What changes it --------------------------------------------------------------------------

    def issue(
        self,
        password: Secret | None,
        public: PublicKey,
        names: Sequence[Identity],
        purpose: Purpose,
        days: int,
    ) -> Certificate:
        """Return a new certificate, which is on file before anybody has it.

        Raises:
            ConfigError: a name cannot stand in a certificate, or outlives the authority.
        """
        now = datetime.now(UTC)
        if (self.certificate.not_after - now).days < days:
            raise ConfigError(
                f"{days} days are more than the authority itself has, until"
                f" {self.certificate.not_after:%Y-%m-%d}"
            )
        places = self.state().places
        try:
            made = issue(self.authority(password), public, names, purpose, now, days, places)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        self.keep(made)
        return made

    def keep(self, made: Certificate) -> None:
        """Put a certificate on file."""
        folder = self.folder / "issued"
        folder.mkdir(mode=0o700, exist_ok=True)
        write_file(folder / f"{made.serial:x}.crt", pem(made))

    def revoke(self, which: str, reason: str) -> Certificate:
        """Note that a certificate is taken back; the next CRL says so.

        Raises:
            UsageError: it is not there, or revoked already.
        """
        with self._locked():
            found = self.find(which)
            if found.revoked is not None:
                since = found.revoked.since
                raise UsageError(f"{which} is revoked already, since {since:%Y-%m-%d %H:%M} UTC")
            now = datetime.now(UTC).replace(microsecond=0)
            state, entry = self.state(), Revoked(found.certificate.serial, now, reason)
            after = replace(state, revoked=(*state.revoked, entry))
            write_file(self.folder / _STATE, _written(after))
        return found.certificate

    def crl(self, password: Secret | None, days: int) -> bytes:
        """Return a new CRL with all that is revoked, which is in `ca.crl` as well."""
        authority = self.authority(password)
        with self._locked():
            state = self.state()
            after = replace(state, crl_number=state.crl_number + 1)
            now = datetime.now(UTC)
            made = make_crl(authority, state.revoked, after.crl_number, now, days)
            write_file(self.folder / _STATE, _written(after))
            write_file(self.folder / "ca.crl", made)
        return made

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with (self.folder / "ca.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def purpose_of(certificate: Certificate) -> Purpose:
    """Return what a certificate of ours is for."""
    usages = describe(certificate)["usages"]
    return "server" if isinstance(usages, list) and "serverAuth" in usages else "client"


def write_file(path: Path, octets: bytes, *, is_secret: bool = False) -> None:
    """Write a file whole or not at all.

    Raises:
        ConfigError: it cannot be written.
    """
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        unfinished.unlink(missing_ok=True)
        unfinished.touch(mode=0o600 if is_secret else 0o644)
        unfinished.write_bytes(octets)
        unfinished.replace(path)
    except OSError as error:
        raise ConfigError(f"cannot write {path}: {error.strerror}") from error


def _written(state: State) -> bytes:
    revoked = [
        {"serial": f"{one.serial:x}", "since": one.since.isoformat(), "reason": one.reason}
        for one in state.revoked
    ]
    plain = {
        "crl_urls": list(state.places.crls),
        "ocsp_urls": list(state.places.ocsp),
        "crl_number": state.crl_number,
        "revoked": revoked,
    }
    return json.dumps(plain, indent=1).encode() + b"\n"


def _read(octets: bytes) -> State:
    plain: dict[str, Any] = json.loads(octets)
    revoked = tuple(
        Revoked(int(one["serial"], 16), datetime.fromisoformat(one["since"]), one["reason"])
        for one in plain["revoked"]
    )
    places = Places(tuple(plain["crl_urls"]), tuple(plain["ocsp_urls"]))
    return State(places, plain["crl_number"], revoked)
