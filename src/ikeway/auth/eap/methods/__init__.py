# SPDX-License-Identifier: Apache-2.0
"""The EAP methods, one file each."""

from typing import Final

from ikeway.auth.eap.method import Method
from ikeway.auth.eap.methods import aka, aka_prime, gtc, md5, mschapv2, peap, tls, ttls

METHODS: Final[tuple[Method, ...]] = (
    mschapv2.METHOD,
    tls.METHOD,
    ttls.METHOD,
    peap.METHOD,
    aka_prime.METHOD,
    aka.METHOD,
    md5.METHOD,
    gtc.METHOD,
)
_BY_NAME: Final = {row.name: row for row in METHODS}


def method(name: str) -> Method:
    """Return the method of that name.

    Raises:
        KeyError: there is none.
    """
    return _BY_NAME[name]


def may_stand_alone(name: str) -> bool:
    """Whether the method of that name proves the server well enough by itself (RFC 5998 §4)."""
    row = _BY_NAME.get(name)
    return row is not None and row.may_stand_alone
