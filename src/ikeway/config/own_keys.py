# SPDX-License-Identifier: Apache-2.0
"""Our own certificates and keys in a configuration, and whether they belong together."""

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


def own_keys(table: CredentialsTable, sources: Sources) -> OwnKeys:
    """Return what is ours. What is wrong goes to the findings; what is returned then is not whole.

    A key without a certificate is for connections that prove us by the key alone.
    """
    if table.key is None:
        if table.certificate is not None:
            words = "a certificate without key; set credentials.key"
            sources.findings.error((*_AT, "certificate"), words)
        return OwnKeys()
    chain = _chain(table.certificate, sources) if table.certificate else ()
    key = _key(table.key, table.key_password, sources)
    if key is None or (table.certificate and not chain):
        return OwnKeys()
    with sources.findings.at((*_AT, "key")):
        if chain:
            return _certified(chain, key, table.key, table.certificate or "")
        if isinstance(key, TokenKey):
            raise ConfigError("a key in a token without its certificate; set it beside the key")
        return OwnKeys((), (LocalKey(key.public, table.key),), {table.key: key})
    return OwnKeys()


def _certified(
    chain: tuple[Certificate, ...], key: PrivateKey | TokenKey, name: str, file: str
) -> OwnKeys:
    own = LocalCertificate(chain, name)
    try:
        public = own.public
    except AuthenticationError as error:
        raise ConfigError(f"{file!r}: {error.reason}") from error
    # A token is asked when the daemon starts.
    if isinstance(key, PrivateKey) and public.der != key.public.der:
        raise ConfigError(
            f"{name!r} is not the private key of {own.leaf.subject}, the first certificate in"
            f" {file!r}"
        )
    return OwnKeys((own,), (LocalKey(public, name),), {name: key})


def _chain(file: str, sources: Sources) -> tuple[Certificate, ...]:
    path = (*_AT, "certificate")
    with sources.findings.at(path):
        chain = load_certificates(sources.read(file, path))
        check_dates(chain, path, sources)
        _check_size(chain)
        return chain
    return ()


def _key(name: str, password: str | None, sources: Sources) -> PrivateKey | TokenKey | None:
    with sources.findings.at((*_AT, "key_password")):
        secret = sources.secret(password, (*_AT, "key_password")) if password else None
        with sources.findings.at((*_AT, "key")):
            if name.startswith(SCHEME):
                return TokenKey.parse(name, secret)
            return PrivateKey.load(sources.read(name, (*_AT, "key"), is_secret=True), secret)
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
