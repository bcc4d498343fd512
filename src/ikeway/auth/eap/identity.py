# SPDX-License-Identifier: Apache-2.0
r"""Names of users: in EAP, in IDi and for policy (RFC 7296 §3.5, §3.16; RFC 7542).

A name is `user`, `user@realm` or `DOMAIN\user`. It is text and never an address, whatever it looks
like: nobody becomes 10.0.0.1 by being called so.
"""

from typing import Final

from ikeway.model.identity import Identity, IdType

_NAMES: Final = frozenset({IdType.FQDN, IdType.RFC822_ADDR, IdType.KEY_ID})


def of_user(name: bytes) -> Identity:
    """Return the identity that policy goes by for a user that EAP has proven."""
    return Identity(IdType.RFC822_ADDR if b"@" in name else IdType.FQDN, name)


def to_idi(name: str) -> Identity:
    """Return what we put into IDi for a user: with a realm it is a mailbox, else opaque (§3.5)."""
    octets = name.encode()
    return Identity(IdType.RFC822_ADDR if b"@" in octets else IdType.KEY_ID, octets)


def from_idi(identity: Identity) -> bytes:
    """Return the name of the user that IDi says; empty where it says none, such as an address."""
    return identity.data if identity.type in _NAMES else b""


def surely_of_user(identity: Identity) -> bytes:
    """Return the name of the user that IDi says; empty where that may be a device's (§3.16).

    NAIs are mailboxes or opaque (§3.5); a domain name with dots is what phones call themselves.
    """
    is_host = identity.type is IdType.FQDN and b"." in identity.data
    return b"" if is_host else from_idi(identity)


def without_domain(name: bytes) -> bytes:
    r"""Return the user of `DOMAIN\user`."""
    return name.rpartition(b"\\")[2]
