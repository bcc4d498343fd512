# SPDX-License-Identifier: Apache-2.0
"""Tickets by value: what an IKE SA was, sealed for its client to keep (RFC 5723 §5, §6.1)."""

from dataclasses import dataclass
from struct import Struct, error
from typing import Final

from ikeway.crypto.ticket_seal import ID_OCTETS, NONCE_OCTETS, key_id, seal, unseal
from ikeway.model.errors import IntegrityError
from ikeway.model.identity import Identity, IdType
from ikeway.model.secret import Secret
from ikeway.model.time import Instant
from ikeway.policy.connection import Proof
from ikeway.policy.proposals import IkeSuite

VERSION: Final = 1
SECRETS_MOST: Final = 2
"""How many secrets open tickets: the one that seals them, and the one before it."""
_HEAD_OCTETS: Final = 1 + ID_OCTETS + NONCE_OCTETS
_FIXED: Final = Struct("!ddd8sHHHHHBBB")
"""When proven, issued and expiring; an SPI, the suite, and the types of identities."""
_ADDITIONAL: Final = Struct("!BH")
"""An additional key exchange of the suite: its number and method (RFC 9370)."""


@dataclass(slots=True)
class TicketSecrets:
    """The secrets that seal our tickets, the newest first; without one none is given.

    All IKE SAs of an endpoint look here, so that one that lives for long seals with the newest.
    """

    known: tuple[Secret, ...] = ()

    def learn(self, secret: Secret) -> None:
        """Seal with a new secret; those of the last one are still read (§6.1)."""
        if secret not in self.known:
            self.known = (secret, *self.known)[:SECRETS_MOST]


@dataclass(frozen=True, slots=True)
class Past:
    """What is left of an IKE SA: enough to begin another one without proving identities again.

    `id_i` and `id_r` are those of the ticket's client and of its gateway. The client's was proven
    as `proof` says, at `proven`: that does not change when an IKE SA is resumed. Its IDi, `said`,
    may be another one after EAP (§5, Note 1). `spi` is the gateway's SPI of the IKE SA that the
    ticket is of.
    """

    connection: str
    suite: IkeSuite
    sk_d: Secret
    id_i: Identity
    id_r: Identity
    said: Identity
    proof: Proof
    spi: bytes
    proven: Instant
    issued: Instant
    expires: Instant


@dataclass(frozen=True, slots=True)
class Held:
    """A ticket as its client keeps it, with what it says (§4.2)."""

    octets: bytes
    past: Past


def write(past: Past, secret: Secret, nonce: bytes) -> bytes:
    """Return the ticket: version, key ID, nonce, and the sealed content."""
    head = bytes((VERSION,)) + key_id(secret) + nonce
    return head + seal(secret, nonce, head, _encode(past))


def read(secrets: tuple[Secret, ...], ticket: bytes, now: Instant) -> Past:
    """Return what a ticket of ours says.

    Raises:
        IntegrityError: it is none of ours, was changed, or has expired.
    """
    head, sealed = ticket[:_HEAD_OCTETS], ticket[_HEAD_OCTETS:]
    named, nonce = head[1 : 1 + ID_OCTETS], head[1 + ID_OCTETS :]
    if len(nonce) != NONCE_OCTETS or head[0] != VERSION:
        raise IntegrityError("no ticket of ours")
    secret = next((one for one in secrets if key_id(one) == named), None)
    if secret is None:
        raise IntegrityError("a ticket of a key that is gone, or of somebody else")
    past = _decode(unseal(secret, nonce, head, sealed))
    if now >= past.expires:
        raise IntegrityError("a ticket that has expired")
    return past


def _encode(past: Past) -> bytes:
    suite = past.suite
    fixed = _FIXED.pack(
        *(past.proven, past.issued, past.expires),
        past.spi,
        *(suite.encr, suite.key_bits, suite.prf, suite.integ, suite.ke),
        *(past.id_i.type, past.id_r.type, past.said.type),
    )
    words = past.connection.encode(), past.proof.value.encode()
    more = b"".join(_ADDITIONAL.pack(*one) for one in suite.additional)
    parts = (past.sk_d.octets, past.id_i.data, past.id_r.data, past.said.data, *words, more)
    return fixed + b"".join(len(part).to_bytes(2) + part for part in parts)


def _decode(octets: bytes) -> Past:
    """Return what was sealed. Only we could seal it, so at worst another version of us did."""
    try:
        proven, issued, expires, spi, *numbers = _FIXED.unpack_from(octets)
        encr, bits, prf, integ, ke, type_i, type_r, type_said = numbers
        sk_d, id_i, id_r, said, name, proof, more = _parts(octets[_FIXED.size :])
        additional = tuple(_ADDITIONAL.iter_unpack(more))
        return Past(
            connection=name.decode(),
            suite=IkeSuite(encr, bits, prf, integ, ke, additional),
            sk_d=Secret(sk_d),
            id_i=Identity(IdType(type_i), id_i),
            id_r=Identity(IdType(type_r), id_r),
            said=Identity(IdType(type_said), said),
            proof=Proof(proof.decode()),
            spi=spi,
            proven=proven,
            issued=issued,
            expires=expires,
        )
    except (error, ValueError) as wrong:
        raise IntegrityError("a ticket that another version of us made") from wrong


def _parts(octets: bytes) -> list[bytes]:
    parts = []
    while octets:
        end = 2 + int.from_bytes(octets[:2])
        parts.append(octets[2:end])
        octets = octets[end:]
    return parts
