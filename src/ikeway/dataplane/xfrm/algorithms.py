# SPDX-License-Identifier: Apache-2.0
"""What the kernel calls the algorithms of a Child SA (IKEv2 transforms 1 and 3)."""

import struct
from dataclasses import dataclass
from typing import Final

from ikeway.dataplane.xfrm.messages import Attribute, attribute
from ikeway.model.errors import HostError
from ikeway.model.esp import EspKeys, EspSuite

_AEAD: Final = {
    14: ("rfc4309(ccm(aes))", 64),
    15: ("rfc4309(ccm(aes))", 96),
    16: ("rfc4309(ccm(aes))", 128),
    18: ("rfc4106(gcm(aes))", 64),
    19: ("rfc4106(gcm(aes))", 96),
    20: ("rfc4106(gcm(aes))", 128),
    21: ("rfc4543(gcm(aes))", 128),
    28: ("rfc7539esp(chacha20,poly1305)", 128),
}
"""Name and bits of the ICV; keys have their salt at the end, as IKE gives them."""
_CIPHERS: Final = {
    3: "cbc(des3_ede)",
    11: "ecb(cipher_null)",
    12: "cbc(aes)",
    13: "rfc3686(ctr(aes))",
}
_INTEGRITY: Final = {
    2: ("hmac(sha1)", 96),
    5: ("xcbc(aes)", 96),
    8: ("cmac(aes)", 96),
    12: ("hmac(sha256)", 128),
    13: ("hmac(sha384)", 192),
    14: ("hmac(sha512)", 256),
}


@dataclass(frozen=True, slots=True)
class KernelSuite:
    """How an SA's algorithms are written, for one direction's keys."""

    suite: EspSuite

    def attributes(self, keys: EspKeys) -> bytes:
        """Return the attributes that name the algorithms and have the keys.

        Raises:
            HostError: the kernel has no such algorithm.
        """
        encr, key = self.suite.encr, keys.encr.octets
        if self.suite.is_ah:
            return self._integrity(keys)
        if encr in _AEAD:
            name, icv = _AEAD[encr]
            return attribute(Attribute.ALG_AEAD, _named(name, len(key) * 8, icv) + key)
        if encr not in _CIPHERS:
            raise HostError(f"the kernel has no ESP of {encr} with {self.suite.integ}")
        cipher = attribute(Attribute.ALG_CRYPT, _named(_CIPHERS[encr], len(key) * 8) + key)
        return cipher + self._integrity(keys)

    def _integrity(self, keys: EspKeys) -> bytes:
        """Return the attribute of what checks packets: for AH it is all that there is."""
        if self.suite.integ not in _INTEGRITY:
            protocol = "AH" if self.suite.is_ah else f"ESP of {self.suite.encr}"
            raise HostError(f"the kernel has no {protocol} with {self.suite.integ}")
        (name, icv), proof = _INTEGRITY[self.suite.integ], keys.integ.octets
        return attribute(Attribute.ALG_AUTH_TRUNC, _named(name, len(proof) * 8, icv) + proof)


def _named(name: str, *bits: int) -> bytes:
    return struct.pack(f"=64s{len(bits)}I", name.encode(), *bits)
