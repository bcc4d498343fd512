# SPDX-License-Identifier: Apache-2.0
"""Our certificate with its key, the authorities and the pre-shared keys of a configuration."""

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from ikeway.config.credential_tables import CredentialsTable, RevocationTable
from ikeway.config.positions import KeyPath
from ikeway.config.secrets import SHORT_OCTETS, Sources
from ikeway.crypto.certificate import Certificate, load_certificates
from ikeway.crypto.crl import Crl
from ikeway.crypto.keypair import PrivateKey
from ikeway.crypto.milenage import Usim
from ikeway.model.errors import AuthenticationError, ConfigError
from ikeway.model.secret import Secret
from ikeway.policy.credentials import Account, Credentials, LocalCertificate, Ppk, PreSharedKey
from ikeway.policy.revocation import StatusSources
from ikeway.policy.token_key import SCHEME, TokenKey

_AT: Final = ("credentials",)
_USIM: Final = re.compile(r"([0-9A-Fa-f]{32}):([0-9A-Fa-f]{32})")
_SOON: Final = timedelta(days=14)
_PAYLOAD_OCTETS: Final = 5
PPK_OCTETS: Final = 32
"""RFC 8784 §6: 256 bits of entropy, for 128 bits of security against a quantum computer."""
_CHAIN_OCTETS_MOST: Final = 60_000
"""What a message has room for beside all else (RFC 7296 §3.1: payloads end below 64 KiB)."""


def build_credentials(
    table: CredentialsTable, sources: Sources
) -> tuple[Credentials, dict[str, PrivateKey | TokenKey]]:
    """Return the credentials, and the private keys by the names that they have in them.

    What is wrong goes to the findings; what is returned then is not whole.
    """
    ours, keys = _ours(table, sources)
    credentials = Credentials(
        certificates=ours,
        authorities=_authorities(table, sources),
        secrets=_secrets(table, sources),
        certificate_urls=tuple(table.certificate_urls),
        accounts=_accounts(table, sources),
        ppks=_ppks(table, sources),
    )
    return credentials, keys


def build_sources(table: RevocationTable, sources: Sources) -> StatusSources:
    """Return where the status of certificates is looked up; a file that is no CRL is an error."""
    crls = []
    for index, name in enumerate(table.crls):
        path = (*_AT, "revocation", "crls", index)
        with sources.findings.at(path):
            _check_crl(sources.read(name, path))
            crls.append(sources.folder / name)
    return StatusSources(
        crls=tuple(crls),
        fetch=table.fetch,
        recheck=table.recheck,
        timeout=table.timeout,
        cache=sources.folder / table.cache if table.cache else None,
    )


def _check_crl(octets: bytes) -> None:
    try:
        Crl.of(octets)
    except AuthenticationError as error:
        raise ConfigError(error.reason) from error


def _ours(
    table: CredentialsTable, sources: Sources
) -> tuple[tuple[LocalCertificate, ...], dict[str, PrivateKey | TokenKey]]:
    findings = sources.findings
    if table.certificate is None or table.key is None:
        if table.certificate is not None or table.key is not None:
            there, missing = ("certificate", "key") if table.certificate else ("key", "certificate")
            findings.error((*_AT, there), f"a {there} without {missing}; set credentials.{missing}")
        return (), {}
    chain: tuple[Certificate, ...] = ()
    with findings.at((*_AT, "certificate")):
        chain = load_certificates(sources.read(table.certificate, (*_AT, "certificate")))
        _check_dates(chain, (*_AT, "certificate"), sources)
        _check_size(chain)
    key = _key(table.key, table.key_password, sources)
    if not chain or key is None:
        return (), {}
    if isinstance(key, PrivateKey):  # a token is asked when the daemon starts
        with findings.at((*_AT, "key")):
            _check_pair(chain[0], key, table)
    return (LocalCertificate(chain, table.key),), {table.key: key}


def _key(name: str, password: str | None, sources: Sources) -> PrivateKey | TokenKey | None:
    with sources.findings.at((*_AT, "key_password")):
        secret = sources.secret(password, (*_AT, "key_password")) if password else None
        with sources.findings.at((*_AT, "key")):
            if name.startswith(SCHEME):
                return TokenKey.parse(name, secret)
            return PrivateKey.load(sources.read(name, (*_AT, "key"), is_secret=True), secret)
    return None


def _check_pair(leaf: Certificate, key: PrivateKey, table: CredentialsTable) -> None:
    try:
        belongs = leaf.public_key.der == key.public.der
    except AuthenticationError as error:
        raise ConfigError(f"{table.certificate!r}: {error.reason}") from error
    if not belongs:
        raise ConfigError(
            f"{table.key!r} is not the private key of {leaf.subject}, the first certificate in"
            f" {table.certificate!r}"
        )


def _check_size(chain: tuple[Certificate, ...]) -> None:
    octets = sum(len(certificate.der) + _PAYLOAD_OCTETS for certificate in chain)
    if octets > _CHAIN_OCTETS_MOST:
        raise ConfigError(
            f"{len(chain)} certificates of {octets} octets in all, more than"
            f" {_CHAIN_OCTETS_MOST}; leave those that our own chain does not need"
        )


def _check_dates(chain: tuple[Certificate, ...], path: KeyPath, sources: Sources) -> None:
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


def _authorities(table: CredentialsTable, sources: Sources) -> tuple[Certificate, ...]:
    found: dict[Certificate, None] = {}
    for index, name in enumerate(table.authorities):
        path = (*_AT, "authorities", index)
        with sources.findings.at(path):
            certificates = load_certificates(sources.read(name, path))
            _check_dates(certificates, path, sources)
            found.update(dict.fromkeys(certificates))
    return tuple(found)


def _secrets(table: CredentialsTable, sources: Sources) -> tuple[PreSharedKey, ...]:
    found = []
    seen: set[tuple[str, str]] = set()
    for index, entry in enumerate(table.secrets):
        if entry.psk is None:
            continue
        path = (*_AT, "secrets", index, "psk")
        with sources.findings.at(path):
            secret = sources.secret(entry.psk, path)
            found.append(PreSharedKey(entry.id, secret, entry.local))
            if len(secret) < SHORT_OCTETS:
                sources.findings.warn(
                    path, f"a secret of {len(secret)} octets can be guessed; use 32 random ones"
                )
        pair = (entry.id.text, entry.local.text)
        if pair in seen:
            sources.findings.error(
                (*_AT, "secrets", index), f"a second secret for {entry.id}; remove one of them"
            )
        seen.add(pair)
    return tuple(found)


def _ppks(table: CredentialsTable, sources: Sources) -> tuple[Ppk, ...]:
    found: dict[bytes, Ppk] = {}
    for index, entry in enumerate(table.secrets):
        if entry.ppk is None:
            continue
        where = (*_AT, "secrets", index)
        name = entry.id.text.encode()
        if name in found:
            sources.findings.error(where, f"a second ppk with the id {entry.id}")
        with sources.findings.at((*where, "ppk")):
            secret = sources.secret(entry.ppk, (*where, "ppk"))
            found[name] = Ppk(name, secret)
            if len(secret) < PPK_OCTETS:
                sources.findings.warn(
                    (*where, "ppk"),
                    f"a ppk of {len(secret)} octets; a quantum computer asks for {PPK_OCTETS}",
                )
    return tuple(found.values())


def _accounts(table: CredentialsTable, sources: Sources) -> tuple[Account, ...]:
    """Return the users. Names have no case, so two that differ by it only are one."""
    found: dict[str, Account] = {}
    for index, entry in enumerate(table.secrets):
        where = (*_AT, "secrets", index)
        given = entry.psk, entry.password, entry.usim, entry.ppk
        if sum(one is not None for one in given) != 1:
            sources.findings.error(where, "one of psk, ppk, password and usim has to be there")
        if entry.password is None and entry.usim is None:
            continue
        name = entry.id.text
        if "*" in name:
            sources.findings.error((*where, "id"), "a password is for one user, not for a pattern")
        if name.lower() in found:
            sources.findings.error(where, f"a second password for {name}; remove one of them")
        path = (*where, "password" if entry.password else "usim")
        with sources.findings.at(path):
            secret = sources.secret(entry.password or entry.usim or "", path)
            usim = _usim(secret) if entry.usim else None
            found[name.lower()] = Account(name, secret, usim)
    return tuple(found.values())


def _usim(secret: Secret) -> Usim:
    digits = _USIM.fullmatch(secret.octets.decode("ascii", "replace").strip())
    if digits is None:
        raise ConfigError("a USIM is a key and OPc, 32 hex digits each with a colon between them")
    return Usim(*(Secret(bytes.fromhex(part)) for part in digits.groups()))
