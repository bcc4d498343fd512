# SPDX-License-Identifier: Apache-2.0
"""Keys that stay in a PKCS#11 token, with SoftHSM."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from ikeway.config.load import load
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import PrivateKey
from ikeway.crypto.sign import OLDER_METHODS, SCHEMES, Scheme, SignatureHash, verify
from ikeway.ike.questions import Answer, Refused, Sign, Signed
from ikeway.model.errors import ConfigError, HostError
from ikeway.model.secret import Secret
from ikeway.policy.revocation import StatusSources
from ikeway.policy.token_key import TokenKey
from ikeway.runtime.pki import Pki
from ikeway.runtime.revocation import StatusDesk
from ikeway.runtime.tokens import Token
from ikeway.runtime.verifier import Verifier
from support.configured import CERTIFICATE, errors, write
from support.pki import certificate, private_key
from support.softhsm import PIN, SoftHsm

KINDS = (
    KeyAlgorithm.RSA,
    KeyAlgorithm.ECDSA_256,
    KeyAlgorithm.ECDSA_384,
    KeyAlgorithm.ECDSA_521,
    KeyAlgorithm.ED25519,
)
SHA2 = (*SCHEMES, *(OLDER_METHODS[method] for method in (9, 10, 11)))
PAIRS = [
    pytest.param(kind, scheme, id=f"{kind.value}-{scheme.name}")
    for kind in KINDS
    for scheme in SHA2
    if kind in scheme.algorithms and scheme.hash is not SignatureHash.SHA1
]


@pytest.fixture(scope="module")
def hsm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SoftHsm]:
    pytest.importorskip("pkcs11")
    it = SoftHsm(tmp_path_factory.mktemp("hsm"))
    before = os.environ.get("SOFTHSM2_CONF")
    os.environ["SOFTHSM2_CONF"] = str(it.conf)
    yield it
    if before is None:
        del os.environ["SOFTHSM2_CONF"]
    else:
        os.environ["SOFTHSM2_CONF"] = before


@pytest.fixture(scope="module")
def uris(hsm: SoftHsm) -> dict[KeyAlgorithm, str]:
    return {
        kind: hsm.add(kind.value, number, private_key(kind)) for number, kind in enumerate(KINDS, 1)
    }


def leaf(key: PrivateKey) -> Certificate:
    return certificate("leaf", key, "root", private_key(KeyAlgorithm.ECDSA_256, 9))


def key_of(uri: str, pin: str = PIN) -> TokenKey:
    return TokenKey.parse(uri, Secret(pin.encode()))


@pytest.mark.parametrize(("kind", "scheme"), PAIRS)
def test_a_token_signs_by_every_scheme(
    uris: dict[KeyAlgorithm, str], kind: KeyAlgorithm, scheme: Scheme
) -> None:
    token = Token.open(key_of(uris[kind]), leaf(private_key(kind)))
    verify(private_key(kind).public, scheme, b"octets", token.sign(scheme, b"octets"))
    token.close()
    verify(private_key(kind).public, scheme, b"octets", token.sign(scheme, b"octets"))
    token.close()


def test_a_key_of_another_certificate_is_refused_at_once(uris: dict[KeyAlgorithm, str]) -> None:
    other = leaf(private_key(KeyAlgorithm.ECDSA_256, 5))
    with pytest.raises(HostError, match="is not that of CN=leaf"):
        Token.open(key_of(uris[KeyAlgorithm.ECDSA_256]), other)


def test_what_is_not_there_is_an_error_that_says_so(uris: dict[KeyAlgorithm, str]) -> None:
    uri = uris[KeyAlgorithm.ECDSA_256]
    own = leaf(private_key(KeyAlgorithm.ECDSA_256))
    for wrong, words in (
        (key_of(uri, "0000"), "PinIncorrect"),
        (key_of(uri.replace("ikeway%20test", "other")), "NoSuchToken"),
        (key_of(uri.replace("object=ecdsa256", "object=none")), "NoSuchKey"),
        (key_of(uri.split("?")[0] + "?module-path=/nonexistent.so"), "/nonexistent.so"),
    ):
        with pytest.raises(HostError, match=words):
            Token.open(wrong, own)


def test_a_signature_of_a_token_does_not_hold_up_the_event_loop(
    uris: dict[KeyAlgorithm, str],
) -> None:
    kind = KeyAlgorithm.ED25519
    token = Token.open(key_of(uris[kind]), leaf(private_key(kind)))

    async def run() -> list[Answer]:
        verifier = Verifier(Pki({}, (), tokens={"k": token}), StatusDesk(StatusSources()), print)
        told: list[Answer] = []
        done = asyncio.Event()

        def tell(answer: Answer) -> None:
            told.append(answer)
            done.set()

        for scheme in ("ED25519", "none"):
            done.clear()
            verifier.sign(Sign("k", scheme, b"octets"), tell)
            assert not done.is_set()
            await done.wait()
        await verifier.close()
        return told

    good, bad = asyncio.run(run())
    token.close()
    assert isinstance(good, Signed)
    assert isinstance(bad, Refused)


# The configuration --------------------------------------------------------------------------------

URI = "pkcs11:token=My%20token;id=%01%02?module-path=/lib/p11.so"


def test_a_uri_of_rfc_7512_names_a_key() -> None:
    key = TokenKey.parse(URI, None)
    assert (key.module, key.token, key.id, key.label) == ("/lib/p11.so", "My token", b"\1\2", None)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("pkcs11:token=a;object=b", "no module"),
        ("pkcs11:token=a?module-path=x", "no key"),
        ("pkcs11:object=a?module-path=x&pin-value=1", "does not belong in the URI"),
        ("pkcs11:object=a;colour=red?module-path=x", "'colour' is no attribute"),
        ("pkcs11:object=a;type=public?module-path=x", "does not name a private key"),
    ],
)
def test_a_uri_that_names_none_says_why(uri: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        TokenKey.parse(uri, None)


def test_a_configuration_names_a_key_in_a_token(tmp_path: Path) -> None:
    text = CERTIFICATE.replace('"server.key"', f'"{URI}"\nkey_password = "file:site.psk"')
    found = load(write(tmp_path, text))
    assert found.private_keys == {}
    assert found.tokens[URI].token == "My token"
    complaint, *_ = errors(tmp_path, CERTIFICATE.replace('"server.key"', '"pkcs11:object=a"'))
    assert "credentials.key: no module" in complaint
