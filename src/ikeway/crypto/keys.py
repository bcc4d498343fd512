# SPDX-License-Identifier: Apache-2.0
"""The key schedule of IKE SAs and Child SAs (RFC 7296 §2.14, §2.17, §2.18; RFC 5282 §7)."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from ikeway.crypto.encr import encryption
from ikeway.crypto.integ import integrity
from ikeway.crypto.prf import Prf
from ikeway.crypto.protection import DirectionKeys, Protection
from ikeway.model.esp import EspKeys
from ikeway.model.secret import Secret

_GMAC_OCTETS: Final = {9: 16 + 4, 10: 24 + 4, 11: 32 + 4}
"""AES-GMAC for AH, with its salt: the packets are none of ours, so that it is in no table here."""


@dataclass(frozen=True, slots=True)
class IkeKeys:
    """The seven keys of an IKE SA, in the order in which prf+ gives them."""

    sk_d: Secret
    sk_ai: Secret
    sk_ar: Secret
    sk_ei: Secret
    sk_er: Secret
    sk_pi: Secret
    sk_pr: Secret

    @property
    def initiator(self) -> DirectionKeys:
        """What protects the messages of the SA's original initiator."""
        return DirectionKeys(self.sk_ei, self.sk_ai)

    @property
    def responder(self) -> DirectionKeys:
        """What protects the messages of the SA's original responder."""
        return DirectionKeys(self.sk_er, self.sk_ar)


@dataclass(frozen=True, slots=True)
class Replaced:
    """What the IKE SA that is being rekeyed gives to its successor: its PRF and SK_d."""

    prf: Prf
    sk_d: Secret


def derive_ike_keys(  # noqa: PLR0913, PLR0917 - the inputs that RFC 7296 names
    prf: Prf,
    protection: Protection,
    shared: Secret,
    nonce_i: bytes,
    nonce_r: bytes,
    spi_i: bytes,
    spi_r: bytes,
    replaced: Replaced | None = None,
    further: tuple[Secret, ...] = (),
) -> IkeKeys:
    """Return the keys of a new IKE SA (RFC 7296 §2.14), or of one that replaces another (§2.18).

    `shared` is g^ir, `further` are the secrets of the key exchanges that followed it in a rekey
    (RFC 9370 §2.2.4); `prf` and `protection` are those of the new IKE SA. After a rekey, SKEYSEED
    is made with the PRF of the replaced SA, all else with the new one.
    """
    if replaced is None:
        skeyseed = prf.compute(prf.skeyseed_key(nonce_i, nonce_r), shared.octets)
    else:
        mixed = shared.octets + nonce_i + nonce_r + _joined(further)
        skeyseed = replaced.prf.compute(replaced.sk_d.octets, mixed)
    return _expand(prf, protection, skeyseed, nonce_i + nonce_r + spi_i + spi_r)


def keys_with_ppk(
    prf: Prf, protection: Protection, ppk: Secret, sk_d: Secret, seed: bytes
) -> IkeKeys:
    """Return the keys with a postquantum preshared key in all of them (RFC 9867 §3.2).

    `seed` is Ni | Nr | SPIi | SPIr of IKE_SA_INIT.
    """
    skeyseed = prf.prf_plus(ppk.octets, sk_d.octets, prf.key_octets)
    return _expand(prf, protection, skeyseed, seed)


def _expand(prf: Prf, protection: Protection, skeyseed: bytes, seed: bytes) -> IkeKeys:
    integ, encr, own = protection.integ_key_octets, protection.encr_key_octets, prf.key_octets
    sizes = (own, integ, integ, encr, encr, own, own)
    return IkeKeys(*_split(prf.prf_plus(skeyseed, seed, sum(sizes)), sizes))


def derive_child_keys(  # noqa: PLR0913, PLR0917 - the inputs that RFC 7296 names
    prf: Prf,
    sk_d: Secret,
    encr_octets: int,
    integ_octets: int,
    nonce_i: bytes,
    nonce_r: bytes,
    shared: Secret | None = None,
    further: tuple[Secret, ...] = (),
) -> tuple[EspKeys, EspKeys]:
    """Return the ESP keys, those from the exchange's initiator to its responder first (§2.17).

    `shared` is g^ir of a CREATE_CHILD_SA exchange with key exchange, `further` are the secrets of
    those that followed it (RFC 9370 §2.2.4).
    """
    seed = (shared.octets if shared else b"") + nonce_i + nonce_r + _joined(further)
    sizes = (encr_octets, integ_octets) * 2
    parts = _split(prf.prf_plus(sk_d.octets, seed, sum(sizes)), sizes)
    return EspKeys(next(parts), next(parts)), EspKeys(next(parts), next(parts))


def esp_key_octets(encr: int, key_bits: int, integ: int) -> tuple[int, int]:
    """Return the lengths of the encryption key, with its salt, and of the integrity key of ESP.

    AH has no encryption key, and `encr` 0 (RFC 7296 §2.17); AES-GMAC has a salt (RFC 4543 §5.4).

    Raises:
        LookupError: we do not have one of the algorithms.
    """
    if not encr:
        return 0, _GMAC_OCTETS.get(integ) or integrity(integ).key_octets
    return encryption(encr, key_bits).key_octets, integrity(integ).key_octets if integ else 0


def _joined(secrets: tuple[Secret, ...]) -> bytes:
    return b"".join(secret.octets for secret in secrets)


def _split(stream: bytes, sizes: Sequence[int]) -> Iterator[Secret]:
    at = 0
    for size in sizes:
        yield Secret(stream[at : at + size])
        at += size
