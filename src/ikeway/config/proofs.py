# SPDX-License-Identifier: Apache-2.0
"""Proofs of identity as the configuration writes them: one, or two that both have to come."""

from typing import Final

from ikeway.model.errors import ConfigError
from ikeway.policy.connection import Proof, Twofold

LATER: Final = {
    "eap-": "the part on EAP",
}
"""Words, or beginnings of words, that this release lacks, and what they wait for."""
FIRSTS: Final = (Proof.CERTIFICATE, Proof.PUBKEY, Proof.PSK)
"""What may come before another proof."""
KNOWN: Final = tuple(proof.value for proof in Proof)
WORDS: Final = f"{', '.join(f'`{word}`' for word in KNOWN)}, or two with `+` between"


def proofs(text: str) -> Proof | Twofold:
    """Return one proof, or two such as `certificate+eap-mschapv2` (RFC 4739).

    Raises:
        ConfigError: it is none, or these two do not go together.
    """
    first, *then = text.split("+")
    if not then:
        return _proof(first)
    both = Twofold(_proof(first), _proof("+".join(then)))
    if both.first not in FIRSTS or not both.then.eap_method:
        raise ConfigError(
            f"{text!r}: of two proofs the first is by certificate, pubkey or psk, the second by"
            " EAP, as in certificate+eap-mschapv2"
        )
    return both


def _proof(text: str) -> Proof:
    if text in KNOWN:
        return Proof(text)
    allowed = ", ".join(KNOWN)
    for beginning, part in LATER.items():
        if text.startswith(beginning):
            raise ConfigError(
                f"{text!r} is not in this release, it waits for {part}; allowed now: {allowed}"
            )
    raise ConfigError(f"{text!r} is not known; allowed: {allowed}")
