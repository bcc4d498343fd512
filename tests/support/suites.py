# SPDX-License-Identifier: Apache-2.0
"""The suites of ESP and AH that the engine has, by IKEv2 code points."""

from dataclasses import dataclass

AH, NULL, CBC, TRIPLE_DES, GMAC = 0, 11, 12, 3, 21
CCM_ICV = {14: 8, 15: 12, 16: 16, 29: 8}
GCM_ICV = {18: 8, 19: 12, 20: 16, 30: 16}
CHACHA = frozenset({28, 31})
IMPLICIT = frozenset({29, 30, 31})
_INTEG_OCTETS = {0: 0, 2: 20, 5: 16, 8: 16, 9: 20, 10: 28, 11: 36, 12: 32, 13: 48, 14: 64}
_AES = (128, 192, 256)
_MACS = (
    ("sha256", 12),
    ("sha384", 13),
    ("sha512", 14),
    ("sha1", 2),
    ("aesxcbc", 5),
    ("aescmac", 8),
)
_AEADS = (
    ("gcm16", 20),
    ("gcm12", 19),
    ("gcm8", 18),
    ("gcm16iiv", 30),
    ("gmac", GMAC),
    ("ccm16", 16),
    ("ccm12", 15),
    ("ccm8", 14),
    ("ccm8iiv", 29),
)


@dataclass(frozen=True)
class Suite:
    """One row."""

    name: str
    encr: int
    key_bits: int
    integ: int

    @property
    def encr_octets(self) -> int:
        """Octets of the encryption key, salt included."""
        if self.encr in {AH, NULL, TRIPLE_DES}:
            return {AH: 0, NULL: 0, TRIPLE_DES: 24}[self.encr]
        key = (self.key_bits or 256) // 8
        salt = 3 if self.encr in CCM_ICV else 4
        return key if self.integ else key + salt

    @property
    def integ_octets(self) -> int:
        """Octets of the integrity key."""
        return _INTEG_OCTETS[self.integ]

    @property
    def block_octets(self) -> int:
        """What the ciphertext's length is a multiple of, and the length of a block of CBC."""
        return {CBC: 16, TRIPLE_DES: 8}.get(self.encr, 4)

    @property
    def iv_octets(self) -> int:
        """Octets of IV in a packet."""
        if self.integ:
            return 0 if self.encr == NULL else self.block_octets
        return 0 if self.encr in IMPLICIT else 8


SUITES = (
    *(Suite(f"aes{bits}{mode}", code, bits, 0) for mode, code in _AEADS for bits in _AES),
    Suite("chacha20poly1305", 28, 0, 0),
    Suite("chacha20poly1305iiv", 31, 0, 0),
    *(
        Suite(f"{name}-{mac}", encr, bits, integ)
        for name, encr, bits in (
            ("null", NULL, 0),
            ("3des", TRIPLE_DES, 0),
            *((f"aes{bits}", CBC, bits) for bits in _AES),
        )
        for mac, integ in _MACS
    ),
)
AH_SUITES = tuple(
    Suite(name, AH, 0, integ)
    for name, integ in (*_MACS, *((f"aes{bits}gmac", 9 + at) for at, bits in enumerate(_AES)))
)
BY_NAME = {suite.name: suite for suite in SUITES}
