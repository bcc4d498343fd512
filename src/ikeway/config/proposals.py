# SPDX-License-Identifier: Apache-2.0
"""Proposals of the configuration: what is weak in them, and back to words."""

from ikeway.policy.algorithms import (
    ADDITIONAL,
    ADDITIONAL_ROWS,
    ALGORITHMS,
    UNENCRYPTED,
    word,
)
from ikeway.policy.proposals import ProposalSpec, parse_ah, parse_esp, parse_ike
from ikeway.wire.registry import EsnId, TransformType

_KINDS = (
    TransformType.ENCR,
    TransformType.INTEG,
    TransformType.PRF,
    TransformType.KE,
    TransformType.ESN,
    *ADDITIONAL,
)


def ike_proposal(text: str) -> ProposalSpec:
    """Return a proposal for an IKE SA, weak algorithms included.

    Raises:
        ConfigError: an unknown or misplaced word.
    """
    return parse_ike(text, allow_legacy=True)


def esp_proposal(text: str) -> ProposalSpec:
    """Return a proposal for a Child SA, as `ike_proposal`."""
    return parse_esp(text, allow_legacy=True)


def ah_proposal(text: str) -> ProposalSpec:
    """Return a proposal for a Child SA of AH, as `ike_proposal`."""
    return parse_ah(text, allow_legacy=True)


def legacy_words(spec: ProposalSpec) -> tuple[str, ...]:
    """Return the words of a proposal that need `legacy = true`; not the PRF that one implies."""
    rows = [
        row
        for row in (*ALGORITHMS, *ADDITIONAL_ROWS)
        if row.is_legacy and (row.id, row.key_bits) in spec.of(row.type)
    ]
    implied = {row.prf for row in rows}
    return tuple(
        row.word for row in rows if row.type is not TransformType.PRF or row.id not in implied
    )


def unencrypted_words(spec: ProposalSpec) -> tuple[str, ...]:
    """Return the words of a proposal that protect what is sent, and let everybody read it."""
    return tuple(
        word(TransformType.ENCR, code, bits) for code, bits in spec.encr if code in UNENCRYPTED
    )


def words(spec: ProposalSpec) -> str:
    """Return a proposal in the notation."""
    found = [
        word(kind, code, bits)
        for kind in _KINDS
        if kind is not TransformType.ESN
        for code, bits in spec.of(kind)
    ]
    esn = [("esn" if code == EsnId.YES else "noesn") for code, _ in spec.esn]
    return "-".join(found + esn)
