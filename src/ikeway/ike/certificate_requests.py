# SPDX-License-Identifier: Apache-2.0
"""CERTREQ: what we ask of a peer's certificate (RFC 7296 §3.7, RFC 7670 §3)."""

from collections.abc import Iterator

from ikeway.ike.environment import Environment
from ikeway.policy.connection import Connection, Proof
from ikeway.wire.codec import Body
from ikeway.wire.payloads import CertificateRequest, Notify
from ikeway.wire.registry import CertEncoding, NotifyType


def ask(
    env: Environment, connections: tuple[Connection, ...], most: int | None = None
) -> tuple[Body, ...]:
    """Return what we ask a peer for that may belong to any of these connections.

    `most` limits how many authorities it names.
    """
    proofs = {proof for connection in connections for proof in connection.accepted}
    asked: list[Body] = []
    if Proof.CERTIFICATE in proofs:
        asked += _certificates(env, most)
    if Proof.PUBKEY in proofs:
        asked.append(CertificateRequest(CertEncoding.RAW_PUBLIC_KEY, b""))
    return tuple(asked)


def _certificates(env: Environment, most: int | None) -> Iterator[Body]:
    """Return the authorities that we believe; where URLs may be fetched, we say so (§3.6)."""
    authorities = env.credentials.authorities[:most]
    if not authorities:
        return
    hashes = b"".join(authority.subject_key_hash for authority in authorities)
    yield CertificateRequest(CertEncoding.X509_SIGNATURE, hashes)
    if env.credentials.certificate_urls:
        yield Notify(NotifyType.HTTP_CERT_LOOKUP_SUPPORTED)
