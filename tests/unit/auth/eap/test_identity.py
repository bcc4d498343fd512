# SPDX-License-Identifier: Apache-2.0
"""Names of users, as policy and as IDi have them (RFC 7296 §3.5)."""

import pytest

from ikeway.auth.eap import identity
from ikeway.auth.eap.accounts import Accounts
from ikeway.model.identity import Identity, IdType
from ikeway.model.secret import Secret
from ikeway.policy.credentials import Account


@pytest.mark.conformance("CF-I19")
def test_a_name_with_a_realm_is_a_mailbox_and_one_without_is_opaque() -> None:
    """§3.5: "ID_RFC822_ADDR" where there is a realm, else "ID_KEY_ID"."""
    assert identity.to_idi("carol@example.com").type is IdType.RFC822_ADDR
    assert identity.to_idi("carol") == Identity(IdType.KEY_ID, b"carol")


@pytest.mark.conformance("CF-I19")
@pytest.mark.parametrize("kind", [IdType.KEY_ID, IdType.FQDN, IdType.RFC822_ADDR])
def test_any_reasonable_idi_is_a_name(kind: IdType) -> None:
    assert identity.from_idi(Identity(kind, b"carol")) == b"carol"


def test_an_address_is_no_name_and_a_name_is_no_address() -> None:
    """Nobody gets what is for 10.0.0.1 by being called so."""
    assert identity.from_idi(Identity.parse("10.0.0.1")) == b""
    assert identity.of_user(b"10.0.0.1") == Identity(IdType.FQDN, b"10.0.0.1")


def test_a_domain_counts_only_where_somebody_is_called_so_in_full() -> None:
    one, two = Secret(b"one"), Secret(b"two")
    accounts = Accounts((Account("carol", one), Account("CORP\\carol", two)))
    assert accounts.clear(b"corp\\Carol") == two
    assert accounts.clear(b"HOME\\carol") == one
    assert accounts.name(b"HOME\\CAROL") == b"carol"
    assert accounts.clear(b"carol\\CORP") is None
    assert accounts.name(b"nobody") == b"nobody"
