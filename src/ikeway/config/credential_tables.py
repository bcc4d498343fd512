# SPDX-License-Identifier: Apache-2.0
"""The keys of `[credentials]`: who we are and whom we believe."""

from ikeway.config.parsed import written
from ikeway.config.terms import CertificateUrl, Duration, Id, Pattern, Table, Text, Wait


class Secret(Table):
    """A pre-shared key, a postquantum one (PPK) or a user's password for EAP.

    Of keys the most exact entry that fits both identities counts.
    """

    id: Pattern
    """Which peers share the key: an identity, or a pattern such as `*.example.com`. With a password
    the user's name, or our own: `carol`, `carol@example.com` or `CORP\\\\carol`; it has no case."""

    local: Pattern = written("*")
    """With which of our identities."""

    password: Text | None = None
    """The password of that user, written as `psk` is."""

    ppk: Text | None = None
    """A postquantum preshared key (RFC 8784), written as `psk` is, with the name `id`."""

    usim: Text | None = None
    """The USIM of that user, or ours: key and OPc (3GPP TS 35.206), 32 hex digits each with a colon
    between them; `file:` and `env:` as with `psk`."""

    psk: Text | None = None
    """`file:PATH`: the octets of that file, less one newline at the end. `env:NAME`: an environment
    variable as it is. Everything else is the secret itself, which draws a warning: `0x` and hex
    digits, `0s` and base64, or text as it is, in UTF-8. Nothing else is cut off or added."""


class RevocationTable(Table):
    """Where it is looked up whether a peer's certificate was revoked."""

    crls: list[Text] = []
    """Files with CRLs of our authorities; they are read again when they change."""

    fetch: bool = True
    """Ask the OCSP responders and fetch the CRLs that certificates name, over HTTP; only for
    certificates whose chain leads to an authority of ours."""

    recheck: Duration = written("10min")
    """How often the certificates of peers that are connected are looked up again."""

    timeout: Wait = written("5s")
    """How long an answer may take."""

    cache: Text | None = None
    """A folder in which CRLs that were fetched survive a restart."""


class OwnCertificate(Table):
    """One more certificate of ours, of which the one is shown that suits the peer."""

    certificate: Text
    """A file with it, in PEM or DER; behind it in the file its intermediates."""

    key: Text
    """Its private key, as `key` of `[credentials]`."""

    key_password: Text | None = None
    """As `key_password` of `[credentials]`."""

    url: CertificateUrl | None = None
    """Where peers can have this certificate, in DER. Those that say that they fetch get the URL and
    a hash instead of it (hash and URL)."""


class PublicKey(Table):
    """A peer's public key, which proves its identity without a certificate (RFC 7670)."""

    id: Id
    """Whose it is; it proves no other identity. A peer may have several."""

    key: Text
    """The file with it, in PEM or DER: a SubjectPublicKeyInfo, as `ikeway cert public` and
    `openssl pkey -pubout` write it."""


class CredentialsTable(Table):
    """Who we are and whom we believe. Paths are relative to the configuration file."""

    certificate: Text | None = None
    """A file with our certificate, in PEM or DER; behind it in the file its intermediates."""

    key: Text | None = None
    """The file with its private key, in PEM or DER: RSA, ECDSA, Ed25519, Ed448 or ML-DSA. Or a key
    in a token: `pkcs11:token=NAME;object=LABEL?module-path=/path/of/library.so` (RFC 7512). Without
    a certificate it is for connections with `local_auth = "pubkey"`."""

    key_password: Text | None = None
    """What the key's file is encrypted with, if it is, or the PIN of its token: as `psk`."""

    certificates: list[OwnCertificate] = []
    """`[[credentials.certificates]]`: more certificates of ours."""

    authorities: list[Text] = []
    """Files with the certificates, one or more each, that a peer's chain must lead to."""

    certificate_urls: list[CertificateUrl] = []
    """Where a peer may have its certificate instead of sending it (hash and URL): the beginnings of
    URLs, `http://certs.example.com/ike/`. Others are never fetched, and without any peers are told
    to send theirs."""

    public_keys: list[PublicKey] = []
    """`[[credentials.public_keys]]`: public keys of peers, for `peer_auth = ["pubkey"]`."""

    revocation: RevocationTable = RevocationTable()
    """`[credentials.revocation]`: how it is found out whether a certificate was revoked."""

    secrets: list[Secret] = []
    """`[[credentials.secrets]]`: pre-shared keys and passwords."""
