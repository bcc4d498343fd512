# SPDX-License-Identifier: Apache-2.0
"""The ESP suites that the engine has, by IKEv2 code points."""

from dataclasses import dataclass

NULL = 11
_INTEG_OCTETS = {0: 0, 12: 32, 13: 48, 14: 64}


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
        if self.encr == NULL:
            return 0
        key = (self.key_bits or 256) // 8
        return key if self.integ else key + 4

    @property
    def integ_octets(self) -> int:
        """Octets of the integrity key."""
        return _INTEG_OCTETS[self.integ]


SUITES = (
    Suite("aes128gcm16", 20, 128, 0),
    Suite("aes192gcm16", 20, 192, 0),
    Suite("aes256gcm16", 20, 256, 0),
    Suite("chacha20poly1305", 28, 0, 0),
    *(Suite(f"null-sha{mac}", NULL, 0, integ) for mac, integ in ((256, 12), (384, 13), (512, 14))),
    *(
        Suite(f"aes{bits}-sha{mac}", 12, bits, integ)
        for bits in (128, 192, 256)
        for mac, integ in ((256, 12), (384, 13), (512, 14))
    ),
)
