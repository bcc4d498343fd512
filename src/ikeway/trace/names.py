# SPDX-License-Identifier: Apache-2.0
"""Wireshark's names of algorithms in its key tables, and ours for those that it does not have."""

from collections.abc import Mapping
from typing import Final, TypeVar

from ikeway.crypto.encr import KEY_BITS, encryption
from ikeway.crypto.encr import ROWS as ENCRYPTIONS
from ikeway.crypto.integ import ROWS as INTEGRITIES
from ikeway.trace.opener import Algorithms

T = TypeVar("T")

_AES: Final = (128, 192, 256)
_ICV_CODES: Final = (("AES-CCM", {8: 14, 12: 15, 16: 16}), ("AES-GCM", {8: 18, 12: 19, 16: 20}))

IKE_ENCR: Final[dict[str, tuple[int, int]]] = {
    "3DES [RFC2451]": (3, 0),
    "NULL [RFC2410]": (11, 0),
    **{f"AES-CBC-{bits} [RFC3602]": (12, bits) for bits in _AES},
    **{
        f"{name}-{bits} with {icv} octet ICV [RFC5282]": (code, bits)
        for name, codes in _ICV_CODES
        for icv, code in codes.items()
        for bits in _AES
    },
}
"""Code point and key length."""

IKE_INTEG: Final[dict[str, Algorithms]] = {
    "NONE [RFC4306]": Algorithms(0),
    "HMAC_SHA1_96 [RFC2404]": Algorithms(0, integ=2),
    "HMAC_SHA2_256_128 [RFC4868]": Algorithms(0, integ=12),
    "HMAC_SHA2_384_192 [RFC4868]": Algorithms(0, integ=13),
    "HMAC_SHA2_512_256 [RFC4868]": Algorithms(0, integ=14),
    "HMAC_MD5_96 [RFC2403]": Algorithms(0, unchecked_octets=12),
    "HMAC_MD5_128 [RFC4595]": Algorithms(0, unchecked_octets=16),
    "HMAC_SHA1_160 [RFC4595]": Algorithms(0, unchecked_octets=20),
    **{
        f"ANY {bits}-bits of Authentication [No Checking]": Algorithms(
            0, unchecked_octets=bits // 8
        )
        for bits in (64, 96, 128, 160, 192, 256)
    },
}
"""Integrity algorithms, or how many octets there are that Wireshark or we cannot check."""

ESP_ENCR: Final[dict[str, int]] = {
    "NULL": 11,
    "TripleDES-CBC [RFC2451]": 3,
    "AES-CBC [RFC3602]": 12,
    "AES-CTR [RFC3686]": 13,
    "AES-GCM [RFC4106]": 20,
    "AES-GCM with 8 octet ICV [RFC4106]": 18,
    "AES-GCM with 12 octet ICV [RFC4106]": 19,
    "AES-GCM with 16 octet ICV [RFC4106]": 20,
}
"""Code points; the key's length follows from the key."""

ESP_INTEG: Final[dict[str, Algorithms]] = {
    "NULL": Algorithms(0),
    "HMAC-SHA-1-96 [RFC2404]": Algorithms(0, integ=2),
    "HMAC-SHA-256-128 [RFC4868]": Algorithms(0, integ=12),
    "HMAC-SHA-384-192 [RFC4868]": Algorithms(0, integ=13),
    "HMAC-SHA-512-256 [RFC4868]": Algorithms(0, integ=14),
    "HMAC-SHA-256-96 [draft-ietf-ipsec-ciph-sha-256-00]": Algorithms(0, unchecked_octets=12),
    "HMAC-MD5-96 [RFC2403]": Algorithms(0, unchecked_octets=12),
    "MAC-RIPEMD-160-96 [RFC2857]": Algorithms(0, unchecked_octets=12),
    **{
        f"ANY {bits} bit authentication [no checking]": Algorithms(0, unchecked_octets=bits // 8)
        for bits in (64, 96, 128, 192, 256)
    },
}

OWN_ENCR: Final = {
    encryption(row.code, bits).name: (row.code, bits)
    for row in ENCRYPTIONS
    for bits in KEY_BITS[row.code]
}
"""Every cipher that we have, by the name in our own lines."""
OWN_INTEG: Final = {"NONE": Algorithms(0)} | {
    row.name: Algorithms(0, integ=row.code) for row in INTEGRITIES
}

_GCM_BY_ICV: Final = {8: 18, 12: 19, 16: 20}
_OLD_GCM: Final = "AES-GCM [RFC4106]"


def ike_algorithms(encr: str, integ: str) -> Algorithms:
    """Return the algorithms of a line of `ikev2_decryption_table`, or of our own.

    Raises:
        ValueError: a name that is none; says which are.
    """
    code, bits = _known(encr, IKE_ENCR | OWN_ENCR, "encryption algorithm")
    check = _known(integ, IKE_INTEG | OWN_INTEG, "integrity algorithm")
    return Algorithms(code, bits, check.integ, check.unchecked_octets)


def esp_algorithms(encr: str, integ: str, key_octets: int) -> Algorithms:
    """Return the algorithms of a line of `esp_sa`, or of our own.

    Raises:
        ValueError: a name that is none, or a key of a length that its cipher does not have.
    """
    own = {name: code for name, (code, _) in OWN_ENCR.items()}
    code = _known(encr, ESP_ENCR | own, "encryption algorithm")
    check = _known(integ, ESP_INTEG | OWN_INTEG, "authentication algorithm")
    if encr == _OLD_GCM:  # its "authentication" tells how long the cipher's own check value is
        code = _GCM_BY_ICV.get(check.unchecked_octets, code)
    for bits in KEY_BITS[code]:
        row = encryption(code, bits)
        if row.key_octets == key_octets:
            unchecked = 0 if row.is_aead else check.unchecked_octets
            return Algorithms(code, bits, check.integ, unchecked)
    sizes = ", ".join(str(encryption(code, bits).key_octets) for bits in KEY_BITS[code])
    raise ValueError(f"a key of {key_octets} octets for {encr}, not {sizes} (with its salt)")


def _known(name: str, table: Mapping[str, T], what: str) -> T:
    if name not in table:
        raise ValueError(f"no {what} is called {name!r}; there are: {', '.join(sorted(table))}")
    return table[name]
