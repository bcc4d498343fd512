# SPDX-License-Identifier: Apache-2.0
"""What a peer is asked: one IKE_SA_INIT for each algorithm (RFC 7296 §1.2, §2.7).

A question offers a key exchange method other than the one whose value it brings. The peer chooses
a proposal first, so it says INVALID_KE_PAYLOAD if it accepts and NO_PROPOSAL_CHOSEN if not: neither
side computes a key exchange, and the peer keeps no half-open IKE SA.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from ikeway.policy import grades
from ikeway.policy.algorithms import ADDITIONAL, Algorithm
from ikeway.policy.distinct import Choice
from ikeway.wire.payloads import Proposal, Transform
from ikeway.wire.registry import EncrId, IntegId, KeMethod, PrfId, ProtocolId, TransformType

_BITS: Final = (128, 192, 256)
_AEAD: Final = (
    EncrId.AES_GCM_16,
    EncrId.AES_CCM_16,
    EncrId.AES_GCM_12,
    EncrId.AES_GCM_8,
    EncrId.AES_CCM_12,
    EncrId.AES_CCM_8,
)
_LONG: Final = (EncrId.AES_CBC, EncrId.AES_CTR, EncrId.CAMELLIA_CBC)
_OLD: Final = (EncrId.DES3, EncrId.DES, EncrId.CAST, EncrId.BLOWFISH, EncrId.IDEA, EncrId.NULL)

AEAD: Final[tuple[Choice, ...]] = (
    (EncrId.CHACHA20_POLY1305, 0),
    *((code, bits) for code in _AEAD for bits in _BITS),
)
CIPHERS: Final[tuple[Choice, ...]] = (
    *((code, bits) for code in _LONG for bits in _BITS),
    *((code, 0) for code in _OLD),
)
PRFS: Final[tuple[Choice, ...]] = tuple((code, 0) for code in PrfId)
INTEGRITY: Final[tuple[Choice, ...]] = tuple((code, 0) for code in IntegId if code)
METHODS: Final[tuple[Choice, ...]] = tuple(
    (code, 0) for code in KeMethod if code and code not in grades.POST_QUANTUM
)
POST_QUANTUM: Final[tuple[Choice, ...]] = tuple((code, 0) for code in sorted(grades.POST_QUANTUM))


@dataclass(frozen=True, slots=True)
class Offer:
    """What one question offers, by transform type. AEAD goes into a proposal of its own (§3.3)."""

    aead: tuple[Choice, ...] = AEAD
    ciphers: tuple[Choice, ...] = CIPHERS
    prf: tuple[Choice, ...] = PRFS
    integ: tuple[Choice, ...] = INTEGRITY
    ke: tuple[Choice, ...] = METHODS
    additional: tuple[Choice, ...] = ()

    def proposals(self) -> tuple[Proposal, ...]:
        """Return the proposals, numbered from 1."""
        rest = [
            *_transforms(TransformType.KE, self.ke),
            *_transforms(ADDITIONAL[0], self.additional),
        ]
        prf = _transforms(TransformType.PRF, self.prf)
        integ = _transforms(TransformType.INTEG, self.integ)
        groups = [
            [*_transforms(TransformType.ENCR, encr), *prf, *more, *rest]
            for encr, more in ((self.aead, []), (self.ciphers, integ))
            if encr
        ]
        return tuple(
            Proposal(number, ProtocolId.IKE, b"", tuple(group))
            for number, group in enumerate(groups, 1)
        )


@dataclass(frozen=True, slots=True)
class Accepted:
    """What the peer is known to accept so far, by transform type.

    `always` are additional key exchanges without which it accepts nothing.
    """

    found: dict[TransformType, tuple[Choice, ...]] = field(default_factory=dict)
    always: tuple[Choice, ...] = ()

    def of(self, kind: TransformType) -> tuple[Choice, ...]:
        """Return what it accepts of a type."""
        return self.found.get(kind, ())

    def plus(self, kind: TransformType, choices: tuple[Choice, ...]) -> "Accepted":
        """Return it with what was found of one more type."""
        return replace(self, found={**self.found, kind: choices})

    def among(self, rows: Iterable[Algorithm]) -> "Accepted":
        """Return what of it is among these rows."""
        known = {(row.type, row.id, row.key_bits) for row in rows}
        found = {
            kind: tuple(one for one in choices if (kind, *one) in known)
            for kind, choices in self.found.items()
        }
        return replace(self, found=found)

    @property
    def is_any(self) -> bool:
        """Whether there is any suite that it accepts."""
        return bool(self.of(TransformType.KE) and self.of(TransformType.ENCR))

    def offer(self) -> Offer:
        """Return an offer of all that it accepts; of a type not asked about yet, of everything."""
        known = self.found
        encr = self.of(TransformType.ENCR)
        return Offer(
            aead=tuple(one for one in AEAD if one in encr) if encr else AEAD,
            ciphers=tuple(one for one in CIPHERS if one in encr) if encr else CIPHERS,
            prf=known.get(TransformType.PRF, PRFS),
            integ=known.get(TransformType.INTEG, INTEGRITY),
            ke=known.get(TransformType.KE, METHODS),
            additional=self.always,
        )


Question = tuple[Choice, Offer]
"""Is this choice accepted? The offer contains it and nothing else of its kind."""


def about_methods(accepted: Accepted) -> tuple[Question, ...]:
    """Return a question for each key exchange method."""
    return tuple((one, replace(accepted.offer(), ke=(one,))) for one in METHODS)


def about_ciphers(accepted: Accepted) -> tuple[Question, ...]:
    """Return a question for each cipher and key length."""
    whole = accepted.offer()
    return (
        *((one, replace(whole, aead=(one,), ciphers=())) for one in AEAD),
        *((one, replace(whole, aead=(), ciphers=(one,))) for one in CIPHERS),
    )


def about_prfs(accepted: Accepted) -> tuple[Question, ...]:
    """Return a question for each pseudorandom function."""
    return tuple((one, replace(accepted.offer(), prf=(one,))) for one in PRFS)


def about_integrity(accepted: Accepted) -> tuple[Question, ...]:
    """Return a question for each integrity algorithm, if a cipher is accepted that needs one."""
    whole = accepted.offer()
    if not whole.ciphers:
        return ()
    return tuple((one, replace(whole, aead=(), integ=(one,))) for one in INTEGRITY)


def about_post_quantum(accepted: Accepted) -> tuple[Question, ...]:
    """Return a question for each method that a quantum computer does not break (RFC 9370)."""
    return tuple((one, replace(accepted.offer(), additional=(one,))) for one in POST_QUANTUM)


STAGES: Final = (
    (TransformType.KE, about_methods),
    (TransformType.ENCR, about_ciphers),
    (TransformType.INTEG, about_integrity),
    (TransformType.PRF, about_prfs),
    (ADDITIONAL[0], about_post_quantum),
)
"""In this order each stage offers only what the peer accepts of the types before."""


def _transforms(kind: TransformType, choices: tuple[Choice, ...]) -> list[Transform]:
    return [Transform.of(kind, code, bits or None) for code, bits in choices]
