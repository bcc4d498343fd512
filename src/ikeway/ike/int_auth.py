# SPDX-License-Identifier: Apache-2.0
"""IntAuth: what AUTH covers of the IKE_INTERMEDIATE exchanges (RFC 9242 §3.3.2).

It is computed over whole messages before encryption, so that it is the same however they travelled.
"""

from dataclasses import dataclass, replace

from ikeway.ike.keys import SK_HEADER_OCTETS, Keyring
from ikeway.wire.codec import Body
from ikeway.wire.message import HEADER_OCTETS, Header, encode_chain
from ikeway.wire.registry import PayloadType

_NEXT_PAYLOAD = 16
_LENGTH = 24


@dataclass(frozen=True, slots=True)
class IntAuth:
    """The cumulative results of both sides, and how many exchanges they stand for."""

    exchanges: int = 0
    of_initiator: bytes = b""
    of_responder: bytes = b""

    @property
    def octets(self) -> bytes:
        """IntAuth_iN | IntAuth_rN | IKE_AUTH_MID; nothing where no exchange took place.

        The first exchange has message ID 1, so that of IKE_AUTH follows from their number (§3.2).
        """
        if not self.exchanges:
            return b""
        return self.of_initiator + self.of_responder + (self.exchanges + 1).to_bytes(4)

    def after(self, keyring: Keyring, request: bytes, response: bytes) -> "IntAuth":
        """Return it with one exchange more; `keyring` is what protected that exchange."""
        prf, keys = keyring.prf, keyring.keys
        return replace(
            self,
            exchanges=self.exchanges + 1,
            of_initiator=prf.compute(keys.sk_pi.octets, self.of_initiator + request),
            of_responder=prf.compute(keys.sk_pr.octets, self.of_responder + response),
        )


def of_ours(header: Header, payloads: tuple[Body, ...]) -> bytes:
    """Return what is authenticated of a message that we send."""
    first, plaintext = encode_chain(payloads)
    return covered(header.encode(), bytes([first, 0]), plaintext)


def covered(header: bytes, sk_begin: bytes, plaintext: bytes) -> bytes:
    """Return the chunks A and P of a message.

    `header` is the IKE header as it travelled, whose Next Payload and Length are made those of the
    whole message without IV, padding and ICV. `sk_begin` are the first two octets of the SK
    payload, or of the first SKF payload: Next Payload, and the critical bit with RESERVED.
    """
    sk_octets = SK_HEADER_OCTETS + len(plaintext)
    length = (HEADER_OCTETS + sk_octets).to_bytes(4)
    before = header[:_NEXT_PAYLOAD], bytes([PayloadType.SK]), header[_NEXT_PAYLOAD + 1 : _LENGTH]
    return b"".join((*before, length, sk_begin, sk_octets.to_bytes(2), plaintext))
