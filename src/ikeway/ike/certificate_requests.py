# SPDX-License-Identifier: Apache-2.0
"""CERTREQ: what we ask of a peer's certificate, and it of ours (RFC 7296 §3.7, RFC 4806, 7670)."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from ikeway.crypto.certificate import Certificate, names_equal
from ikeway.ike.environment import Environment
from ikeway.ike.features import auth_methods
from ikeway.ike.features.auth_methods import Announced
from ikeway.policy.connection import Connection, Proof
from ikeway.policy.revocation import Revocation
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
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
    if asked and any(map(_looks, connections)):
        asked.append(CertificateRequest(CertEncoding.OCSP_CONTENT, b""))
    if Proof.PUBKEY in proofs:
        asked.append(CertificateRequest(CertEncoding.RAW_PUBLIC_KEY, b""))
    return tuple(asked)


def _looks(connection: Connection) -> bool:
    """Whether OCSP responses of a peer's would be looked at; we trust no responder by itself."""
    is_certified = Proof.CERTIFICATE in connection.accepted
    return is_certified and connection.revocation is not Revocation.OFF


def _certificates(env: Environment, most: int | None) -> Iterator[Body]:
    """Return the authorities that we believe; where URLs may be fetched, we say so (§3.6)."""
    authorities = env.credentials.authorities[:most]
    if not authorities:
        return
    hashes = b"".join(authority.subject_key_hash for authority in authorities)
    yield CertificateRequest(CertEncoding.X509_SIGNATURE, hashes)
    if env.credentials.certificate_urls:
        yield Notify(NotifyType.HTTP_CERT_LOOKUP_SUPPORTED)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a peer says about certificates of ours; none of it binds us (§3.7).

    `authorities` are those it believes, by their hashes: only such as ours lead to. `by_url` is
    whether it fetches certificates (§3.6), `ocsp` whether it wants their status (RFC 4806 §3.1).
    `methods` are those that it announces (RFC 9593).
    """

    authorities: frozenset[bytes] = frozenset()
    by_url: bool = False
    ocsp: bool = False
    methods: tuple[Announced, ...] = ()


def learn(env: Environment, message: Message) -> Wishes:
    """Return what the peer says with its certificate requests."""
    requests = message.all(CertificateRequest)
    asked = {
        one
        for request in requests
        if request.encoding is CertEncoding.X509_SIGNATURE
        for one in request.hashes
    }
    ocsp = any(request.encoding is CertEncoding.OCSP_CONTENT for request in requests)
    credentials = env.credentials
    ours = [issuers(own.chain, credentials.authorities) for own in credentials.certificates]
    by_url = message.notify(NotifyType.HTTP_CERT_LOOKUP_SUPPORTED) is not None
    known = frozenset(asked).intersection(frozenset[bytes]().union(*ours))
    return Wishes(known, by_url, ocsp, auth_methods.learn(message))


@lru_cache(maxsize=64)
def issuers(
    chain: tuple[Certificate, ...], authorities: tuple[Certificate, ...]
) -> frozenset[bytes]:
    """Return the hashes of the authorities of a chain: those in it, and those that we believe."""
    above = [
        authority
        for authority in authorities
        if any(names_equal(authority.subject_der, each.issuer_der) for each in chain)
    ]
    return frozenset(each.subject_key_hash for each in (*chain[1:], *above))
