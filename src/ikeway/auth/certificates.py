# SPDX-License-Identifier: Apache-2.0
"""Which identities a certificate proves (RFC 4945 §3.1, §5.1.3.6; RFC 7296 §3.5)."""

from typing import Final

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.names import names_equal
from ikeway.model.identity import Identity, IdType

_ADDRESSES: Final = frozenset({IdType.IPV4_ADDR, IdType.IPV6_ADDR})


def identity_matches(identity: Identity, certificate: Certificate) -> bool:
    """Whether the certificate proves the identity.

    Names and addresses stand in subjectAltName, never in the common name; a distinguished name is
    the subject. Nothing else, such as ID_KEY_ID, is provable by certificate.
    """
    if identity.type is IdType.DER_ASN1_DN:
        return names_equal(identity.data, certificate.subject_der)
    if identity.type in _ADDRESSES:
        return identity in certificate.sans
    if identity.type is IdType.FQDN:
        return any(_same_host(identity, name) for name in certificate.sans)
    if identity.type is IdType.RFC822_ADDR:
        return any(_same_mailbox(identity, name) for name in certificate.sans)
    return False


def _same_host(claimed: Identity, name: Identity) -> bool:
    """Host names have no case; a wildcard in a certificate proves nothing (RFC 4945 §5.1.3.6)."""
    return name.type is IdType.FQDN and name.data.lower() == claimed.data.lower()


def _same_mailbox(claimed: Identity, name: Identity) -> bool:
    """Only the host part has no case (RFC 5280 §7.5)."""
    if name.type is not IdType.RFC822_ADDR:
        return False
    user, _, host = claimed.data.rpartition(b"@")
    own_user, _, own_host = name.data.rpartition(b"@")
    return user == own_user and host.lower() == own_host.lower()
