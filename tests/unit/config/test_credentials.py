# SPDX-License-Identifier: Apache-2.0
"""Secrets come out octet for octet; certificates, keys and authorities fit together."""

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from ikeway.config.findings import InvalidConfigError
from ikeway.config.load import load
from ikeway.crypto.authority import issue, pem
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import PublicKey, generate_key
from ikeway.crypto.revoking import make_crl
from ikeway.model.identity import Identity
from ikeway.policy.revocation import Revocation
from support.configured import CERTIFICATE, PSK, authority, errors, loaded, secret, server, write

LONG = "correct horse battery staple, correct horse battery staple, and again: 64+"


def psk_of(folder: Path, value: str) -> bytes:
    found = loaded(folder, PSK.replace('"file:site.psk"', value))
    return found.credentials.secrets[0].secret.octets


@pytest.mark.conformance("CF-I02")
@pytest.mark.parametrize(
    ("value", "octets"),
    [
        (f'"{LONG}"', LONG.encode()),
        ('"  white space stays  "', b"  white space stays  "),
        ('"ends with a newline\\n"', b"ends with a newline\n"),
        ('"naïve Grüße, in UTF-8"', "naïve Grüße, in UTF-8".encode()),
        ('"0x00112233445566778899aabbccddeeff"', bytes(17 * n for n in range(16))),
        ('"0X' + "5a" * 64 + '"', b"Z" * 64),
        ('"0sAAECAwQFBgcICQoLDA0ODw=="', bytes(range(16))),
    ],
)
def test_a_literal_secret_is_text_hex_or_base64_and_nothing_is_added(
    tmp_path: Path, value: str, octets: bytes
) -> None:
    assert psk_of(tmp_path, value) == octets


@pytest.mark.conformance("CF-I02")
@pytest.mark.parametrize(
    ("content", "octets"),
    [
        (b"a secret\n", b"a secret"),
        (b"a secret\r\n", b"a secret"),
        (b"a secret\n\n", b"a secret\n"),
        (b" a secret \t", b" a secret \t"),
        (b"a secret\r", b"a secret\r"),
        (b"0x1234", b"0x1234"),
        (b"\x00\xff\n\x80", b"\x00\xff\n\x80"),
        (LONG.encode() + b"\n", LONG.encode()),
    ],
)
def test_of_a_file_one_newline_is_dropped_and_nothing_else(
    tmp_path: Path, content: bytes, octets: bytes
) -> None:
    file = write(tmp_path, PSK)
    (tmp_path / "site.psk").write_bytes(content)
    assert load(file).credentials.secrets[0].secret.octets == octets


def test_a_secret_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SITE_PSK", " from the environment \n")
    assert psk_of(tmp_path, '"env:SITE_PSK"') == b" from the environment \n"


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ('"file:none.psk"', "cannot read 'none.psk'"),
        ('"file:."', "cannot read '.'"),
        ('"file:/dev/zero"', "is not a file"),
        ('"file:a\\u0000b"', "cannot read"),
        ('"env:NO_SUCH_VARIABLE"', "no environment variable 'NO_SUCH_VARIABLE'"),
        ('"0x123"', "what follows 0x is not hex digits"),
        ('"0s!"', "what follows 0s is not base64"),
        ('"0x"', "the secret is empty"),
        ('""', "the string is empty"),
    ],
)
def test_a_secret_that_is_not_there_is_refused_with_its_line(
    tmp_path: Path, value: str, words: str
) -> None:
    (found,) = errors(tmp_path, PSK.replace('"file:site.psk"', value))
    assert found.startswith("6: credentials.secrets[0].psk: ")
    assert words in found


def test_no_error_or_warning_shows_a_secret(tmp_path: Path) -> None:
    text = PSK.replace('"file:site.psk"', '"hunter2"')
    assert "hunter2" not in "".join(loaded(tmp_path, text).warnings)
    for value in ('"0xhunter2"', '["hunter2"]', "{ x = 'hunter2' }", "'0shunter2!'"):
        (found,) = errors(tmp_path, PSK.replace('"file:site.psk"', value))
        assert "hunter2" not in found
    (found,) = errors(tmp_path, '[credentials]\nsecrets = ["hunter2"]')
    assert found == "2: credentials.secrets[0]: what stands here is not a table"


def test_a_secret_in_the_configuration_and_a_short_one_are_warned_about(tmp_path: Path) -> None:
    literal, short = loaded(tmp_path, PSK.replace('"file:site.psk"', '"hunter2"')).warnings
    assert "the secret itself stands in this file" in literal
    assert "a secret of 7 octets can be guessed" in short


@pytest.mark.parametrize("name", ["site.psk", "server.key"])
def test_a_secret_file_that_others_can_use_is_warned_about(tmp_path: Path, name: str) -> None:
    file = write(tmp_path, PSK if name == "site.psk" else CERTIFICATE)
    (tmp_path / name).chmod(0o644)
    (warning,) = load(file).warnings
    assert f"others can use {tmp_path / name} (mode 0644); chmod 600" in warning


def test_a_named_pipe_is_no_secret_file_and_holds_nothing_up(tmp_path: Path) -> None:
    file = write(tmp_path, PSK)
    (tmp_path / "site.psk").unlink()
    os.mkfifo(tmp_path / "site.psk")
    with pytest.raises(InvalidConfigError, match="is not a file"):
        load(file)


def test_two_secrets_for_the_same_pair_are_refused(tmp_path: Path) -> None:
    again = '[[credentials.secrets]]\nid = "b.example.com"\npsk = "file:site.psk"\n'
    (found,) = errors(tmp_path, PSK + again)
    assert "credentials.secrets[1]: a second secret for b.example.com" in found


def test_the_certificate_comes_with_its_chain_and_key(tmp_path: Path) -> None:
    file = write(tmp_path, CERTIFICATE)
    leaf, key = server()
    (tmp_path / "server.crt").write_bytes(pem(leaf, authority().certificate))
    found = load(file)
    (own,) = found.credentials.certificates
    assert own.chain == (leaf, authority().certificate)
    assert found.private_keys[own.key].public == key.public
    assert found.credentials.authorities == (authority().certificate,)


def test_an_encrypted_key_needs_its_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_PASSWORD", "open sesame")
    file = write(tmp_path, CERTIFICATE, password=b"open sesame")
    with pytest.raises(InvalidConfigError, match="no private key that we can use"):
        load(file)
    opened = CERTIFICATE.replace("key =", 'key_password = "env:KEY_PASSWORD"\nkey =')
    file.write_text(opened)
    assert len(load(file).private_keys) == 1
    monkeypatch.setenv("KEY_PASSWORD", "wrong")
    with pytest.raises(InvalidConfigError, match=r"credentials\.key: no private key"):
        load(file)


def test_a_key_of_another_certificate_is_refused(tmp_path: Path) -> None:
    file = write(tmp_path, CERTIFICATE)
    secret(tmp_path / "server.key", generate_key(KeyAlgorithm.ED25519).pem())
    with pytest.raises(InvalidConfigError, match=r"'server.key' is not the private key of CN=vpn"):
        load(file)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("server.crt", "credentials.certificate: certificate file:"),
        ("server.key", "credentials.key: no private key"),
        ("ca.crt", "credentials.authorities[0]: certificate file:"),
    ],
)
def test_a_file_that_holds_something_else_is_refused(tmp_path: Path, name: str, words: str) -> None:
    file = write(tmp_path, CERTIFICATE)
    (tmp_path / name).write_bytes(b"-----BEGIN NONSENSE-----\n")
    with pytest.raises(InvalidConfigError) as caught:
        load(file)
    assert words in str(caught.value)


def test_a_certificate_without_key_and_a_key_without_certificate_are_refused(
    tmp_path: Path,
) -> None:
    found = errors(tmp_path, CERTIFICATE.replace('key = "server.key"\n', ""))[0]
    assert "a certificate without key" in found
    text = CERTIFICATE.replace('certificate = "server.crt"\n', "") + 'local_id = "x"'
    (found,) = errors(tmp_path, text)
    assert "we have no certificate; set certificate and key" in found


SEVERAL = (
    CERTIFICATE
    + """
[[credentials.certificates]]
certificate = "more.crt"
key = "more.key"
url = "http://certs.example.com/more.der"
"""
)


def add_another(folder: Path, name: str = "vpn.example.com") -> Certificate:
    key = generate_key(KeyAlgorithm.ECDSA_256)
    names = [Identity.parse(name)]
    made = issue(authority(), key.public, names, "server", datetime.now(UTC), 90)
    (folder / "more.crt").write_bytes(pem(made))
    secret(folder / "more.key", key.pem())
    return made


def test_we_may_have_several_certificates(tmp_path: Path) -> None:
    made = add_another(tmp_path)
    found = loaded(tmp_path, SEVERAL)
    first, second = found.credentials.certificates
    assert (first.url, second.url) == ("", "http://certs.example.com/more.der")
    assert second.leaf == made
    assert found.private_keys[second.key].public.der == made.public_key.der
    assert found.private_keys[first.key].public.der == first.public.der
    assert [own.key for own in found.credentials.keys] == [first.key, second.key]
    assert not found.warnings


def test_a_list_alone_will_do(tmp_path: Path) -> None:
    add_another(tmp_path)
    text = SEVERAL.replace('certificate = "server.crt"\nkey = "server.key"\n', "")
    (own,) = loaded(tmp_path, text).credentials.certificates
    assert own.key == "more.key"


def test_one_certificate_for_our_identity_is_enough(tmp_path: Path) -> None:
    add_another(tmp_path, "other.example.com")
    assert not loaded(tmp_path, SEVERAL).warnings
    (warning,) = loaded(tmp_path, SEVERAL + '[host]\nidentity = "x.example"\n').warnings
    assert "it is for: vpn.example.com, 192.0.2.1, other.example.com" in warning


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('"more.key"', '"server.key"', "credentials.certificates[0].key: 'server.key' is not"),
        ('"more.crt"', '"none.crt"', "credentials.certificates[0].certificate: cannot read"),
        ('key = "more.key"\n', "", "credentials.certificates[0].key"),
        ("http://certs", "https://certs", "is not http://HOST/PATH"),
    ],
)
def test_each_of_several_has_to_be_whole(tmp_path: Path, old: str, new: str, words: str) -> None:
    add_another(tmp_path)
    assert words in errors(tmp_path, SEVERAL.replace(old, new))[0]


PUBKEY = """
[credentials]
key = "server.key"
[[credentials.public_keys]]
id = "b.example.com"
key = "b.pub"
[connections.b]
peer = "203.0.113.7"
local_id = "a.example.com"
local_auth = "pubkey"
peer_auth = ["pubkey"]
peer_id = "b.example.com"
"""


@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_public_keys_need_no_certificates(tmp_path: Path, form: str) -> None:
    """RFC 7670: ours is that of the private key, the peer's is in a file."""
    _, key = server()
    peer = generate_key(KeyAlgorithm.ECDSA_256).public
    (tmp_path / "b.pub").write_bytes(peer.pem() if form == "PEM" else peer.der)
    found = loaded(tmp_path, PUBKEY)
    (own,) = found.credentials.keys
    assert own.public.der == key.public.der
    assert found.private_keys[own.key].public.der == key.public.der
    assert [each.der for each in found.credentials.keys_of(Identity.parse("b.example.com"))] == [
        peer.der
    ]
    assert not found.credentials.keys_of(Identity.parse("c.example.com"))
    assert not found.credentials.certificates


def test_the_key_of_our_certificate_may_prove_us_without_it(tmp_path: Path) -> None:
    found = loaded(tmp_path, CERTIFICATE)
    (own,) = found.credentials.keys
    assert own.public.der == server()[0].public_key.der


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('key = "server.key"', "", "we have no key; set key in [credentials]"),
        ('key = "b.pub"', 'key = "none.pub"', "cannot read 'none.pub'"),
        ('key = "b.pub"', 'key = "ca.crt"', "no public key that we can use"),
        (
            'id = "b.example.com"\nkey',
            'id = "c.example.com"\nkey',
            "no public key for b.example.com",
        ),
        ('id = "b.example.com"', 'id = ""', "credentials.public_keys[0].id"),
        (
            '"server.key"',
            '"pkcs11:token=a;object=b?module-path=/x.so"',
            "a key in a token without its certificate",
        ),
    ],
)
def test_a_public_key_that_is_missing_or_none_is_refused(
    tmp_path: Path, old: str, new: str, words: str
) -> None:
    (tmp_path / "b.pub").write_bytes(generate_key(KeyAlgorithm.ECDSA_256).public.pem())
    assert words in errors(tmp_path, PUBKEY.replace(old, new))[0]


def test_a_weak_public_key_is_refused(tmp_path: Path) -> None:
    """RSA with the exponent 1 verifies everything."""
    numbers = rsa.RSAPublicNumbers(3, (1 << 2047) + 1)
    handle = numbers.public_key()
    (tmp_path / "b.pub").write_bytes(PublicKey(KeyAlgorithm.RSA, handle).pem())
    (found,) = errors(tmp_path, PUBKEY)
    assert "an RSA key with the public exponent 3" in found


@pytest.mark.parametrize(
    ("age", "days", "words"),
    [(30, 10, "expired on"), (-30, 10, "is not valid before"), (0, 3, "expires on")],
)
def test_a_certificate_out_of_its_time_is_warned_about(
    tmp_path: Path, age: int, days: int, words: str
) -> None:
    file = write(tmp_path, CERTIFICATE)
    begin = datetime.now(UTC) - timedelta(days=age)
    key = server()[1]
    leaf = issue(authority(), key.public, [Identity.parse("x.example.com")], "server", begin, days)
    (tmp_path / "server.crt").write_bytes(pem(leaf))
    (warning,) = load(file).warnings
    assert f"the certificate of CN=x.example.com {words}" in warning


def test_a_chain_that_no_message_has_room_for_is_refused(tmp_path: Path) -> None:
    """RFC 7296 §3.1: it would be known only once a peer comes."""
    file = write(tmp_path, CERTIFICATE)
    leaf, _ = server()
    (tmp_path / "server.crt").write_bytes(pem(leaf, *[authority().certificate] * 200))
    with pytest.raises(InvalidConfigError, match=r"201 certificates of \d+ octets in all"):
        load(file)


REVOCATION = CERTIFICATE.replace(
    "[connections.staff]", '[credentials.revocation]\ncrls = ["ca.crl"]\n[connections.staff]'
)


def test_a_crl_that_is_none_is_refused_at_its_place(tmp_path: Path) -> None:
    (tmp_path / "ca.crl").write_bytes(b"rubbish")
    (found,) = errors(tmp_path, REVOCATION)
    assert found.startswith("7: credentials.revocation.crls[0]: no CRL that we can read")


def test_crls_and_the_folder_for_others_are_beside_the_file(tmp_path: Path) -> None:
    made = make_crl(authority(), [], 1, datetime.now(UTC), 7)
    (tmp_path / "ca.crl").write_bytes(made)
    more = '"ca.crl"]\ncache = "crls"\nrecheck = "1h"\nfetch = false'
    text = REVOCATION.replace('"ca.crl"]', more) + 'revocation = "off"\n'
    found = loaded(tmp_path, text)
    assert found.sources.crls == (tmp_path / "ca.crl",)
    assert (found.sources.cache, found.sources.recheck) == (tmp_path / "crls", 3600.0)
    assert not found.sources.fetch
    assert found.connections[0].revocation is Revocation.OFF


USERS = CERTIFICATE.replace(
    "[connections",
    '[[credentials.secrets]]\nid = "carol"\npassword = "file:site.psk"\n[connections',
)


def test_a_password_is_of_a_user(tmp_path: Path) -> None:
    found = loaded(tmp_path, USERS + 'peer_auth = ["eap-mschapv2"]')
    (account,) = found.credentials.accounts
    assert (account.name, len(account.password)) == ("carol", 32)
    assert found.credentials.secrets == ()


@pytest.mark.parametrize(
    ("entry", "words"),
    [
        ('id = "x"', "one of psk, ppk, password and usim has to be there"),
        (
            'id = "x"\npsk = "file:site.psk"\npassword = "file:site.psk"',
            "one of psk, ppk, password and usim",
        ),
        ('id = "*.x"\npassword = "file:site.psk"', "for one user, not for a pattern"),
        ('id = "CAROL"\npassword = "file:site.psk"', "a second password for CAROL"),
    ],
)
def test_what_is_no_user_is_refused(tmp_path: Path, entry: str, words: str) -> None:
    text = USERS.replace("[connections", f"[[credentials.secrets]]\n{entry}\n[connections")
    assert any(words in error for error in errors(tmp_path, text))
