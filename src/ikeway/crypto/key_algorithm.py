# SPDX-License-Identifier: Apache-2.0
"""The kinds of keys, by the names that operators use. Importing it costs nothing.

The command line shows them in `--help`, before anything of OpenSSL is loaded.
"""

from enum import Enum


class KeyAlgorithm(Enum):
    """What a key can do. ECDSA keys name their curve, because schemes depend on it."""

    RSA = "rsa"
    ECDSA_256 = "ecdsa256"
    ECDSA_384 = "ecdsa384"
    ECDSA_521 = "ecdsa521"
    ED25519 = "ed25519"
    ED448 = "ed448"
    MLDSA_44 = "mldsa44"
    MLDSA_65 = "mldsa65"
    MLDSA_87 = "mldsa87"
