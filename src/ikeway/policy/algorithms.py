# SPDX-License-Identifier: Apache-2.0
"""The words of the proposal notation, and which need a named opt-in (RFC 8221, RFC 8247)."""

from dataclasses import dataclass, replace
from typing import Final

from ikeway.crypto.kex import is_available
from ikeway.wire.registry import EncrId, EsnId, IntegId, KeMethod, PrfId, TransformType


@dataclass(frozen=True, slots=True)
class Algorithm:
    """One word of the notation: a transform, and what it brings along.

    `key_bits` is 0 for ciphers of one key length. `prf` is the PRF that an integrity word implies
    in a proposal for an IKE SA.
    """

    word: str
    type: TransformType
    id: int
    key_bits: int = 0
    is_aead: bool = False
    prf: int = 0
    is_legacy: bool = False
    ike: bool = True
    esp: bool = True


_AES: Final = (128, 192, 256)


def _encr(word: str, code: EncrId, bits: int = 0, *, aead: bool = False) -> Algorithm:
    return Algorithm(word, TransformType.ENCR, code, bits, is_aead=aead)


def _aead(word: str, code: EncrId, *synonyms: str) -> tuple[Algorithm, ...]:
    """Return an AEAD mode of AES with every key length; words are behind `aes128` and so on."""
    return tuple(
        _encr(f"aes{bits}{each}", code, bits, aead=True)
        for bits in _AES
        for each in (word, *synonyms)
    )


def _esp_only(*rows: Algorithm) -> tuple[Algorithm, ...]:
    return tuple(replace(row, ike=False) for row in rows)


def _legacy(row: Algorithm) -> Algorithm:
    return replace(row, is_legacy=True)


def _integ(word: str, code: IntegId, prf: PrfId) -> Algorithm:
    return Algorithm(word, TransformType.INTEG, code, prf=prf)


def _prf(word: str, code: PrfId) -> Algorithm:
    return Algorithm(word, TransformType.PRF, code, esp=False)


def _ke(word: str, code: KeMethod) -> Algorithm:
    return Algorithm(word, TransformType.KE, code)


_POST_QUANTUM: Final = (
    _ke("mlkem768", KeMethod.ML_KEM_768),
    _ke("mlkem1024", KeMethod.ML_KEM_1024),
)

ALGORITHMS: Final = (
    _encr("aes128", EncrId.AES_CBC, 128),
    _encr("aes192", EncrId.AES_CBC, 192),
    _encr("aes256", EncrId.AES_CBC, 256),
    *_aead("gcm16", EncrId.AES_GCM_16, "gcm128", "gcm"),
    *_aead("gcm12", EncrId.AES_GCM_12, "gcm96"),
    *_aead("gcm8", EncrId.AES_GCM_8, "gcm64"),
    *_aead("ccm16", EncrId.AES_CCM_16, "ccm128"),
    *_aead("ccm12", EncrId.AES_CCM_12, "ccm96"),
    *_aead("ccm8", EncrId.AES_CCM_8, "ccm64"),
    _encr("chacha20poly1305", EncrId.CHACHA20_POLY1305, aead=True),
    *_esp_only(
        *_aead("gcm16iiv", EncrId.AES_GCM_16_IIV),
        *_aead("ccm8iiv", EncrId.AES_CCM_8_IIV),
        _encr("chacha20poly1305iiv", EncrId.CHACHA20_POLY1305_IIV, aead=True),
        *_aead("gmac", EncrId.NULL_AUTH_AES_GMAC),
        _encr("null", EncrId.NULL),
    ),
    _integ("sha256", IntegId.HMAC_SHA2_256_128, PrfId.HMAC_SHA2_256),
    _integ("sha384", IntegId.HMAC_SHA2_384_192, PrfId.HMAC_SHA2_384),
    _integ("sha512", IntegId.HMAC_SHA2_512_256, PrfId.HMAC_SHA2_512),
    _integ("aesxcbc", IntegId.AES_XCBC_96, PrfId.AES128_XCBC),
    _integ("aescmac", IntegId.AES_CMAC_96, PrfId.AES128_CMAC),
    _prf("prfsha256", PrfId.HMAC_SHA2_256),
    _prf("prfsha384", PrfId.HMAC_SHA2_384),
    _prf("prfsha512", PrfId.HMAC_SHA2_512),
    _prf("prfaesxcbc", PrfId.AES128_XCBC),
    _prf("prfaescmac", PrfId.AES128_CMAC),
    _ke("x25519", KeMethod.CURVE25519),
    _ke("curve25519", KeMethod.CURVE25519),
    _ke("x448", KeMethod.CURVE448),
    _ke("curve448", KeMethod.CURVE448),
    _ke("ecp256", KeMethod.ECP_256),
    _ke("ecp384", KeMethod.ECP_384),
    _ke("ecp521", KeMethod.ECP_521),
    _ke("modp2048", KeMethod.MODP_2048),
    _ke("modp3072", KeMethod.MODP_3072),
    _ke("modp4096", KeMethod.MODP_4096),
    _ke("modp6144", KeMethod.MODP_6144),
    _ke("modp8192", KeMethod.MODP_8192),
    *(row for row in _POST_QUANTUM if is_available(row.id)),
    Algorithm("esn", TransformType.ESN, EsnId.YES, ike=False),
    Algorithm("noesn", TransformType.ESN, EsnId.NO, ike=False),
    _legacy(_encr("3des", EncrId.DES3)),
    _legacy(_integ("sha1", IntegId.HMAC_SHA1_96, PrfId.HMAC_SHA1)),
    _legacy(_prf("prfsha1", PrfId.HMAC_SHA1)),
    _legacy(_ke("modp1024", KeMethod.MODP_1024)),
    _legacy(_ke("modp1536", KeMethod.MODP_1536)),
)

UNENCRYPTED: Final = frozenset({EncrId.NULL, EncrId.NULL_AUTH_AES_GMAC})
"""Ciphers that are none (RFC 2410, RFC 4543); who writes one in a proposal asks for it by name."""

ADDITIONAL: Final = tuple(
    TransformType(code) for code in range(TransformType.ADDKE1, TransformType.ADDKE7 + 1)
)
"""The transform types of additional key exchanges, in their order (RFC 9370 §2.2.1)."""


def number(kind: TransformType) -> int:
    """Return which additional key exchange a transform type is, from 1 to 7."""
    return kind - TransformType.ADDKE1 + 1


def _additional(row: Algorithm, kind: TransformType) -> Algorithm:
    return replace(row, word=f"ke{number(kind)}_{row.word}", type=kind)


_NONE: Final = _ke("none", KeMethod.NONE)
_KE_ROWS: Final = (*(row for row in ALGORITHMS if row.type is TransformType.KE), _NONE)
ADDITIONAL_ROWS: Final = tuple(_additional(row, kind) for kind in ADDITIONAL for row in _KE_ROWS)

ADDITIONAL_WORDS: Final = frozenset(row.word for row in ADDITIONAL_ROWS)
BY_WORD: Final = {row.word: row for row in (*ALGORITHMS, *ADDITIONAL_ROWS)}

_AH_GMAC: Final = tuple(
    Algorithm(f"aes{bits}gmac", TransformType.INTEG, code)
    for bits, code in zip(
        _AES, (IntegId.AES_128_GMAC, IntegId.AES_192_GMAC, IntegId.AES_256_GMAC), strict=True
    )
)
"""As a cipher AES-GMAC is for ESP; for AH it is an integrity algorithm (RFC 4543 §5.3)."""
BY_WORD_AH: Final = {
    row.word: row
    for row in (
        *(row for row in BY_WORD.values() if row.type is not TransformType.ENCR),
        *_AH_GMAC,
    )
}
"""The words of proposals for AH, which has no cipher (RFC 7296 §3.3.3)."""
_BY_CODE: Final = {
    (row.type, row.id, row.key_bits): row.word for row in reversed((*BY_WORD.values(), *_AH_GMAC))
}


def word(kind: TransformType, code: int, key_bits: int = 0) -> str:
    """Return the notation's word for a transform; a transform without one is `TYPE_code`."""
    known = _BY_CODE.get((kind, code, key_bits))
    return known or f"{kind.name.lower()}_{code}"
