# SPDX-License-Identifier: Apache-2.0
"""Answers questions about keys and certificates: signing, chains to an authority (RFC 5280)."""

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Final

from ikeway.auth.eap.means import TlsMeans
from ikeway.crypto import sign
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.chain import verify_chain
from ikeway.crypto.keypair import PrivateKey
from ikeway.crypto.profile import Purpose
from ikeway.crypto.tls import Credential
from ikeway.ike.questions import Answer, Refused, Sign, Signed, Trusted, VerifyCertificate
from ikeway.model.errors import AuthenticationError, HostError, PeerError
from ikeway.policy.credentials import LocalCertificate
from ikeway.runtime.tokens import Token

REMEMBERED_MOST: Final = 1024
"""How many chains that hold are remembered: peers come back with the same."""


@dataclass(frozen=True, slots=True)
class Holds:
    """An answer, and while it is true."""

    answer: Trusted
    chain: tuple[Certificate, ...]
    begin: datetime
    end: datetime


def _wall_clock() -> datetime:
    return datetime.now(UTC)


class Pki:
    """Our private keys by name, and the authorities that we believe."""

    def __init__(
        self,
        keys: Mapping[str, PrivateKey],
        authorities: tuple[Certificate, ...],
        today: Callable[[], datetime] = _wall_clock,
        tokens: Mapping[str, Token] | None = None,
    ) -> None:
        self._keys = keys
        self._tokens = tokens or {}
        self._authorities = authorities
        self.today = today
        self._known: OrderedDict[tuple[tuple[bytes, ...], str], Holds] = OrderedDict()

    def is_slow(self, question: Sign) -> bool:
        """Whether `sign` waits for a token, and so has to be called in another thread."""
        return question.key in self._tokens

    def sign(self, question: Sign) -> Answer:
        """Return the signature, or why there is none."""
        key, token = self._keys.get(question.key), self._tokens.get(question.key)
        try:
            scheme = sign.scheme_named(question.scheme)
            if token is not None:
                return Signed(token.sign(scheme, question.octets))
            if key is not None:
                return Signed(sign.sign(key, scheme, question.octets))
        except (LookupError, ValueError, HostError) as error:
            return Refused(f"key {question.key!r}: {error}")
        return Refused(f"there is no private key {question.key!r}")

    def verify(self, question: VerifyCertificate) -> Answer:
        """Return the peer's certificate if its chain holds, or what is wrong with it.

        Whether it was revoked is not known here: see `verifier`.
        """
        found = self.chain(question)
        return found.answer if isinstance(found, Holds) else found

    def believe(self, purpose: Purpose, chain: tuple[Certificate, ...]) -> None:
        """Believe a chain of certificates.

        Raises:
            AuthenticationError: it does not hold.
        """
        found = self.chain(VerifyCertificate(tuple(each.der for each in chain), purpose))
        if isinstance(found, Refused):
            raise AuthenticationError(found.reason)

    def tls(self, certificates: tuple[LocalCertificate, ...]) -> TlsMeans:
        """Return what EAP methods need that are made of TLS."""
        own = next((one for one in certificates if one.key in self._keys), None)
        credential = None if own is None else Credential(own.chain, self._keys[own.key])
        return TlsMeans(
            credential, partial(self.believe, "client"), partial(self.believe, "server")
        )

    def chain(self, question: VerifyCertificate) -> Holds | Refused:
        """Return the chain of the peer's certificate, or what is wrong with it.

        What holds is remembered for as long as every certificate of the chain is valid.
        """
        now, name = self.today(), (question.chain, question.purpose)
        known = self._known.get(name)
        if known is not None and known.begin <= now <= known.end:
            self._known.move_to_end(name)
            return known
        try:
            found = _verify(question, self._authorities, now)
        except PeerError as error:
            return Refused(str(error))
        self._known[name] = found
        while len(self._known) > REMEMBERED_MOST:
            self._known.popitem(last=False)
        return found


def _verify(
    question: VerifyCertificate, authorities: tuple[Certificate, ...], now: datetime
) -> Holds:
    if not question.chain:
        raise AuthenticationError("there is no certificate")
    leaf, *others = [Certificate.of(der) for der in question.chain]
    chain = verify_chain(leaf, tuple(others), authorities, now, question.purpose)
    begin = max(certificate.not_before for certificate in chain)
    end = min(certificate.not_after for certificate in chain)
    return Holds(Trusted(leaf), chain, begin, end)
