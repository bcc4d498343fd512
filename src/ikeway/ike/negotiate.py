# SPDX-License-Identifier: Apache-2.0
"""Choosing a proposal and checking the peer's choice (RFC 7296 §2.7, §3.3; RFC 9370 §2.2.1)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from types import MappingProxyType
from typing import Final

from ikeway.crypto.encr import KEY_BITS
from ikeway.model.errors import InvalidKeyExchangeError, NoProposalError
from ikeway.model.esp import EspSuite
from ikeway.policy.algorithms import ADDITIONAL, number
from ikeway.policy.distinct import NONE, Choice, distinct
from ikeway.policy.proposals import IkeSuite, ProposalSpec
from ikeway.wire.payloads import KeyExchange, Proposal, SecurityAssociation, Transform
from ikeway.wire.registry import KeMethod, ProtocolId, TransformType

NEGOTIATED = {
    ProtocolId.IKE: (
        TransformType.ENCR,
        TransformType.PRF,
        TransformType.INTEG,
        TransformType.KE,
        *ADDITIONAL,
    ),
    ProtocolId.ESP: (
        TransformType.ENCR,
        TransformType.INTEG,
        TransformType.KE,
        TransformType.ESN,
        *ADDITIONAL,
    ),
    ProtocolId.AH: (
        TransformType.INTEG,
        TransformType.KE,
        TransformType.ESN,
        *ADDITIONAL,
    ),
}
KEY_EXCHANGES: Final = frozenset({TransformType.KE, *ADDITIONAL})
_SPI_OCTETS: Final = {ProtocolId.IKE: (0, 8), ProtocolId.ESP: (4,), ProtocolId.AH: (4,)}


def offer(specs: tuple[ProposalSpec, ...], spi: bytes, *, with_ke: bool) -> SecurityAssociation:
    """Return our SA payload: one proposal a spec, numbered from 1 (§3.3.1)."""
    return SecurityAssociation(
        tuple(
            Proposal(number, spec.protocol, spi, _transforms(spec, with_ke=with_ke))
            for number, spec in enumerate(specs, 1)
        )
    )


def _transforms(spec: ProposalSpec, *, with_ke: bool) -> tuple[Transform, ...]:
    return tuple(
        Transform.of(kind, code, key_bits or None)
        for kind in NEGOTIATED[spec.protocol]
        if with_ke or kind not in KEY_EXCHANGES
        for code, key_bits in spec.of(kind)
    )


@dataclass(frozen=True)
class Choosing:
    """One transform per type, as chosen from an offered proposal."""

    proposal: Proposal
    chosen: Mapping[TransformType, Choice]

    @cached_property
    def ike(self) -> IkeSuite:
        """The suite of an IKE SA."""
        encr = self.chosen[TransformType.ENCR]
        integ = self.chosen.get(TransformType.INTEG, NONE)[0]
        prf = self.chosen[TransformType.PRF][0]
        return IkeSuite(*encr, prf, integ, self.chosen[TransformType.KE][0], self.additional)

    @property
    def esp(self) -> EspSuite:
        """The suite of a Child SA; AH has no cipher (§3.3.3)."""
        encr = self.chosen.get(TransformType.ENCR, NONE)
        integ = self.chosen.get(TransformType.INTEG, NONE)[0]
        return EspSuite(*encr, integ, esn=self.chosen.get(TransformType.ESN, NONE)[0] == 1)

    @property
    def method(self) -> int:
        """The key exchange method, 0 for none."""
        return self.chosen.get(TransformType.KE, NONE)[0]

    @property
    def additional(self) -> tuple[tuple[int, int], ...]:
        """The additional key exchanges in their order: the number and the method of each."""
        found = [(number(kind), self.chosen[kind][0]) for kind in ADDITIONAL if kind in self.chosen]
        return tuple([(which, method) for which, method in found if method])

    def answer(self, spi: bytes) -> SecurityAssociation:
        """Return the SA payload that tells the choice, with our SPI."""
        transforms = _answered(tuple(self.chosen.items()))
        number, protocol = self.proposal.number, self.proposal.protocol
        return SecurityAssociation((Proposal(number, protocol, spi, transforms),))


@lru_cache(maxsize=256)
def _answered(chosen: tuple[tuple[TransformType, Choice], ...]) -> tuple[Transform, ...]:
    return tuple(Transform.of(kind, code, key_bits) for kind, (code, key_bits) in chosen)


def choose(
    offered: SecurityAssociation, specs: tuple[ProposalSpec, ...], *, prefer_ke: int | None = None
) -> Choosing:
    """Return our choice among the offered proposals: our order first, then the peer's.

    `prefer_ke` is the method of the KE payload that came along: taking it saves a round trip. None
    is for exchanges without key exchange: there every method but NONE is unacceptable (§1.2).

    Raises:
        NoProposalError: nothing in common.
    """
    for spec in specs:
        for proposal in offered.proposals:
            if proposal.protocol is not spec.protocol or not _spi_fits(proposal):
                continue
            chosen = _match(proposal.transforms, spec, prefer_ke)
            if chosen is not None:
                return Choosing(proposal, chosen)
    raise NoProposalError(f"no common proposal; the peer offers {describe(offered)}")


def without_additional(offered: SecurityAssociation) -> SecurityAssociation:
    """Return the proposals without those that have a transform for an additional key exchange.

    Where IKE_INTERMEDIATE is not agreed on these count as "unknown transform types" (RFC 9370
    §2.2.1).
    """
    kept = tuple([one for one in offered.proposals if not _has_additional(one.transforms)])
    return offered if len(kept) == len(offered.proposals) else replace(offered, proposals=kept)


@lru_cache(maxsize=256)
def _has_additional(transforms: tuple[Transform, ...]) -> bool:
    return any(transform.type in ADDITIONAL for transform in transforms)


@lru_cache(maxsize=256)
def _match(
    transforms: tuple[Transform, ...], spec: ProposalSpec, prefer_ke: int | None
) -> Mapping[TransformType, Choice] | None:
    """Return our choice; peers offer the same again and again, so it is kept for a while."""
    present = {transform.type for transform in transforms}
    types = NEGOTIATED[spec.protocol]
    if any(kind not in types for kind in present):
        return None
    common = {
        kind: _common(kind, _offered(transforms, kind), spec, prefer_ke, kind in present)
        for kind in types
    }
    exchanges = [kind for kind in types if kind in KEY_EXCHANGES]
    methods = distinct([common[kind] for kind in exchanges])
    if methods is None or not all(common.values()):
        return None
    chosen = {kind: choices[0] for kind, choices in common.items()}
    chosen |= dict(zip(exchanges, methods, strict=True))
    return MappingProxyType({kind: chosen[kind] for kind in types if kind in present})


def _offered(transforms: tuple[Transform, ...], kind: TransformType) -> list[Choice]:
    return [
        (transform.id, transform.key_bits or 0)
        for transform in transforms
        if transform.type is kind and is_wellformed(transform)
    ]


def _spi_fits(proposal: Proposal) -> bool:
    return len(proposal.spi) in _SPI_OCTETS.get(proposal.protocol, ())


def _common(
    kind: TransformType,
    offered: list[Choice],
    spec: ProposalSpec,
    prefer_ke: int | None,
    is_present: bool,
) -> list[Choice]:
    """Return what both sides allow of one type, the best first; NONE where it may be absent."""
    wanted = spec.of(kind)
    if kind in KEY_EXCHANGES and spec.protocol is not ProtocolId.IKE and prefer_ke is None:
        wanted = ()
    if not is_present or not wanted:
        is_optional = kind is TransformType.ESN or kind in ADDITIONAL
        may_be_absent = not wanted or (is_optional and NONE in wanted)
        return [NONE] if may_be_absent and (not is_present or NONE in offered) else []
    common = [choice for choice in wanted if choice in offered]
    if kind is TransformType.KE:
        common.sort(key=lambda choice: choice[0] != prefer_ke)
    return common


def is_wellformed(transform: Transform) -> bool:
    """Whether a transform has just the attributes that it needs (§3.3.5, §3.3.6)."""
    lengths = [item for item in transform.attributes if item.type == 14]
    if len(lengths) != len(transform.attributes) or len(lengths) > 1:
        return False
    if transform.type is not TransformType.ENCR:
        return not lengths
    return (transform.key_bits or 0) in KEY_BITS.get(transform.id, ())


def check_choice(
    answer: SecurityAssociation, specs: tuple[ProposalSpec, ...], *, with_ke: bool, spi_octets: int
) -> Choosing:
    """Check that the peer chose from what we offered: one transform a type, nothing else (§3.3.6).

    Raises:
        NoProposalError: it did not.
    """
    if len(answer.proposals) != 1:
        raise NoProposalError(f"{len(answer.proposals)} proposals in the answer, not 1")
    proposal = answer.proposals[0]
    if not 1 <= proposal.number <= len(specs):
        raise NoProposalError(f"proposal {proposal.number} was not offered")
    spec = specs[proposal.number - 1]
    if proposal.protocol is not spec.protocol or len(proposal.spi) != spi_octets:
        raise NoProposalError("the answer changes the protocol or the SPI's size")
    chosen: dict[TransformType, Choice] = {}
    for transform in proposal.transforms:
        choice = (transform.id, transform.key_bits or 0)
        was_offered = choice in spec.of(transform.type) or (
            transform.type is TransformType.INTEG and not spec.integ and choice == NONE
        )
        if transform.type in chosen or not was_offered or not is_wellformed(transform):
            raise NoProposalError(f"transform {transform.type.name} {choice} was not offered so")
        chosen[transform.type] = choice
    for kind in NEGOTIATED[spec.protocol]:
        needed = bool(spec.of(kind)) and (with_ke or kind not in KEY_EXCHANGES)
        if needed and kind not in chosen:
            raise NoProposalError(f"the answer has no {kind.name} transform")
    if not with_ke and KEY_EXCHANGES & chosen.keys():
        raise NoProposalError("a key exchange method where none was offered")
    _check_distinct(chosen)
    return Choosing(proposal, chosen)


def _check_distinct(chosen: Mapping[TransformType, Choice]) -> None:
    methods = [chosen[kind][0] for kind in KEY_EXCHANGES & chosen.keys() if chosen[kind][0]]
    twice = {method for method in methods if methods.count(method) > 1}
    if twice:
        names = ", ".join(KeMethod(method).name for method in sorted(twice))
        raise NoProposalError(f"the answer has {names} twice")


def check_key_exchange(chosen: int, payload: KeyExchange) -> None:
    """Check that the KE payload is of the method chosen (§1.2).

    Raises:
        InvalidKeyExchangeError: it is not; its data is the method that we chose.
    """
    if payload.method != chosen:
        raise InvalidKeyExchangeError(
            f"the KE payload is of {payload.method.name}, we chose {chosen}", chosen.to_bytes(2)
        )


def describe(offered: SecurityAssociation) -> str:
    """Return the proposals for people, e.g. `1: AES_GCM_16_256 HMAC_SHA2_256 CURVE25519`."""
    parts = []
    for proposal in offered.proposals[:8]:
        names = (
            transform.label + (f"_{transform.key_bits}" if transform.key_bits else "")
            for transform in proposal.transforms[:24]
        )
        protocol = "AH " if proposal.protocol is ProtocolId.AH else ""
        parts.append(f"{proposal.number}: {protocol}{' '.join(names)}")
    return "; ".join(parts)
