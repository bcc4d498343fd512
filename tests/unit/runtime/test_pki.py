# SPDX-License-Identifier: Apache-2.0
"""Questions about keys and certificates, answered by the shell."""

from datetime import datetime, timedelta

import pytest

from ikeway.crypto import sign
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.ike.questions import Refused, Sign, Signed, Trusted, VerifyCertificate
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


class Clock:
    """A wall clock that the test moves."""

    def __init__(self) -> None:
        self.days = 0

    def __call__(self) -> datetime:
        return TODAY + timedelta(days=self.days)


def test_what_is_remembered_of_a_chain_ends_with_its_validity() -> None:
    """RFC 5280 §6.1.3 (a)(2): the validity period includes the current time."""
    clock = Clock()
    questions = Pki({}, (authority(CA).certificate,), clock)
    ask = VerifyCertificate((leaf(LEFT, KEY, CA).leaf.der,), "client")
    first = questions.verify(ask)
    assert isinstance(first, Trusted)
    assert questions.verify(ask) is first, "a peer that comes back costs no signature"
    for days in (-400, 31, 400):
        clock.days = days
        assert isinstance(questions.verify(ask), Refused)
    clock.days = 0
    assert isinstance(questions.verify(ask), Trusted)


def test_what_is_remembered_is_for_one_purpose_and_one_chain() -> None:
    questions = pki()
    own, other = leaf(LEFT, KEY, CA).leaf, leaf(LEFT, KEY, "Another CA").leaf
    assert isinstance(questions.verify(VerifyCertificate((own.der,), "client")), Trusted)
    assert isinstance(questions.verify(VerifyCertificate((own.der,), "server")), Refused)
    assert isinstance(questions.verify(VerifyCertificate((other.der,), "client")), Refused)


def test_only_so_many_chains_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ikeway.runtime.pki.REMEMBERED_MOST", 1)
    questions = pki()
    asks = [VerifyCertificate((leaf(n, KEY, CA).leaf.der,), "client") for n in (LEFT, "x.test")]
    first = [questions.verify(ask) for ask in asks]
    assert questions.verify(asks[1]) is first[1]
    assert questions.verify(asks[0]) is not first[0]
