# SPDX-License-Identifier: Apache-2.0
"""Questions about keys and certificates, answered by the shell."""

from datetime import timedelta

import pytest

from ikeway.crypto import sign
from ikeway.crypto.keypair import KeyAlgorithm
from ikeway.ike.io import Refused, Sign, Signed, Trusted, VerifyCertificate
from ikeway.runtime.pki import Pki
from support.hosts import CA, LEFT, RIGHT, authority, leaf, which
from support.pki import private_key
from support.shell import TODAY

KEY = KeyAlgorithm.ECDSA_256


def pki(days: int = 0) -> Pki:
    keys = {"mine": private_key(KEY)}
    return Pki(keys, (authority(CA).certificate,), lambda: TODAY + timedelta(days=days))


def test_a_signature_verifies_with_the_public_key() -> None:
    answer = pki().sign(Sign("mine", "ECDSA_SHA2_256", b"octets"))
    assert isinstance(answer, Signed)
    scheme = sign.scheme_named("ECDSA_SHA2_256")
    sign.verify(private_key(KEY).public, scheme, b"octets", answer.signature)


@pytest.mark.parametrize(
    ("key", "scheme"), [("other", "ECDSA_SHA2_256"), ("mine", "RSA_SHA2_256"), ("mine", "none")]
)
def test_what_cannot_be_signed_is_refused(key: str, scheme: str) -> None:
    answer = pki().sign(Sign(key, scheme, b"octets"))
    assert isinstance(answer, Refused)
    assert key in answer.reason


@pytest.mark.parametrize(("name", "purpose"), [(LEFT, "client"), (RIGHT, "server")])
def test_a_certificate_of_our_authority_is_trusted(name: str, purpose: str) -> None:
    own = leaf(name, KEY, CA).leaf
    answer = pki().verify(VerifyCertificate((own.der,), purpose))  # type: ignore[arg-type]
    assert answer == Trusted(own)


def test_a_server_may_not_be_a_client_in_disguise() -> None:
    """RFC 4945 §5.1.3.12: the extended key usage says what a certificate is for."""
    own = leaf(LEFT, KEY, CA).leaf
    assert isinstance(pki().verify(VerifyCertificate((own.der,), "server")), Refused)


@pytest.mark.parametrize("days", [-400, 31, 400])
def test_a_certificate_is_trusted_in_its_time_only(days: int) -> None:
    own = leaf(LEFT, KEY, CA).leaf
    assert isinstance(pki(days).verify(VerifyCertificate((own.der,), "client")), Refused)


def test_a_certificate_of_another_authority_is_refused() -> None:
    other = leaf(LEFT, KEY, "Another CA").leaf
    answer = pki().verify(VerifyCertificate((other.der,), "client"))
    assert isinstance(answer, Refused)


@pytest.mark.parametrize("chain", [(b"",), (b"\x30\x00",), (b"rubbish", b"more")])
def test_what_is_no_certificate_is_refused(chain: tuple[bytes, ...]) -> None:
    assert isinstance(pki().verify(VerifyCertificate(chain, "client")), Refused)


def test_rubbish_after_the_first_certificate_is_refused() -> None:
    own = leaf(LEFT, KEY, CA).leaf
    assert isinstance(pki().verify(VerifyCertificate((own.der, b"rubbish"), "client")), Refused)


def test_the_clock_is_the_systems_unless_another_one_is_given() -> None:
    own = leaf(LEFT, KEY, CA).leaf
    real = Pki({}, (authority(CA).certificate,))
    assert isinstance(real.verify(VerifyCertificate((own.der,), "client")), Trusted | Refused)
    assert which(LEFT) != which(RIGHT)
