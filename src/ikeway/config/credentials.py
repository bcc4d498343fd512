# SPDX-License-Identifier: Apache-2.0
"""What proves identities in a configuration: our keys, authorities, secrets, peers' public keys."""

import re
from typing import Final

from ikeway.config.credential_tables import CredentialsTable, RevocationTable
from ikeway.config.own_keys import check_dates, own_keys
from ikeway.config.secrets import ADVICE, SHORT_OCTETS, Sources
from ikeway.crypto.certificate import Certificate, load_certificates
from ikeway.crypto.crl import Crl
from ikeway.crypto.keypair import PrivateKey, PublicKey
from ikeway.crypto.milenage import Usim
from ikeway.model.errors import AuthenticationError, ConfigError
from ikeway.model.secret import Secret
from ikeway.policy.credentials import Account, Credentials, PeerKey, Ppk, PreSharedKey
from ikeway.policy.revocation import StatusSources
from ikeway.policy.token_key import TokenKey

_AT: Final = ("credentials",)
_TO_STORE: Final = (
    'keep it in the store, hashed and sealed (`ikeway user import`), or in a file ("file:PATH")'
)
_USIM: Final = re.compile(r"([0-9A-Fa-f]{32}):([0-9A-Fa-f]{32})")
PPK_OCTETS: Final = 32
"""RFC 8784 §6: 256 bits of entropy, for 128 bits of security against a quantum computer."""


def build_credentials(
    table: CredentialsTable, sources: Sources
) -> tuple[Credentials, dict[str, PrivateKey | TokenKey]]:
    """Return the credentials, and the private keys by the names that they have in them.

    What is wrong goes to the findings; what is returned then is not whole.
    """
    own = own_keys(table, sources)
    credentials = Credentials(
        certificates=own.certificates,
        authorities=_authorities(table, sources),
        secrets=_secrets(table, sources),
        certificate_urls=tuple(table.certificate_urls),
        accounts=_accounts(table, sources),
        ppks=_ppks(table, sources),
        keys=own.keys,
        public_keys=_public_keys(table, sources),
    )
    return credentials, own.private


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


def _authorities(table: CredentialsTable, sources: Sources) -> tuple[Certificate, ...]:
    found: dict[Certificate, None] = {}
    for index, name in enumerate(table.authorities):
        path = (*_AT, "authorities", index)
        with sources.findings.at(path):
            certificates = load_certificates(sources.read(name, path))
            check_dates(certificates, path, sources)
            found.update(dict.fromkeys(certificates))
    return tuple(found)


def _public_keys(table: CredentialsTable, sources: Sources) -> tuple[PeerKey, ...]:
    found = []
    for index, entry in enumerate(table.public_keys):
        path = (*_AT, "public_keys", index, "key")
        with sources.findings.at(path):
            try:
                found.append(PeerKey(entry.id, PublicKey.load(sources.read(entry.key, path))))
            except AuthenticationError as error:
                raise ConfigError(f"{entry.key!r}: {error.reason}") from error
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
            advice = _TO_STORE if entry.password else ADVICE
            secret = sources.secret(entry.password or entry.usim or "", path, advice)
            usim = _usim(secret) if entry.usim else None
            found[name.lower()] = Account(name, secret, usim)
    return tuple(found.values())


def _usim(secret: Secret) -> Usim:
    digits = _USIM.fullmatch(secret.octets.decode("ascii", "replace").strip())
    if digits is None:
        raise ConfigError("a USIM is a key and OPc, 32 hex digits each with a colon between them")
    return Usim(*(Secret(bytes.fromhex(part)) for part in digits.groups()))
