# SPDX-License-Identifier: Apache-2.0
"""How good an algorithm is today, and why: what an audit says of it (RFC 8247, RFC 9395)."""

from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Final

from ikeway.model.esp import EspSuite
from ikeway.policy.algorithms import word
from ikeway.policy.proposals import IkeSuite
from ikeway.wire.registry import EncrId, IntegId, KeMethod, PrfId, TransformType


class Grade(IntEnum):
    """From what anybody can break to what nobody is expected to."""

    BROKEN = 0
    WEAK = 1
    FAIR = 2
    STRONG = 3


@dataclass(frozen=True, slots=True)
class Judgement:
    """A grade with its reason, which is empty where there is nothing to say."""

    grade: Grade
    why: str = ""


_STRONG: Final = Judgement(Grade.STRONG)
_UNKNOWN: Final = Judgement(Grade.FAIR, "not known to ikeway")
_NO_AEAD: Final = Judgement(Grade.FAIR, "CBC: works, but an AEAD cipher is faster and simpler")
_SHORT_TAG: Final = Judgement(Grade.FAIR, "a shorter integrity check value than 16 octets")
_SMALL_BLOCK: Final = Judgement(Grade.WEAK, "64-bit blocks (Sweet32)")
_MD5: Final = Judgement(Grade.BROKEN, "MD5; RFC 8247: MUST NOT")
_SHA1: Final = Judgement(Grade.WEAK, "SHA-1; being phased out by RFC 8247")
_BRAINPOOL: Final = Judgement(Grade.FAIR, "few implementations, none in ikeway")
_GOST: Final = Judgement(Grade.FAIR, "national standard")
_MODP_112: Final = Judgement(Grade.FAIR, "112 bits of security; RFC 8247 requires it for now")

_ENCR: Final[dict[int, Judgement]] = {
    EncrId.DES_IV64: Judgement(Grade.BROKEN, "56-bit keys"),
    EncrId.DES: Judgement(Grade.BROKEN, "56-bit keys; RFC 8247: MUST NOT"),
    EncrId.DES_IV32: Judgement(Grade.BROKEN, "56-bit keys"),
    EncrId.DES3: _SMALL_BLOCK,
    EncrId.RC5: _SMALL_BLOCK,
    EncrId.IDEA: _SMALL_BLOCK,
    EncrId.CAST: _SMALL_BLOCK,
    EncrId.BLOWFISH: _SMALL_BLOCK,
    EncrId.IDEA3: _SMALL_BLOCK,
    EncrId.NULL: Judgement(Grade.BROKEN, "no encryption"),
    EncrId.AES_CBC: _NO_AEAD,
    EncrId.AES_CTR: _NO_AEAD,
    EncrId.CAMELLIA_CBC: _NO_AEAD,
    EncrId.CAMELLIA_CTR: _NO_AEAD,
    EncrId.AES_CCM_8: _SHORT_TAG,
    EncrId.AES_CCM_12: _SHORT_TAG,
    EncrId.AES_GCM_8: _SHORT_TAG,
    EncrId.AES_GCM_12: _SHORT_TAG,
    EncrId.CAMELLIA_CCM_8: _SHORT_TAG,
    EncrId.CAMELLIA_CCM_12: _SHORT_TAG,
    EncrId.NULL_AUTH_AES_GMAC: Judgement(Grade.BROKEN, "no encryption"),
    EncrId.AES_CCM_8_IIV: _SHORT_TAG,
    EncrId.AES_GCM_16_IIV: _STRONG,
    EncrId.CHACHA20_POLY1305_IIV: _STRONG,
    EncrId.AES_CCM_16: _STRONG,
    EncrId.AES_GCM_16: _STRONG,
    EncrId.CAMELLIA_CCM_16: _STRONG,
    EncrId.CHACHA20_POLY1305: _STRONG,
}
_PRF: Final[dict[int, Judgement]] = {
    PrfId.HMAC_MD5: _MD5,
    PrfId.HMAC_SHA1: _SHA1,
    PrfId.HMAC_TIGER: Judgement(Grade.WEAK, "Tiger"),
    PrfId.AES128_XCBC: Judgement(Grade.FAIR, "for small devices (RFC 8247)"),
    PrfId.AES128_CMAC: Judgement(Grade.FAIR, "for small devices"),
    PrfId.HMAC_SHA2_256: _STRONG,
    PrfId.HMAC_SHA2_384: _STRONG,
    PrfId.HMAC_SHA2_512: _STRONG,
    PrfId.HMAC_STREEBOG_512: _GOST,
}
_INTEG: Final[dict[int, Judgement]] = {
    IntegId.HMAC_MD5_96: _MD5,
    IntegId.HMAC_MD5_128: _MD5,
    IntegId.DES_MAC: Judgement(Grade.BROKEN, "DES; RFC 8247: MUST NOT"),
    IntegId.KPDK_MD5: _MD5,
    IntegId.HMAC_SHA1_96: _SHA1,
    IntegId.HMAC_SHA1_160: _SHA1,
    IntegId.AES_XCBC_96: Judgement(Grade.FAIR, "96 bits"),
    IntegId.AES_CMAC_96: Judgement(Grade.FAIR, "96 bits"),
    IntegId.HMAC_SHA2_256_128: _STRONG,
    IntegId.HMAC_SHA2_384_192: _STRONG,
    IntegId.HMAC_SHA2_512_256: _STRONG,
}
_KE: Final[dict[int, Judgement]] = {
    KeMethod.MODP_768: Judgement(Grade.BROKEN, "768 bits; RFC 8247: MUST NOT"),
    KeMethod.MODP_1024: Judgement(Grade.BROKEN, "1024 bits: within reach of states (Logjam)"),
    KeMethod.MODP_1536: Judgement(Grade.WEAK, "1536 bits; RFC 8247: SHOULD NOT"),
    KeMethod.MODP_1024_160: Judgement(Grade.BROKEN, "a small subgroup of 1024; MUST NOT"),
    KeMethod.MODP_2048_224: Judgement(Grade.WEAK, "a small subgroup; RFC 8247: SHOULD NOT"),
    KeMethod.MODP_2048_256: Judgement(Grade.WEAK, "a small subgroup; RFC 8247: SHOULD NOT"),
    KeMethod.MODP_2048: _MODP_112,
    KeMethod.ECP_192: Judgement(Grade.WEAK, "96 bits of security"),
    KeMethod.ECP_224: _MODP_112,
    KeMethod.BRAINPOOL_P224R1: _MODP_112,
    KeMethod.BRAINPOOL_P256R1: _BRAINPOOL,
    KeMethod.BRAINPOOL_P384R1: _BRAINPOOL,
    KeMethod.BRAINPOOL_P512R1: _BRAINPOOL,
    KeMethod.GOST3410_2012_256: _GOST,
    KeMethod.GOST3410_2012_512: _GOST,
    **dict.fromkeys(
        (
            KeMethod.MODP_3072,
            KeMethod.MODP_4096,
            KeMethod.MODP_6144,
            KeMethod.MODP_8192,
            KeMethod.ECP_256,
            KeMethod.ECP_384,
            KeMethod.ECP_521,
            KeMethod.CURVE25519,
            KeMethod.CURVE448,
            KeMethod.ML_KEM_512,
            KeMethod.ML_KEM_768,
            KeMethod.ML_KEM_1024,
        ),
        _STRONG,
    ),
}
_TABLES: Final[dict[TransformType, dict[int, Judgement]]] = {
    TransformType.ENCR: _ENCR,
    TransformType.PRF: _PRF,
    TransformType.INTEG: _INTEG,
    TransformType.KE: _KE,
}

POST_QUANTUM: Final = frozenset({KeMethod.ML_KEM_512, KeMethod.ML_KEM_768, KeMethod.ML_KEM_1024})
"""Key exchange methods that a quantum computer does not break."""


def is_post_quantum(suite: IkeSuite) -> bool:
    """Whether a quantum computer would not be enough to find the keys of an IKE SA."""
    methods = suite.ke, *(method for _, method in suite.additional)
    return not POST_QUANTUM.isdisjoint(methods)


@lru_cache(maxsize=256)
def weaknesses(suite: IkeSuite) -> tuple[str, ...]:
    """Return what is weak or broken in the suite of an IKE SA, each with its reason."""
    return _weak(
        (TransformType.ENCR, suite.encr, suite.key_bits),
        (TransformType.INTEG, suite.integ, 0),
        (TransformType.PRF, suite.prf, 0),
        (TransformType.KE, suite.ke, 0),
    )


@lru_cache(maxsize=256)
def child_weaknesses(suite: EspSuite, method: int) -> tuple[str, ...]:
    """Return what is weak or broken in a Child SA, each with its reason.

    `method` is that of its own key exchange, 0 if its keys are of those of the IKE SA.
    """
    return _weak(
        (TransformType.ENCR, suite.encr, suite.key_bits),
        (TransformType.INTEG, suite.integ, 0),
        (TransformType.KE, method, 0),
    )


def _weak(*chosen: tuple[TransformType, int, int]) -> tuple[str, ...]:
    return tuple(
        f"{word(kind, code, bits)} ({judge(kind, code).why})"
        for kind, code, bits in chosen
        if judge(kind, code).grade <= Grade.WEAK
    )


def judge(kind: TransformType, code: int) -> Judgement:
    """Return what there is to say about an algorithm; additional exchanges count as exchanges."""
    return _TABLES.get(kind, _TABLES[TransformType.KE]).get(code, _UNKNOWN)
