# SPDX-License-Identifier: Apache-2.0
"""Authentication with signatures: RFC 7427 (method 14) and the older methods (RFC 7296 §3.8)."""

from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Final, TypeAlias

from ikeway.crypto import sign
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.keypair import PublicKey
from ikeway.crypto.sign import (
    OLDER_METHODS,
    SCHEMES,
    Scheme,
    SignatureHash,
    scheme_named,
    scheme_of,
)
from ikeway.model.errors import AuthenticationError, MalformedError

Liked: TypeAlias = Callable[[int, Scheme], bool]
"""Whether a method and a scheme are what the peer would rather see."""
RSA_SHA1: Final = 1
DIGITAL_SIGNATURE: Final = 14
OUR_HASHES: Final = (
    SignatureHash.SHA2_256,
    SignatureHash.SHA2_384,
    SignatureHash.SHA2_512,
    SignatureHash.IDENTITY,
)
"""What we announce and accept by default: no SHA-1 (RFC 8247 §4)."""

_HASHES: Final = {int(one): one for one in SignatureHash}
_HASH_ORDER: Final = {
    KeyAlgorithm.ECDSA_384: (SignatureHash.SHA2_384, SignatureHash.SHA2_512),
    KeyAlgorithm.ECDSA_521: (SignatureHash.SHA2_512, SignatureHash.SHA2_384),
}
"""Hashes as strong as the curve, before all others (RFC 7427 §6)."""


@lru_cache(maxsize=16)
def encode_hashes(hashes: tuple[int, ...]) -> bytes:
    """Return the notification data of SIGNATURE_HASH_ALGORITHMS (RFC 7427 §4)."""
    return b"".join(code.to_bytes(2) for code in hashes)


@lru_cache(maxsize=64)
def decode_hashes(data: bytes) -> frozenset[SignatureHash]:
    """Return the hashes that a peer announces; those that we do not know are ignored.

    Raises:
        MalformedError: the data is not a list of 16-bit numbers.
    """
    if len(data) % 2:
        raise MalformedError(f"SIGNATURE_HASH_ALGORITHMS of {len(data)} octets, an odd number")
    codes = [int.from_bytes(data[at : at + 2]) for at in range(0, len(data), 2)]
    return frozenset([_HASHES[code] for code in codes if code in _HASHES])


def choose(
    public: PublicKey,
    peer_hashes: Collection[int] | None,
    *,
    pss: bool = False,
    allow_sha1: bool = False,
    liked: Liked | None = None,
) -> tuple[int, str]:
    """Return the authentication method and the name of the scheme for the key's owner to sign with.

    `peer_hashes` is what the peer announced, None if it does not know RFC 7427. RSA keys sign by
    PKCS#1 v1.5 unless `pss`. Where some suit that are `liked`, it is one of these.

    Raises:
        AuthenticationError: no scheme suits the key, the peer and the policy.
    """
    if peer_hashes is None:
        usable = list(OLDER_METHODS.items())
    else:
        usable = [(DIGITAL_SIGNATURE, row) for row in SCHEMES if row.hash in peer_hashes]
    candidates = [
        (method, row)
        for method, row in usable
        if public.algorithm in row.algorithms and (allow_sha1 or row.hash is not SignatureHash.SHA1)
    ]
    if not candidates:
        heard = "no RFC 7427" if peer_hashes is None else f"hashes {sorted(peer_hashes)}"
        raise AuthenticationError(
            f"no way to sign with an {public.algorithm.value} key: the peer announces {heard}"
        )
    if liked is not None:
        candidates = [found for found in candidates if liked(*found)] or candidates
    first = _HASH_ORDER.get(public.algorithm, ())
    method, scheme = min(candidates, key=lambda found: _rank(found[1], first, pss=pss))
    return method, scheme.name


def encode(method: int, scheme: str, signature: bytes) -> bytes:
    """Return the Authentication Data, for method 14 led by the AlgorithmIdentifier (§3)."""
    if method != DIGITAL_SIGNATURE:
        return signature
    identifier = scheme_named(scheme).identifier
    return bytes([len(identifier)]) + identifier + signature


def verify(
    method: int,
    data: bytes,
    public: PublicKey,
    octets: bytes,
    hashes: Collection[int] = OUR_HASHES,
    *,
    allow_sha1: bool = False,
) -> Scheme:
    """Check the peer's Authentication Data and return the scheme that it used.

    `hashes` are those that we announced; a peer that knows nothing of RFC 7427 is held to them
    too. `allow_sha1` lets method 1 pass, which has no better hash.

    Raises:
        AuthenticationError: another method, scheme, hash or key than allowed, or a wrong signature.
    """
    if method == DIGITAL_SIGNATURE:
        identifier, signature = _split(data)
        scheme = scheme_of(identifier)
    elif method in OLDER_METHODS:
        scheme, signature = OLDER_METHODS[method], data
    else:
        raise AuthenticationError(f"authentication method {method} is no signature that we know")
    # INTEROP apple: certificate clients sign by method 1, RSA with SHA-1, whatever was announced.
    if scheme.hash not in hashes and not (allow_sha1 and method == RSA_SHA1):
        raise AuthenticationError(f"{scheme.name}: its hash is not one that we allow")
    sign.verify(public, scheme, octets, signature)
    return scheme


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Return the AlgorithmIdentifier and the signature. Neither may be empty (RFC 7427 §3)."""
    cut = 1 + data[0] if data else 0
    if cut <= 1 or cut >= len(data):
        raise AuthenticationError("Authentication Data whose ASN.1 length cannot be")
    return data[1:cut], data[cut:]


def _rank(scheme: Scheme, first: tuple[SignatureHash, ...], *, pss: bool) -> tuple[bool, int]:
    """Return how a scheme compares with others of the same key; among equals the table decides."""
    # INTEROP android: older builds crash on RSASSA-PSS, so it comes first only where configured.
    order = first.index(scheme.hash) if scheme.hash in first else len(first)
    return scheme.is_pss is not pss, order
