# SPDX-License-Identifier: Apache-2.0
"""Signature schemes as rows: RFC 7427 with RFC 8420, and the older methods of RFC 7296 §3.8.

Their AlgorithmIdentifiers are those of certificates too, so chains are checked with the same rows.
"""

from dataclasses import dataclass
from enum import IntEnum
from itertools import product
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes

from ikeway.crypto.der import INTEGER, NULL, OBJECT_IDENTIFIER, SEQUENCE, encode
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import PrivateKey, PublicKey
from ikeway.crypto.signers import Ecdsa, EcdsaRaw, Pkcs1, Pss, Signer, WholeMessage
from ikeway.model.errors import AuthenticationError


class SignatureHash(IntEnum):
    """Hash Algorithm identifiers of SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4, RFC 8420 §2)."""

    SHA1 = 1
    SHA2_256 = 2
    SHA2_384 = 3
    SHA2_512 = 4
    IDENTITY = 5


@dataclass(frozen=True, slots=True)
class Scheme:
    """One row: how to sign. `identifiers` are what we accept, the first is what we send."""

    name: str
    hash: SignatureHash
    algorithms: frozenset[KeyAlgorithm]
    signer: Signer
    identifiers: tuple[bytes, ...] = ()

    @property
    def identifier(self) -> bytes:
        """The AlgorithmIdentifier that we send."""
        return self.identifiers[0]

    @property
    def is_pss(self) -> bool:
        """Whether it is RSASSA-PSS."""
        return isinstance(self.signer, Pss)


def sign(private: PrivateKey, scheme: Scheme, octets: bytes) -> bytes:
    """Return the signature over the octets.

    Raises:
        ValueError: the key is not for that scheme.
    """
    if private.algorithm not in scheme.algorithms:
        raise ValueError(f"{scheme.name} with a key for {private.algorithm.value}")
    return scheme.signer.sign(private.handle, octets)


def verify(public: PublicKey, scheme: Scheme, octets: bytes, signature: bytes) -> None:
    """Check the signature over the octets.

    Raises:
        AuthenticationError: the key is not for that scheme, or the signature is wrong.
    """
    if public.algorithm not in scheme.algorithms:
        raise AuthenticationError(f"{scheme.name} with a key for {public.algorithm.value}")
    try:
        scheme.signer.verify(public.handle, octets, signature)
    except InvalidSignature as error:
        raise AuthenticationError(f"the {scheme.name} signature does not verify") from error


def scheme_of(identifier: bytes) -> Scheme:
    """Return the scheme of a DER AlgorithmIdentifier, compared octet by octet (RFC 7427 §3).

    Raises:
        AuthenticationError: none of ours has it.
    """
    try:
        return _BY_IDENTIFIER[identifier]
    except KeyError:
        text = identifier[:80].hex()
        raise AuthenticationError(f"a signature algorithm that we do not use: {text}") from None


def scheme_named(name: str) -> Scheme:
    """Return the scheme of that name, of method 14 or of an older one.

    Raises:
        LookupError: none has it.
    """
    return _BY_NAME[name]


_RSA: Final = frozenset({KeyAlgorithm.RSA})
_ECDSA: Final = frozenset({KeyAlgorithm.ECDSA_256, KeyAlgorithm.ECDSA_384, KeyAlgorithm.ECDSA_521})
_RSA_ENCRYPTION: Final = "2a864886f70d0101"
_NULL: Final = encode(NULL)


def _identifier(oid: str, *parameters: bytes) -> bytes:
    return encode(SEQUENCE, encode(OBJECT_IDENTIFIER, bytes.fromhex(oid)), *parameters)


def _pkcs1(name: str, code: SignatureHash, digest: hashes.HashAlgorithm, last_arc: str) -> Scheme:
    """PKCS#1 v1.5. The parameters are NULL; absent ones must be accepted too (RFC 4055 §5)."""
    oid = _RSA_ENCRYPTION + last_arc
    forms = (_identifier(oid, _NULL), _identifier(oid))
    return Scheme(name, code, _RSA, Pkcs1(digest), forms)


def _pss(name: str, code: SignatureHash, digest: hashes.HashAlgorithm, hash_oid: str) -> Scheme:
    """RSASSA-PSS with one hash throughout and a salt of its length (RFC 7427 §A.4, RFC 4055 §3).

    The forms differ in whether the two hashes have NULL parameters, and in whether the trailer
    field, which has one value only, is written out.
    """
    # INTEROP fortinet: writes the trailer field out, as RFC 7427 §A.4.3 prints it; DER omits it.
    salt = encode(0xA2, encode(INTEGER, bytes([digest.digest_size])))
    trailers = (b"", encode(0xA3, encode(INTEGER, b"\1")))
    forms = tuple(
        _identifier(
            _RSA_ENCRYPTION + "0a",
            encode(
                SEQUENCE,
                encode(0xA0, _identifier(hash_oid, null_1)),
                encode(0xA1, _identifier(_RSA_ENCRYPTION + "08", _identifier(hash_oid, null_2))),
                salt,
                trailer,
            ),
        )
        for trailer, null_1, null_2 in product(trailers, (_NULL, b""), (_NULL, b""))
    )
    return Scheme(name, code, _RSA, Pss(digest), forms)


def _ecdsa(name: str, code: SignatureHash, digest: hashes.HashAlgorithm, oid: str) -> Scheme:
    return Scheme(name, code, _ECDSA, Ecdsa(digest), (_identifier(oid),))


def _whole(name: str, algorithm: KeyAlgorithm, oid: str) -> Scheme:
    """What signs the message itself: EdDSA, and ML-DSA with an empty context (RFC 9881 §3)."""
    identifiers = (_identifier(oid),)
    return Scheme(name, SignatureHash.IDENTITY, frozenset({algorithm}), WholeMessage(), identifiers)


_SHA1: Final = hashes.SHA1()  # noqa: S303 - only where a connection allows it
_H: Final = SignatureHash
SCHEMES: Final = (  # the first that suits is taken, so the weakest is the last
    _pkcs1("RSA_SHA2_256", _H.SHA2_256, hashes.SHA256(), "0b"),
    _pkcs1("RSA_SHA2_384", _H.SHA2_384, hashes.SHA384(), "0c"),
    _pkcs1("RSA_SHA2_512", _H.SHA2_512, hashes.SHA512(), "0d"),
    _pss("RSA_PSS_SHA2_256", _H.SHA2_256, hashes.SHA256(), "608648016503040201"),
    _pss("RSA_PSS_SHA2_384", _H.SHA2_384, hashes.SHA384(), "608648016503040202"),
    _pss("RSA_PSS_SHA2_512", _H.SHA2_512, hashes.SHA512(), "608648016503040203"),
    _ecdsa("ECDSA_SHA2_256", _H.SHA2_256, hashes.SHA256(), "2a8648ce3d040302"),
    _ecdsa("ECDSA_SHA2_384", _H.SHA2_384, hashes.SHA384(), "2a8648ce3d040303"),
    _ecdsa("ECDSA_SHA2_512", _H.SHA2_512, hashes.SHA512(), "2a8648ce3d040304"),
    _whole("ED25519", KeyAlgorithm.ED25519, "2b6570"),
    _whole("ED448", KeyAlgorithm.ED448, "2b6571"),
    _whole("ML_DSA_44", KeyAlgorithm.MLDSA_44, "608648016503040311"),
    _whole("ML_DSA_65", KeyAlgorithm.MLDSA_65, "608648016503040312"),
    _whole("ML_DSA_87", KeyAlgorithm.MLDSA_87, "608648016503040313"),
    _pkcs1("RSA_SHA1", _H.SHA1, _SHA1, "05"),
)
_BY_IDENTIFIER: Final = {blob: row for row in SCHEMES for blob in row.identifiers}


def _raw(code: SignatureHash, digest: hashes.HashAlgorithm, curve: KeyAlgorithm) -> Scheme:
    name = f"{curve.name}_{code.name}_RAW"
    return Scheme(name, code, frozenset({curve}), EcdsaRaw(digest))


OLDER_METHODS: Final = {
    1: SCHEMES[-1],
    9: _raw(_H.SHA2_256, hashes.SHA256(), KeyAlgorithm.ECDSA_256),
    10: _raw(_H.SHA2_384, hashes.SHA384(), KeyAlgorithm.ECDSA_384),
    11: _raw(_H.SHA2_512, hashes.SHA512(), KeyAlgorithm.ECDSA_521),
}
"""Authentication methods that say the scheme themselves (RFC 7296 §3.8, RFC 4754)."""
_BY_NAME: Final = {row.name: row for row in (*SCHEMES, *OLDER_METHODS.values())}
