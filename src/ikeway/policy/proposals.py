# SPDX-License-Identifier: Apache-2.0
"""Proposals in the notation that strongSwan made common, e.g. `aes256gcm16-prfsha384-x25519`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache

from typing_extensions import override

from ikeway.model.errors import ConfigError
from ikeway.model.esp import EspSuite
from ikeway.policy.algorithms import (
    ADDITIONAL,
    ADDITIONAL_WORDS,
    BY_WORD,
    BY_WORD_AH,
    Algorithm,
    number,
    word,
)
from ikeway.policy.distinct import Choice, distinct
from ikeway.wire.registry import EsnId, PrfId, ProtocolId, TransformType


@dataclass(frozen=True, slots=True)
class ProposalSpec:
    """What one proposal may contain, per transform type, in order of preference (RFC 7296 §3.3).

    `additional` are the choices for each additional key exchange, in order (RFC 9370 §2.2.1).
    """

    protocol: ProtocolId
    encr: tuple[Choice, ...]
    prf: tuple[Choice, ...]
    integ: tuple[Choice, ...]
    ke: tuple[Choice, ...]
    esn: tuple[Choice, ...]
    additional: tuple[tuple[TransformType, tuple[Choice, ...]], ...] = ()

    def of(self, kind: TransformType) -> tuple[Choice, ...]:
        """Return the choices of one transform type; none for types that we do not negotiate."""
        match kind:
            case TransformType.ENCR:
                return self.encr
            case TransformType.PRF:
                return self.prf
            case TransformType.INTEG:
                return self.integ
            case TransformType.KE:
                return self.ke
            case TransformType.ESN:
                return self.esn
            case _:
                return next((choices for each, choices in self.additional if each is kind), ())

    def allows(self, suite: "IkeSuite") -> bool:
        """Whether the suite of an IKE SA could have come from this proposal."""
        return (
            (suite.encr, suite.key_bits) in self.encr
            and (suite.prf, 0) in self.prf
            and (suite.ke, 0) in self.ke
            and ((suite.integ, 0) in self.integ if self.integ else not suite.integ)
            and self._allows_additional(dict(suite.additional))
        )

    def _allows_additional(self, chosen: dict[int, int]) -> bool:
        offered = {number(kind): choices for kind, choices in self.additional}
        is_known = all(which in offered for which in chosen)
        return is_known and all((chosen.get(i, 0), 0) in each for i, each in offered.items())

    @property
    def plain(self) -> "ProposalSpec":
        """The same without any key exchange, as for a Child SA in IKE_AUTH (RFC 7296 §1.2)."""
        return replace(self, ke=(), additional=())


@dataclass(frozen=True, slots=True)
class IkeSuite:
    """The algorithms of an IKE SA. `integ` is 0 for AEAD ciphers.

    `additional` are the additional key exchanges, each as its number and method (RFC 9370).
    """

    encr: int
    key_bits: int
    prf: int
    integ: int
    ke: int
    additional: tuple[tuple[int, int], ...] = ()

    @override
    def __str__(self) -> str:
        return ike_words(self)


@lru_cache(maxsize=256)
def ike_words(suite: IkeSuite) -> str:
    """Return the suite of an IKE SA in the notation."""
    parts = [
        word(TransformType.ENCR, suite.encr, suite.key_bits),
        *([word(TransformType.INTEG, suite.integ)] if suite.integ else []),
        word(TransformType.PRF, suite.prf),
        word(TransformType.KE, suite.ke),
        *(word(ADDITIONAL[which - 1], method) for which, method in suite.additional),
    ]
    return "-".join(parts)


@lru_cache(maxsize=256)
def esp_words(suite: EspSuite) -> str:
    """Return a suite in the notation; one of AH says so before it."""
    parts = [
        *([word(TransformType.ENCR, suite.encr, suite.key_bits)] if suite.encr else []),
        *([word(TransformType.INTEG, suite.integ)] if suite.integ else []),
        *(["esn"] if suite.esn else []),
    ]
    return ("AH " if suite.is_ah else "") + "-".join(parts)


def parse_ike(text: str, *, allow_legacy: bool = False) -> ProposalSpec:
    """Return the proposal for an IKE SA that `text` names.

    An integrity word also names the PRF of its hash unless a PRF is named; an AEAD cipher without a
    PRF gets those of SHA-2.

    Raises:
        ConfigError: an unknown, misplaced or legacy word, or a missing or superfluous algorithm.
    """
    rows = _words(text, allow_legacy=allow_legacy, usable=lambda row: row.ike, what="an IKE SA")
    spec = _gather(text, ProtocolId.IKE, rows)
    is_aead = _check_ciphers(text, rows, spec)
    prf = spec.prf or tuple((row.prf, 0) for row in rows if row.prf)
    if not prf and is_aead:
        prf = ((PrfId.HMAC_SHA2_256, 0), (PrfId.HMAC_SHA2_384, 0), (PrfId.HMAC_SHA2_512, 0))
    if not spec.ke:
        raise ConfigError(f"proposal {text!r} has no key exchange method; add one, e.g. x25519")
    return replace(spec, prf=prf)


def parse_esp(text: str, *, allow_legacy: bool = False) -> ProposalSpec:
    """Return the proposal for a Child SA that `text` names.

    Without `esn` or `noesn` both are offered, ESN first. Key exchange methods are for rekeys (PFS).

    Raises:
        ConfigError: an unknown, misplaced or legacy word, or a missing or superfluous algorithm.
    """
    rows = _words(text, allow_legacy=allow_legacy, usable=lambda row: row.esp, what="a Child SA")
    spec = _gather(text, ProtocolId.ESP, rows)
    _check_ciphers(text, rows, spec)
    return _for_child(text, spec)


def parse_ah(text: str, *, allow_legacy: bool = False) -> ProposalSpec:
    """Return the proposal for a Child SA of AH that `text` names, as `parse_esp` does for ESP.

    Raises:
        ConfigError: an unknown, misplaced or legacy word, or no integrity algorithm.
    """
    rows = _words(
        text, allow_legacy=allow_legacy, usable=lambda row: row.esp, what="AH", words=BY_WORD_AH
    )
    spec = _gather(text, ProtocolId.AH, rows)
    if not spec.integ:
        raise ConfigError(f"proposal {text!r} has no integrity algorithm; add one, e.g. sha256")
    return _for_child(text, spec)


def _for_child(text: str, spec: ProposalSpec) -> ProposalSpec:
    if spec.additional and not spec.ke:
        raise ConfigError(
            f"proposal {text!r} has an additional key exchange and no first one; add e.g. x25519"
        )
    return replace(spec, esn=spec.esn or ((EsnId.YES, 0), (EsnId.NO, 0)))


def _words(
    text: str,
    *,
    allow_legacy: bool,
    usable: Callable[[Algorithm], bool],
    what: str,
    words: Mapping[str, Algorithm] = BY_WORD,
) -> list[Algorithm]:
    rows: list[Algorithm] = []
    for part in text.lower().split("-"):
        row = words.get(part)
        if row is None or not usable(row):
            known = [row for word, row in words.items() if word not in ADDITIONAL_WORDS]
            allowed = ", ".join(r.word for r in known if usable(r) and not r.is_legacy)
            problem = "is not known" if part not in BY_WORD else f"cannot be used for {what}"
            raise ConfigError(f"proposal {text!r}: {part!r} {problem}; allowed are {allowed}")
        if row.is_legacy and not allow_legacy:
            raise ConfigError(
                f"proposal {text!r}: {part!r} is weak and needs `legacy = true` in its connection"
            )
        rows.append(row)
    return rows


def _gather(text: str, protocol: ProtocolId, rows: list[Algorithm]) -> ProposalSpec:
    def of(kind: TransformType) -> tuple[Choice, ...]:
        return tuple(dict.fromkeys((row.id, row.key_bits) for row in rows if row.type is kind))

    additional = tuple((kind, of(kind)) for kind in ADDITIONAL if of(kind))
    methods = of(TransformType.KE), *(choices for _, choices in additional)
    if all(methods) and distinct(methods) is None:
        raise ConfigError(f"proposal {text!r}: no key exchange method may be used twice")
    return ProposalSpec(
        protocol,
        encr=of(TransformType.ENCR),
        prf=of(TransformType.PRF),
        integ=of(TransformType.INTEG),
        ke=of(TransformType.KE),
        esn=of(TransformType.ESN),
        additional=additional,
    )


def _check_ciphers(text: str, rows: list[Algorithm], spec: ProposalSpec) -> bool:
    """Return whether the ciphers are AEAD; they must not mix with others (RFC 5282 §8)."""
    kinds = {row.is_aead for row in rows if row.type is TransformType.ENCR}
    if not kinds:
        raise ConfigError(f"proposal {text!r} has no cipher; add one, e.g. aes256gcm16")
    if len(kinds) > 1:
        raise ConfigError(f"proposal {text!r} mixes AEAD ciphers with others; write two proposals")
    is_aead = kinds == {True}
    if is_aead and spec.integ:
        raise ConfigError(f"proposal {text!r}: an AEAD cipher takes no integrity algorithm")
    if not is_aead and not spec.integ:
        raise ConfigError(f"proposal {text!r} needs an integrity algorithm, e.g. sha256")
    return is_aead
