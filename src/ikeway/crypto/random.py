# SPDX-License-Identifier: Apache-2.0
"""Where random octets come from: a port for the system's source, and a seeded one."""

from typing import Final, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import ChaCha20

from ikeway.model.secret import Secret


class Random(Protocol):
    """A source of octets that nobody can predict. The shell gives the system's own."""

    def octets(self, count: int) -> bytes:
        """Return `count` fresh octets."""
        ...


class SeededRandom:
    """The ChaCha20 key stream of a seed: the same seed gives the same octets.

    For journals, simulators and tests. As unpredictable as its seed of 32 octets.
    """

    SEED_OCTETS: Final = 32

    def __init__(self, seed: Secret) -> None:
        if len(seed) != self.SEED_OCTETS:
            raise ValueError(f"a seed of {len(seed)} octets, not {self.SEED_OCTETS}")
        self._stream = Cipher(ChaCha20(seed.octets, bytes(16)), mode=None).encryptor()

    def octets(self, count: int) -> bytes:
        """Return the next `count` octets of the stream."""
        return self._stream.update(bytes(count))
