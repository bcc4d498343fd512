# SPDX-License-Identifier: Apache-2.0
"""Whether to believe a certificate: the search for a chain to an authority (RFC 5280 §6.1)."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final

from cryptography import x509

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.constraints import check_names
from ikeway.crypto.names import canonical_name
from ikeway.crypto.profile import (
    Purpose,
    check_certificate,
    check_issuer,
    check_leaf,
    check_signature,
)
from ikeway.model.errors import AuthenticationError

CERTIFICATES_MOST: Final = 256
"""As many as the largest IKE message has room for; each costs no more than being read."""
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
    search = _Search(tuple(authorities), at)
    for candidate in dict.fromkeys((*authorities, *intermediates)):
        search.by_subject[_key(candidate.subject_der)].append(candidate)
    chain = search.extend((leaf,))
    if chain is None:
        raise AuthenticationError("; ".join(dict.fromkeys(search.reasons[:_REASONS_MOST])))
    return chain


def _key(name: bytes) -> object:
    """Return what is equal for equal names; octets that are no Name equal themselves only."""
    try:
        return canonical_name(name)
    except ValueError:
        return name


@dataclass
class _Search:
    """A depth-first search with a bound on its work. `reasons` says why branches ended."""

    authorities: tuple[Certificate, ...]
    at: datetime
    by_subject: defaultdict[object, list[Certificate]] = field(
        default_factory=lambda: defaultdict(list)
    )
    signatures: int = 0
    reasons: list[str] = field(default_factory=list)

    def extend(self, chain: tuple[Certificate, ...]) -> tuple[Certificate, ...] | None:
        """Return a whole chain that begins with this one, or None.

        Raises:
            AuthenticationError: the search has become too much work.
        """
        last = chain[-1]
        if self._refuses(check_certificate, last, self.at):
            return None
        if last in self.authorities:
            return None if self._refuses(check_names, chain) else chain
        if len(chain) >= DEPTH_MOST:
            self.reasons.append(f"a chain of more than {DEPTH_MOST} certificates")
            return None
        before = len(self.reasons)
        for issuer in self._issuers(chain):
            self._count()
            if self._refuses(_check_link, chain, issuer):
                continue
            whole = self.extend((*chain, issuer))
            if whole is not None:
                return whole
        if len(self.reasons) == before:
            self.reasons.append(f"{last.subject}: its issuer {last.issuer} is not known")
        return None

    def _issuers(self, chain: tuple[Certificate, ...]) -> list[Certificate]:
        """Return who may have issued the last certificate, the likeliest first (§4.2.1.1)."""
        named = chain[-1].find(x509.AuthorityKeyIdentifier)
        key = named.key_identifier if named else None
        found = [one for one in self.by_subject[_key(chain[-1].issuer_der)] if one not in chain]
        return sorted(found, key=lambda one: _is_other_key(one, key)) if key else found

    def _count(self) -> None:
        self.signatures += 1
        if self.signatures > SIGNATURES_MOST:
            raise AuthenticationError(f"more than {SIGNATURES_MOST} signatures to check")

    def _refuses(self, check: Callable[..., None], *arguments: object) -> bool:
        try:
            check(*arguments)
        except AuthenticationError as error:
            self.reasons.append(error.reason)
            return True
        return False


def _is_other_key(candidate: Certificate, key: bytes) -> bool:
    own = candidate.find(x509.SubjectKeyIdentifier)
    return own is None or own.digest != key


def _check_link(chain: tuple[Certificate, ...], issuer: Certificate) -> None:
    check_issuer(issuer, chain)
    check_signature(chain[-1], issuer)
