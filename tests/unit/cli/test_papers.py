# SPDX-License-Identifier: Apache-2.0
"""`ikeway ca` and `ikeway cert`, as people type them; OpenSSL reads what they write."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ikeway.cli.commands.ca import Reason
from ikeway.crypto.certificate import Certificate, load_certificates
from ikeway.crypto.crl import Crl
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import PrivateKey
from ikeway.crypto.revoking import REASONS
from ikeway.model.secret import Secret
from support.commands import Runner


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CA_PASSWORD", "correct horse")
    return tmp_path


@pytest.fixture
def made(ikeway: Runner, home: Path) -> Path:
    """An authority with a server's certificate."""
    assert ikeway("ca", "create", "Test CA", "--dir", "ca").status == 0
    ran = ikeway("ca", "issue", "vpn.example.com", "192.0.2.1", "--for", "server", "--dir", "ca")
    assert ran.status == 0, ran.err
    return home


def read(path: Path) -> Certificate:
    return load_certificates(path.read_bytes())[0]


def openssl(*words: str) -> str:
    done = subprocess.run(["openssl", *words], check=False, capture_output=True, text=True)
    return done.stdout + done.stderr


def test_the_options_have_all_reasons() -> None:
    assert {one.value for one in Reason} == set(REASONS)


def test_help_knows_the_kinds_of_keys_before_openssl_is_loaded() -> None:
    code = "import sys, ikeway.cli.papers; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_is_issued_holds_for_openssl_and_for_us(ikeway: Runner, made: Path) -> None:
    assert "OK" in openssl(
        "verify", "-CAfile", "ca/ca.crt", "-purpose", "sslserver", "vpn.example.com.crt"
    )
    ran = ikeway(
        "cert",
        "verify",
        "vpn.example.com.crt",
        "--authority",
        "ca/ca.crt",
        "--for",
        "server",
        "--name",
        "192.0.2.1",
    )
    assert ran.out == "ok: CN=vpn.example.com <- CN=Test CA\n"
    assert PrivateKey.load((made / "vpn.example.com.key").read_bytes())
    for secret in ("vpn.example.com.key", "ca/ca.key"):
        assert stat.S_IMODE((made / secret).stat().st_mode) == 0o600


def test_a_certificate_for_others_is_told_so(ikeway: Runner, made: Path) -> None:
    check = ["cert", "verify", "vpn.example.com.crt", "--authority", "ca/ca.crt"]
    ran = ikeway(*check, "--name", "other.example.com")
    assert (ran.status, "is not for other.example.com" in ran.err) == (1, True)
    assert ikeway("ca", "issue", "jo@example.com", "--dir", "ca").status == 0
    check[2] = "jo@example.com.crt"
    assert ikeway(*check, "--for", "client").status == 0
    ran = ikeway(*check, "--for", "server")
    assert (ran.status, "is not for a server" in ran.err) == (1, True)


@pytest.mark.parametrize("kind", KeyAlgorithm, ids=lambda one: one.value)
def test_every_kind_of_key_can_be_issued_and_can_issue(
    ikeway: Runner, home: Path, kind: KeyAlgorithm
) -> None:
    assert ikeway("ca", "create", "CA", "--dir", "ca", "--key", kind.value).status == 0
    assert ikeway("ca", "issue", "a.test", "--dir", "ca", "--key", kind.value).status == 0
    assert ikeway("ca", "crl", "--dir", "ca").status == 0
    ran = ikeway("cert", "verify", "a.test.crt", "--authority", "ca/ca.crt", "--crl", "ca/ca.crl")
    assert ran.status == 0, ran.err
    assert read(home / "a.test.crt").public_key.algorithm.value == kind.value


def test_the_public_key_of_a_private_one_is_what_openssl_says(ikeway: Runner, home: Path) -> None:
    assert ikeway("cert", "key", "site.key").status == 0
    ran = ikeway("cert", "public", "site.key")
    assert ran.out == openssl("pkey", "-in", str(home / "site.key"), "-pubout")


def test_an_authority_below_another_is_believed_through_it(ikeway: Runner, made: Path) -> None:
    assert ikeway("ca", "create", "Top", "--dir", "top", "--path-length", 1).status == 0
    ran = ikeway("ca", "create", "Low", "--dir", "low", "--below", "top", "--permit", "example.com")
    assert ran.status == 0, ran.err
    assert ikeway("ca", "issue", "a.example.com", "--dir", "low").status == 0
    assert len(load_certificates((made / "a.example.com.crt").read_bytes())) == 2
    assert ikeway("cert", "verify", "a.example.com.crt", "--authority", "top/ca.crt").status == 0
    assert ikeway("ca", "issue", "a.test", "--dir", "low").status == 0
    ran = ikeway("cert", "verify", "a.test.crt", "--authority", "top/ca.crt")
    assert "not one for which CN=Low may vouch" in ran.err
    assert "Low" in ikeway("ca", "list", "--dir", "top").out


def test_a_revocation_is_in_the_next_crl(ikeway: Runner, made: Path) -> None:
    serial = f"{read(made / 'vpn.example.com.crt').serial:x}"
    ran = ikeway("ca", "revoke", "vpn.example.com", "--reason", "key-compromise", "--dir", "ca")
    assert serial in ran.out
    assert ikeway("ca", "crl", "--dir", "ca", "--out", "out.crl").out.startswith(
        "out.crl: 1 revoked"
    )
    said = openssl("crl", "-in", "out.crl", "-noout", "-text", "-CAfile", "ca/ca.crt")
    assert "verify OK" in said
    assert "Key Compromise" in said
    ran = ikeway(
        "cert", "verify", "vpn.example.com.crt", "--authority", "ca/ca.crt", "--crl", "out.crl"
    )
    assert (ran.status, "was revoked: keyCompromise" in ran.err) == (1, True)
    again = ikeway("ca", "revoke", serial, "--dir", "ca")
    assert (again.status, "is revoked already" in again.err) == (1, True)
    (row,) = json.loads(ikeway("ca", "list", "--dir", "ca", "--json").out)
    assert (row["serial"], row["status"]) == (serial, "revoked")


def test_numbers_of_crls_grow(ikeway: Runner, made: Path) -> None:
    for number in (1, 2):
        ikeway("ca", "crl", "--dir", "ca")
        assert Crl.of((made / "ca/ca.crl").read_bytes()).number == number


def test_a_renewal_keeps_names_role_and_key(ikeway: Runner, made: Path) -> None:
    old = read(made / "vpn.example.com.crt")
    assert ikeway("ca", "renew", "vpn.example.com", "--dir", "ca", "--days", 30).status == 0
    new = read(made / "vpn.example.com.crt")
    assert (new.sans, new.public_key.der) == (old.sans, old.public_key.der)
    assert new.serial != old.serial
    assert ikeway("ca", "renew", "vpn.example.com", "--dir", "ca", "--out", "ca").status == 0
    ran = ikeway("ca", "renew", "vpn.example.com", "--dir", "ca", "--new-key", "ed25519")
    assert (ran.status, "is there already, and stays" in ran.err) == (1, True)
    (made / "new").mkdir()
    ran = ikeway(
        "ca", "renew", "vpn.example.com", "--dir", "ca", "--new-key", "ed25519", "--out", "new"
    )
    assert read(made / "new/vpn.example.com.crt").public_key.algorithm is KeyAlgorithm.ED25519
    ran = ikeway("ca", "revoke", "vpn.example.com", "--dir", "ca")
    assert (ran.status, "name a serial number" in ran.err) == (1, True)


def test_a_request_is_issued_without_its_key(ikeway: Runner, made: Path) -> None:
    assert ikeway("cert", "key", "site.key", "--password", "env:CA_PASSWORD").status == 0
    key = PrivateKey.load((made / "site.key").read_bytes(), Secret(b"correct horse"))
    words = ["site.example.com", "--key-file", "site.key", "--password", "env:CA_PASSWORD"]
    (made / "site.csr").write_text(ikeway("cert", "request", *words).out)
    assert "verify OK" in openssl("req", "-in", "site.csr", "-noout", "-verify")
    ran = ikeway("ca", "issue", "--request", "site.csr", "--for", "server", "--dir", "ca", "--json")
    assert json.loads(ran.out)["files"] == ["site.example.com.crt"]
    assert read(made / "site.example.com.crt").public_key.der == key.public.der


def test_a_request_that_was_changed_is_refused(ikeway: Runner, made: Path) -> None:
    """Its owner has not shown that it has the key."""
    ikeway("cert", "key", "site.key")
    text = ikeway("cert", "request", "site.example.com", "--key-file", "site.key").out
    lines = text.splitlines()
    lines[2] = lines[2][::-1]
    (made / "bad.csr").write_text("\n".join(lines))
    ran = ikeway("ca", "issue", "--request", "bad.csr", "--dir", "ca")
    assert (ran.status, ran.out) == (1, "")


def test_an_encrypted_key_asks_for_its_password(ikeway: Runner, home: Path) -> None:
    create = ["ca", "create", "CA", "--dir", "ca", "--password"]
    assert "not written on the command line" in ikeway(*create, "secret").err
    assert ikeway(*create, "env:CA_PASSWORD").status == 0
    assert b"ENCRYPTED" in (home / "ca/ca.key").read_bytes()
    issue = ["ca", "issue", "a.test", "--dir", "ca"]
    assert ikeway(*issue).status == 1
    (home / "wrong").write_text("wrong\n")
    assert ikeway(*issue, "--password", "file:wrong").status == 1
    assert ikeway(*issue, "--password", "env:CA_PASSWORD").status == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["ca", "create", "Other", "--dir", "ca"], "it stays as it is"),
        (["ca", "issue", "a.test", "--dir", "none"], "there is no authority in none"),
        (["ca", "issue", "--dir", "ca"], "for whom?"),
        (["ca", "issue", "@#00", "--dir", "ca"], "cannot stand in subjectAltName"),
        (["ca", "issue", "a.test", "--dir", "ca", "--days", "9999"], "more than the authority"),
        (["ca", "issue", "--request", "none", "--dir", "ca"], "cannot read none"),
        (["ca", "revoke", "nobody", "--dir", "ca"], "has issued nothing to 'nobody'"),
        (["ca", "create", "X", "--dir", "x", "--permit", "a/b"], "no domain and no prefix"),
        (["cert", "show", "ca/ca.key"], "holds no certificate"),
        (["cert", "key", "ca/ca.key"], "is there already, and stays"),
    ],
)
def test_what_cannot_be_says_why(ikeway: Runner, made: Path, words: list[str], reason: str) -> None:
    ran = ikeway(*words)
    assert ran.status == 1
    assert reason in ran.err


def test_the_facts_of_a_certificate_are_shown(ikeway: Runner, made: Path) -> None:
    shown = ikeway("cert", "show", "vpn.example.com.crt").out
    assert "names         vpn.example.com, 192.0.2.1, 192.0.2.1" in shown
    assert "usages        serverAuth, ikeIntermediate" in shown
    (facts,) = json.loads(ikeway("cert", "show", "vpn.example.com.crt", "--json").out)
    assert (facts["key"], facts["is_authority"]) == ("ecdsa256", False)
    about = json.loads(ikeway("ca", "show", "--dir", "ca", "--json").out)
    assert (about["issued"], about["path_length"], about["key"]) == (1, 0, "ecdsa384")


def test_certificates_say_where_their_status_is(ikeway: Runner, home: Path) -> None:
    urls = ["--crl-url", "http://crl.test/ca.crl", "--ocsp-url", "http://ocsp.test/"]
    ikeway("ca", "create", "CA", "--dir", "ca", *urls)
    ikeway("ca", "issue", "a.test", "--dir", "ca")
    (facts,) = json.loads(ikeway("cert", "show", "a.test.crt", "--json").out)
    assert (facts["crls"], facts["ocsp"]) == (["http://crl.test/ca.crl"], ["http://ocsp.test/"])
