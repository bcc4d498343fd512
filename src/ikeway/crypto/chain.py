# SPDX-License-Identifier: Apache-2.0
"""Whether to believe a certificate: the search for a chain to an authority (RFC 5280 §6.1)."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.names import names_equal
from ikeway.crypto.profile import (
    Purpose,
    check_certificate,
    check_issuer,
    check_leaf,
    check_signature,
)
from ikeway.model.errors import AuthenticationError

CERTIFICATES_MOST: Final = 16
DEPTH_MOST: Final = 8
SIGNATURES_MOST: Final = 32
"""A peer without a proof of identity makes us do no more than this."""
_REASONS_MOST: Final = 4


def verify_chain(
    leaf: Certificate,
    intermediates: Sequence[Certificate],
    authorities: Sequence[Certificate],
    at: datetime,
    purpose: Purpose | None,
) -> tuple[Certificate, ...]:
    """Return the chain from the leaf to the authority that vouches for it.

    The intermediates may come in any order and need not all be used. `purpose` is the role of the
    leaf's owner; None leaves the extended key usage aside. `at` has a time zone.

    Raises:
        AuthenticationError: there is no such chain at that time.
    """
    if len(intermediates) >= CERTIFICATES_MOST:
        raise AuthenticationError(f"more than {CERTIFICATES_MOST} certificates")
    check_leaf(leaf, purpose)
    search = _Search(tuple(dict.fromkeys(intermediates)), tuple(authorities), at)
    chain = search.extend((leaf,))
    if chain is None:
        raise AuthenticationError("; ".join(search.reasons[:_REASONS_MOST]))
    return chain


@dataclass
class _Search:
    """A depth-first search with a bound on its work. `reasons` says why branches ended."""

    intermediates: tuple[Certificate, ...]
    authorities: tuple[Certificate, ...]
    at: datetime
    signatures: int = 0
    reasons: list[str] = field(default_factory=list)

    def extend(self, chain: tuple[Certificate, ...]) -> tuple[Certificate, ...] | None:
        """Return a whole chain that begins with this one, or None."""
        last = chain[-1]
        if self._refuses(check_certificate, last, self.at):
            return None
        if last in self.authorities:
            return chain
        if len(chain) >= DEPTH_MOST:
            self.reasons.append(f"a chain of more than {DEPTH_MOST} certificates")
            return None
        before = len(self.reasons)
        for issuer in self._issuers(chain):
            if self._refuses(self._check_link, chain, issuer):
                continue
            whole = self.extend((*chain, issuer))
            if whole is not None:
                return whole
        if len(self.reasons) == before:
            self.reasons.append(f"{last.subject}: its issuer {last.issuer} is not known")
        return None

    def _issuers(self, chain: tuple[Certificate, ...]) -> Iterator[Certificate]:
        for candidate in (*self.authorities, *self.intermediates):
            if candidate not in chain and names_equal(candidate.subject_der, chain[-1].issuer_der):
                yield candidate

    def _check_link(self, chain: tuple[Certificate, ...], issuer: Certificate) -> None:
        self.signatures += 1
        if self.signatures > SIGNATURES_MOST:
            raise AuthenticationError(f"more than {SIGNATURES_MOST} signatures to check")
        check_issuer(issuer, chain)
        check_signature(chain[-1], issuer)

    def _refuses(self, check: Callable[..., None], *arguments: object) -> bool:
        try:
            check(*arguments)
        except AuthenticationError as error:
            self.reasons.append(error.reason)
            return True
        return False
