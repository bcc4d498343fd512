# SPDX-License-Identifier: Apache-2.0
"""Certificate and Certificate Request payloads (RFC 7296 §3.6, §3.7)."""

from typing import Annotated, Final

from ikeway.wire.codec import Body, Rest, UInt, payload
from ikeway.wire.registry import CertEncoding, PayloadType

AUTHORITY_OCTETS: Final = 20
"""The size of an authority's hash: SHA-1 of its SubjectPublicKeyInfo."""


@payload(PayloadType.CERT)
class Certificate(Body):
    """Certificate payload, RFC 7296 §3.6."""

    encoding: Annotated[CertEncoding, UInt(1)]
    data: Annotated[bytes, Rest()]


@payload(PayloadType.CERTREQ)
class CertificateRequest(Body):
    """Certificate Request payload, RFC 7296 §3.7. `authorities` is their hashes in a row."""

    encoding: Annotated[CertEncoding, UInt(1)]
    authorities: Annotated[bytes, Rest()]

    @property
    def hashes(self) -> tuple[bytes, ...]:
        """The authorities' hashes; none if the octets are no multiple of 20, which is ignored."""
        octets = self.authorities
        if len(octets) % AUTHORITY_OCTETS:
            return ()
        starts = range(0, len(octets), AUTHORITY_OCTETS)
        return tuple(octets[at : at + AUTHORITY_OCTETS] for at in starts)
