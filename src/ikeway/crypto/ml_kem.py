# SPDX-License-Identifier: Apache-2.0
"""ML-KEM as a key exchange method (FIPS 203, draft-ietf-ipsecme-ikev2-mlkem).

The offer is an encapsulation key and the answer a ciphertext. OpenSSL draws the randomness of an
answer itself, so that one is not made of what a `Random` gives; what it does with it is the same.
A ciphertext of the right length that nobody made gives a secret that nobody knows (§6.3), so that
the next message does not verify.
"""

from dataclasses import dataclass
from typing import Final, TypeAlias

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.mlkem import (
    MLKEM768PrivateKey,
    MLKEM768PublicKey,
    MLKEM1024PrivateKey,
    MLKEM1024PublicKey,
)

from ikeway.crypto.offer import Offer
from ikeway.crypto.random import Random
from ikeway.model.errors import InvalidPublicValueError
from ikeway.model.secret import Secret

SEED_OCTETS: Final = 64
"""The seed d | z, of which the decapsulation key is made (FIPS 203 §7.1)."""

PrivateKey: TypeAlias = type[MLKEM768PrivateKey] | type[MLKEM1024PrivateKey]
PublicKey: TypeAlias = type[MLKEM768PublicKey] | type[MLKEM1024PublicKey]


@dataclass(frozen=True, slots=True)
class MlKem:
    """A parameter set of ML-KEM as a key exchange method."""

    code: int
    name: str
    offer_octets: int
    answer_octets: int
    private_key: PrivateKey
    public_key: PublicKey

    @property
    def is_available(self) -> bool:
        """Whether the OpenSSL at hand has it, as those before 3.5 do not."""
        try:
            self.private_key.from_seed_bytes(bytes(SEED_OCTETS))
        except UnsupportedAlgorithm:
            return False
        return True

    def offer(self, random: Random) -> Offer:
        """Return a fresh encapsulation key, and the seed of its decapsulation key."""
        seed = Secret(random.octets(SEED_OCTETS))
        public = self.private_key.from_seed_bytes(seed.octets).public_key()
        return Offer(public.public_bytes_raw(), seed)

    def answer(self, random: Random, offer: bytes) -> tuple[bytes, Secret]:  # noqa: ARG002
        """Return a ciphertext for the encapsulation key, and the secret in it.

        Raises:
            InvalidPublicValueError: the key fails the checks of FIPS 203 §7.2.
        """
        self._check_length(offer, self.offer_octets)
        try:
            public = self.public_key.from_public_bytes(offer)
        except ValueError as error:
            reason = f"{self.name}: an encapsulation key that is not reduced"
            raise InvalidPublicValueError(reason) from error
        shared, ciphertext = public.encapsulate()
        return ciphertext, Secret(shared)

    def finish(self, private: Secret, answer: bytes) -> Secret:
        """Return the secret in the ciphertext.

        Raises:
            InvalidPublicValueError: the ciphertext fails the check of FIPS 203 §7.3.
        """
        self._check_length(answer, self.answer_octets)
        return Secret(self.private_key.from_seed_bytes(private.octets).decapsulate(answer))

    def _check_length(self, octets: bytes, wanted: int) -> None:
        if len(octets) != wanted:
            raise InvalidPublicValueError(
                f"{self.name}: a value of {len(octets)} octets, not {wanted}"
            )


ROWS: Final = (
    MlKem(36, "ML_KEM_768", 1184, 1088, MLKEM768PrivateKey, MLKEM768PublicKey),
    MlKem(37, "ML_KEM_1024", 1568, 1568, MLKEM1024PrivateKey, MLKEM1024PublicKey),
)
"""ML-KEM-512 has code point 35; pyca's library leaves it out."""
