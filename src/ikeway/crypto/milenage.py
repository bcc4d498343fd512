# SPDX-License-Identifier: Apache-2.0
"""Milenage, the algorithms of a USIM and its home network (3GPP TS 35.206)."""

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from ikeway.model.secret import Secret

BLOCK: Final = 16
SQN_OCTETS: Final = 6
_ROTATIONS: Final = (8, 0, 4, 8, 12)
"""r1 to r5, in octets."""
_CONSTANTS: Final = (0, 1, 2, 4, 8)
"""c1 to c5: their last octets, which are all that is not zero."""


@dataclass(frozen=True, slots=True)
class Usim:
    """The subscriber's key and the operator's variant of the algorithms, OPc."""

    key: Secret
    opc: Secret

    @classmethod
    def with_op(cls, key: Secret, op: Secret) -> "Usim":
        """Return the USIM of an operator that is known by its OP."""
        return cls(key, Secret(_xor(_encrypt(key, op.octets), op.octets)))

    def macs(self, rand: bytes, sqn: bytes, amf: bytes) -> tuple[bytes, bytes]:
        """Return f1, the MAC of a challenge, and f1*, that of a resynchronisation."""
        out = self._out(0, rand, (sqn + amf) * 2)
        return out[:8], out[8:]

    def answer(self, rand: bytes) -> tuple[bytes, bytes]:
        """Return f2, the response RES, and f5, the key AK that hides the sequence number."""
        out = self._out(1, rand)
        return out[8:], out[:SQN_OCTETS]

    def keys(self, rand: bytes) -> tuple[bytes, bytes]:
        """Return f3, the cipher key CK, and f4, the integrity key IK."""
        return self._out(2, rand), self._out(3, rand)

    def resynchronisation(self, rand: bytes) -> bytes:
        """Return f5*, which hides the sequence number that the USIM is at."""
        return self._out(4, rand)[:SQN_OCTETS]

    def _out(self, number: int, rand: bytes, block: bytes = b"") -> bytes:
        opc, turn = self.opc.octets, _ROTATIONS[number]
        temp = _encrypt(self.key, _xor(rand, opc))
        source = _xor(block or temp, opc)
        turned = source[turn:] + source[:turn]
        inside = _xor(turned, temp) if block else turned
        constant = bytes(BLOCK - 1) + bytes([_CONSTANTS[number]])
        return _xor(_encrypt(self.key, _xor(inside, constant)), opc)


def _encrypt(key: Secret, block: bytes) -> bytes:
    cipher = Cipher(algorithms.AES(key.octets), modes.ECB())  # noqa: S305 - a single block
    return cipher.encryptor().update(block)


def _xor(one: bytes, two: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, two, strict=True))
