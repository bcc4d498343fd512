# SPDX-License-Identifier: Apache-2.0
"""Our own certificates and keys in a configuration, and whether they belong together."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from ikeway.config.credential_tables import CredentialsTable
from ikeway.config.positions import KeyPath
from ikeway.config.secrets import Sources
from ikeway.crypto.certificate import Certificate, load_certificates
from ikeway.crypto.keypair import PrivateKey
from ikeway.model.errors import AuthenticationError, ConfigError
from ikeway.policy.credentials import LocalCertificate, LocalKey
from ikeway.policy.token_key import SCHEME, TokenKey

_AT: Final = ("credentials",)
_SOON: Final = timedelta(days=14)
_PAYLOAD_OCTETS: Final = 5
_CHAIN_OCTETS_MOST: Final = 60_000
"""What a message has room for beside all else (RFC 7296 §3.1: payloads end below 64 KiB)."""


@dataclass(frozen=True, slots=True)
class OwnKeys:
    """Our certificates, our keys that count without one, and the private keys by their names."""

    certificates: tuple[LocalCertificate, ...] = ()
    keys: tuple[LocalKey, ...] = ()
    private: dict[str, PrivateKey | TokenKey] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Entry:
    """What is named in one place of the file."""

    path: KeyPath
    certificate: str | None
    key: str
    password: str | None
    url: str = ""

    def at(self, name: str) -> KeyPath:
        return (*self.path, name)


def own_keys(table: CredentialsTable, sources: Sources) -> OwnKeys:
    """Return what is ours. What is wrong goes to the findings; what is returned then is not whole.

    A key without a certificate is for connections that prove us by the key alone.
    """
    found = OwnKeys()
    for entry in _entries(table, sources):
        one = _one(entry, sources)
        found = OwnKeys(
            found.certificates + one.certificates,
            found.keys + tuple(each for each in one.keys if each.key not in found.private),
            found.private | one.private,
        )
    return found


def _entries(table: CredentialsTable, sources: Sources) -> Iterator[_Entry]:
    """Return what the file names, in the order in which it counts."""
    if table.key is not None:
        yield _Entry(_AT, table.certificate, table.key, table.key_password)
    elif table.certificate is not None:
        words = "a certificate without key; set credentials.key"
        sources.findings.error((*_AT, "certificate"), words)
    for index, one in enumerate(table.certificates):
        path = (*_AT, "certificates", index)
        yield _Entry(path, one.certificate, one.key, one.key_password, one.url or "")


def _one(entry: _Entry, sources: Sources) -> OwnKeys:
    chain = _chain(entry.certificate, entry, sources) if entry.certificate else ()
    key = _key(entry, sources)
    if key is None or (entry.certificate and not chain):
        return OwnKeys()
    with sources.findings.at(entry.at("key")):
        if chain:
            return _certified(chain, key, entry)
        if isinstance(key, TokenKey):
            raise ConfigError("a key in a token without its certificate; set it beside the key")
        return OwnKeys((), (LocalKey(key.public, entry.key),), {entry.key: key})
    return OwnKeys()


def _certified(
    chain: tuple[Certificate, ...], key: PrivateKey | TokenKey, entry: _Entry
) -> OwnKeys:
    own = LocalCertificate(chain, entry.key, entry.url)
    try:
        public = own.public
    except AuthenticationError as error:
        raise ConfigError(f"{entry.certificate!r}: {error.reason}") from error
    # A token is asked when the daemon starts.
    if isinstance(key, PrivateKey) and public.der != key.public.der:
        raise ConfigError(
            f"{entry.key!r} is not the private key of {own.leaf.subject}, the first certificate in"
            f" {entry.certificate!r}"
        )
    return OwnKeys((own,), (LocalKey(public, entry.key),), {entry.key: key})


def _chain(file: str, entry: _Entry, sources: Sources) -> tuple[Certificate, ...]:
    path = entry.at("certificate")
    with sources.findings.at(path):
        chain = load_certificates(sources.read(file, path))
        check_dates(chain, path, sources)
        _check_size(chain)
        return chain
    return ()


def _key(entry: _Entry, sources: Sources) -> PrivateKey | TokenKey | None:
    at_password, at_key = entry.at("key_password"), entry.at("key")
    with sources.findings.at(at_password):
        secret = sources.secret(entry.password, at_password) if entry.password else None
        with sources.findings.at(at_key):
            if entry.key.startswith(SCHEME):
                return TokenKey.parse(entry.key, secret)
            return PrivateKey.load(sources.read(entry.key, at_key, is_secret=True), secret)
    return None


def _check_size(chain: tuple[Certificate, ...]) -> None:
    octets = sum(len(certificate.der) + _PAYLOAD_OCTETS for certificate in chain)
    if octets > _CHAIN_OCTETS_MOST:
        raise ConfigError(
            f"{len(chain)} certificates of {octets} octets in all, more than"
            f" {_CHAIN_OCTETS_MOST}; leave those that our own chain does not need"
        )


def check_dates(chain: tuple[Certificate, ...], path: KeyPath, sources: Sources) -> None:
    """Warn of certificates that are not valid now, or not for long."""
    now = datetime.now(UTC)
    for certificate in chain:
        if certificate.not_after < now:
            words = f"expired on {certificate.not_after:%Y-%m-%d}; peers will refuse it"
        elif certificate.not_before > now:
            words = f"is not valid before {certificate.not_before:%Y-%m-%d %H:%M} UTC"
        elif certificate.not_after < now + _SOON:
            words = f"expires on {certificate.not_after:%Y-%m-%d}"
        else:
            continue
        sources.findings.warn(path, f"the certificate of {certificate.subject} {words}")
