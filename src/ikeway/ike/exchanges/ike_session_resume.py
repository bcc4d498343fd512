# SPDX-License-Identifier: Apache-2.0
"""IKE_SESSION_RESUME in place of IKE_SA_INIT (RFC 5723 §4.3.2, §5.1): what both sides share."""

from typing import Final

from ikeway.crypto.keys import Replaced
from ikeway.crypto.prf import prf
from ikeway.ike.keys import Keyring
from ikeway.ike.session import Link
from ikeway.ike.shape import Shape, one
from ikeway.ike.tickets import Past
from ikeway.model.secret import Secret
from ikeway.wire.payloads import Nonce
from ikeway.wire.registry import ExchangeType

TYPE: Final = ExchangeType.IKE_SESSION_RESUME
REQUEST: Final = Shape(one(Nonce))
RESPONSE: Final = REQUEST

LABEL: Final = Secret(b"Resumption")
"""§5.1: "The literal string is encoded as 10 ASCII characters, with no NULL terminator." """


def keyring(past: Past, link: Link, nonces: tuple[bytes, bytes]) -> Keyring:
    """Return the keys of a resumed IKE SA: SKEYSEED = prf(SK_d_old, "Resumption" | Ni | Nr)."""
    return Keyring.derive(
        past.suite,
        LABEL,
        nonces,
        (link.spi_i, link.spi_r),
        is_initiator=link.is_initiator,
        replaced=Replaced(prf(past.suite.prf), past.sk_d),
    )
