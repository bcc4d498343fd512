# SPDX-License-Identifier: Apache-2.0
"""Named sets of proposals, for connections that do not write their own."""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from ikeway.crypto.kex import is_available
from ikeway.policy.proposals import ProposalSpec, parse_esp, parse_ike
from ikeway.wire.registry import KeMethod


class Suites(Enum):
    """Which algorithms a connection offers and accepts unless it says so itself."""

    MODERN = "modern"
    COMPATIBLE = "compatible"
    LEGACY = "legacy"


@dataclass(frozen=True, slots=True)
class Offers:
    """Proposals, best first."""

    ike: tuple[ProposalSpec, ...]
    esp: tuple[ProposalSpec, ...]


_PRFS: Final = "prfsha384-prfsha256-prfsha512"
_STRONG: Final = "x25519-ecp384-ecp256-x448-ecp521-modp3072-modp4096"
_AEAD: Final = "aes256gcm16-aes128gcm16-chacha20poly1305"
_CBC: Final = "aes256-aes128-sha384-sha256-sha512"

_KEM: Final = "ke1_mlkem768-ke1_mlkem1024" if is_available(KeMethod.ML_KEM_768) else ""


def _offered(*texts: str) -> tuple[ProposalSpec, ...]:
    """Return the proposals, before them the same with ML-KEM.

    A peer without RFC 9370 passes over those that it does not know (RFC 7296 §3.3.6).
    """
    hybrid = tuple(f"{text}-{_KEM}" for text in texts if _KEM)
    return tuple(parse_ike(text) for text in (*hybrid, *texts))


_MODERN: Final = Offers(
    ike=_offered(f"{_AEAD}-{_PRFS}-{_STRONG}"),
    esp=(parse_esp(_AEAD),),
)
_COMPATIBLE: Final = Offers(
    ike=_offered(f"{_AEAD}-{_PRFS}-{_STRONG}-modp2048", f"{_CBC}-{_PRFS}-{_STRONG}-modp2048"),
    esp=(*_MODERN.esp, parse_esp("aes256-aes128-sha256-sha384-sha512")),
)
_LEGACY: Final = Offers(
    ike=(
        *_COMPATIBLE.ike,
        parse_ike(
            "aes256-aes128-3des-sha256-sha1-prfsha256-prfsha1-modp2048-modp1536-modp1024",
            allow_legacy=True,
        ),
    ),
    esp=(
        *_COMPATIBLE.esp,
        parse_esp("aes256-aes128-sha1", allow_legacy=True),
        parse_esp("3des-sha256-sha1", allow_legacy=True),
    ),
)

OFFERS: Final = {
    Suites.MODERN: _MODERN,
    Suites.COMPATIBLE: _COMPATIBLE,
    Suites.LEGACY: _LEGACY,
}
"""`modern`: AEAD and groups of 128 bits of security and more. `compatible`: what devices of Apple,
Google and Microsoft and routers need, and what RFC 8221 and RFC 8247 ask of everybody, but for
HMAC-SHA1, which RFC 8221 §6 has on its way out ("MUST-"). `legacy`: 3DES, SHA-1 and MODP 1024 and
1536 too, which Windows and Azure want unless told otherwise. All prefer X25519 with ML-KEM."""
