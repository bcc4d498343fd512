# SPDX-License-Identifier: Apache-2.0
"""Who we are and whom we believe. Private keys stay outside the core: it knows them by name."""

import re
from dataclasses import dataclass
from functools import cache, lru_cache

from typing_extensions import override

from ikeway.crypto.certificate import Certificate, distinguished_name, names_equal
from ikeway.crypto.keypair import PublicKey
from ikeway.crypto.milenage import Usim
from ikeway.model.errors import ConfigError
from ikeway.model.identity import Identity, IdType
from ikeway.model.secret import Secret


@dataclass(frozen=True, slots=True)
class IdPattern:
    """Which identities a peer may have: one exactly, or names with wildcards.

    `*` is everybody. `*.example.com` and `*@example.com` match names (ID_FQDN, ID_RFC822_ADDR),
    without regard to case; no other character has a meaning of its own.
    """

    text: str

    @property
    def exact(self) -> Identity | None:
        """Return the one identity that matches, or None for a wildcard."""
        return None if "*" in self.text else parse_identity(self.text)

    @property
    def rank(self) -> tuple[bool, int]:
        """How exact the pattern is, smaller being more so: for the choice among several."""
        return "*" in self.text, -len(self.text)

    def matches(self, identity: Identity) -> bool:
        """Whether `identity` is one of these."""
        if self.text == "*":
            return True
        exact = self.exact
        if exact is None:
            is_name = identity.type in {IdType.FQDN, IdType.RFC822_ADDR}
            return is_name and _wildcard(self.text).fullmatch(str(identity)) is not None
        return identities_equal(exact, identity)

    @override
    def __str__(self) -> str:
        return self.text


@cache
def _wildcard(text: str) -> re.Pattern[str]:
    return re.compile(
        ".*".join(map(re.escape, text.split("*"))), re.ASCII | re.IGNORECASE | re.DOTALL
    )


@lru_cache(maxsize=1024)
def parse_identity(text: str) -> Identity:
    """Return the identity that an operator means by `text`; `C=..., CN=...` is a DN.

    Raises:
        ConfigError: `text` is no identity.
    """
    try:
        is_name = "=" in text and not text.startswith("@#")
        return distinguished_name(text) if is_name else Identity.parse(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is not an identity: {error}") from error


def identities_equal(one: Identity, two: Identity) -> bool:
    """Whether two identities are the same; names without regard to case, DNs by X.500 rules."""
    if one.type is not two.type:
        return False
    if one.type is IdType.DER_ASN1_DN:
        return names_equal(one.data, two.data)
    if one.type in {IdType.FQDN, IdType.RFC822_ADDR}:
        return one.data.lower() == two.data.lower()
    return one.data == two.data


@dataclass(frozen=True, slots=True)
class PreSharedKey:
    """A secret shared with the peers of a pattern; `local` narrows it to identities of ours."""

    peer: IdPattern
    secret: Secret
    local: IdPattern = IdPattern("*")


@dataclass(frozen=True, slots=True)
class LocalCertificate:
    """Our certificate, the intermediates that go with it, and the name of its private key.

    At `url`, if there is one, peers can have the certificate itself (RFC 7296 §3.6).
    """

    chain: tuple[Certificate, ...]
    key: str
    url: str = ""

    @property
    def leaf(self) -> Certificate:
        """The certificate with our identity."""
        return self.chain[0]

    @property
    def public(self) -> PublicKey:
        """The public key that its private key belongs to."""
        return self.leaf.public_key


@dataclass(frozen=True, slots=True)
class LocalKey:
    """A public key of ours without a certificate, and the name of its private key (RFC 7670)."""

    public: PublicKey
    key: str


@dataclass(frozen=True, slots=True)
class PeerKey:
    """A public key that proves one identity, because the operator says so (RFC 7670 §4)."""

    peer: Identity
    public: PublicKey


@dataclass(frozen=True, slots=True)
class Account:
    """A user of EAP, whom a password or a USIM proves; also ourselves."""

    name: str
    password: Secret
    usim: Usim | None = None


@dataclass(frozen=True, slots=True)
class Ppk:
    """A postquantum preshared key and its name, the same on both sides (RFC 8784 §5.1)."""

    name: bytes
    secret: Secret


@dataclass(frozen=True, slots=True)
class Credentials:
    """Everything that proves an identity, ours or a peer's.

    `certificates` are ours and `keys` those of ours that count without one; `public_keys` are the
    peers'. `certificate_urls` begin those at which a peer may have its certificate (RFC 7296 §3.6).
    """

    certificates: tuple[LocalCertificate, ...] = ()
    authorities: tuple[Certificate, ...] = ()
    secrets: tuple[PreSharedKey, ...] = ()
    certificate_urls: tuple[str, ...] = ()
    accounts: tuple[Account, ...] = ()
    ppks: tuple[Ppk, ...] = ()
    keys: tuple[LocalKey, ...] = ()
    public_keys: tuple[PeerKey, ...] = ()

    def keys_of(self, peer: Identity) -> tuple[PublicKey, ...]:
        """Return the public keys that prove this identity."""
        return tuple(
            entry.public for entry in self.public_keys if identities_equal(entry.peer, peer)
        )

    def ppk(self, name: bytes) -> Secret | None:
        """Return the postquantum preshared key of that name."""
        return next((entry.secret for entry in self.ppks if entry.name == name), None)

    def psk(self, local: Identity, peer: Identity) -> Secret | None:
        """Return the secret for this pair of identities, the most exact entry first."""
        fitting = [
            entry
            for entry in self.secrets
            if entry.peer.matches(peer) and entry.local.matches(local)
        ]
        fitting.sort(key=lambda entry: (entry.peer.rank, entry.local.rank))
        return fitting[0].secret if fitting else None
