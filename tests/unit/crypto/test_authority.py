# SPDX-License-Identifier: Apache-2.0
"""The small certification authority: what it issues passes our own checks."""

from datetime import timedelta

import pytest
from cryptography import x509

from ikeway.auth.certificates import identity_matches
from ikeway.crypto.authority import create_authority, issue, issue_authority, pem
from ikeway.crypto.certificate import load_certificates
from ikeway.crypto.chain import verify_chain
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import generate_key
from ikeway.crypto.profile import Purpose
from ikeway.model.errors import AuthenticationError
from ikeway.model.identity import Identity, IdType
from support.pki import NOW, private_key

ROOT = create_authority("Root", KeyAlgorithm.ECDSA_256, NOW, 30, path_length=1)
KEY = private_key(KeyAlgorithm.ED25519)
NAMES = tuple(
    map(Identity.parse, ("vpn.example.com", "jo@example.com", "192.0.2.1", "2001:db8::1"))
)


@pytest.mark.parametrize("algorithm", KeyAlgorithm, ids=lambda one: one.value)
def test_every_kind_of_authority_issues_what_we_believe(algorithm: KeyAlgorithm) -> None:
    authority = create_authority("Root", algorithm, NOW, 30)
    purposes: tuple[Purpose, ...] = ("server", "client")
    for purpose in purposes:
        leaf = issue(authority, private_key(algorithm).public, NAMES, purpose, NOW, 10)
        assert verify_chain(leaf, [], [authority.certificate], NOW, purpose)
        assert all(identity_matches(name, leaf) for name in NAMES)


def test_a_clients_certificate_is_none_for_a_server() -> None:
    leaf = issue(ROOT, KEY.public, NAMES, "client", NOW, 10)
    with pytest.raises(AuthenticationError, match="not for a server"):
        verify_chain(leaf, [], [ROOT.certificate], NOW, "server")


def test_an_authority_below_issues_leaves_only() -> None:
    low = issue_authority(ROOT, "Low", KeyAlgorithm.ECDSA_256, NOW, 20)
    leaf = issue(low, KEY.public, NAMES, "server", NOW, 10)
    assert len(verify_chain(leaf, [low.certificate], [ROOT.certificate], NOW, "server")) == 3
    lower = issue_authority(low, "Lower", KeyAlgorithm.ECDSA_256, NOW, 20)
    bad = issue(lower, KEY.public, NAMES, "server", NOW, 10)
    with pytest.raises(AuthenticationError, match="authorities below it"):
        verify_chain(bad, [lower.certificate, low.certificate], [ROOT.certificate], NOW, "server")


def test_a_leaf_is_no_authority() -> None:
    leaf = issue(ROOT, KEY.public, NAMES, "server", NOW, 10)
    constraints = leaf.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.critical
    assert not constraints.value.ca


def test_certificates_hold_for_their_days() -> None:
    leaf = issue(ROOT, KEY.public, NAMES, "server", NOW, 10)
    verify_chain(leaf, [], [ROOT.certificate], NOW + timedelta(days=10), "server")
    with pytest.raises(AuthenticationError, match="valid from"):
        verify_chain(leaf, [], [ROOT.certificate], NOW + timedelta(days=10, seconds=1), "server")


def test_an_address_stands_there_as_a_dns_name_too() -> None:
    leaf = issue(ROOT, KEY.public, [Identity.parse("192.0.2.1")], "server", NOW, 10)
    assert leaf.subject == "CN=192.0.2.1"
    assert Identity(IdType.FQDN, b"192.0.2.1") in leaf.sans


def test_a_certificate_without_names_or_with_an_odd_one_is_refused() -> None:
    with pytest.raises(ValueError, match="needs a name"):
        issue(ROOT, KEY.public, [], "server", NOW, 10)
    with pytest.raises(ValueError, match="cannot stand in subjectAltName"):
        issue(ROOT, KEY.public, [Identity(IdType.KEY_ID, b"x")], "server", NOW, 10)


def test_pem_holds_certificates_in_their_order() -> None:
    leaf = issue(ROOT, KEY.public, NAMES, "server", NOW, 10)
    assert load_certificates(pem(leaf, ROOT.certificate)) == (leaf, ROOT.certificate)


def test_keys_are_fresh() -> None:
    one, two = (generate_key(KeyAlgorithm.ED25519) for _ in range(2))
    assert one.public.der != two.public.der
