# SPDX-License-Identifier: Apache-2.0
"""Answers questions about keys and certificates: signing, chains to an authority (RFC 5280)."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from ikeway.crypto import sign
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.chain import verify_chain
from ikeway.crypto.keypair import PrivateKey
from ikeway.ike.io import Answer, Refused, Sign, Signed, Trusted, VerifyCertificate
from ikeway.model.errors import PeerError


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class Pki:
    """Our private keys by name, and the authorities that we believe."""

    def __init__(
        self,
        keys: Mapping[str, PrivateKey],
        authorities: tuple[Certificate, ...],
        today: Callable[[], datetime] = _wall_clock,
    ) -> None:
        self._keys = keys
        self._authorities = authorities
        self._today = today

    def sign(self, question: Sign) -> Answer:
        """Return the signature, or why there is none."""
        key = self._keys.get(question.key)
        if key is None:
            return Refused(f"there is no private key {question.key!r}")
        try:
            scheme = sign.scheme_named(question.scheme)
            return Signed(sign.sign(key, scheme, question.octets))
        except (LookupError, ValueError) as error:
            return Refused(f"key {question.key!r}: {error}")

    def verify(self, question: VerifyCertificate) -> Answer:
        """Return the peer's certificate if its chain holds, or what is wrong with it."""
        try:
            chain = [Certificate.of(der) for der in question.chain]
            verify_chain(
                chain[0], tuple(chain[1:]), self._authorities, self._today(), question.purpose
            )
        except PeerError as error:
            return Refused(str(error))
        return Trusted(chain[0])
