# SPDX-License-Identifier: Apache-2.0
"""Fragments on a ladder: long messages, and fragments that nobody would send."""

from dataclasses import dataclass, replace

from ikeway.ike import fragments, messages
from ikeway.ike.io import Datagram
from ikeway.ike.session import Session
from ikeway.wire.codec import Body
from ikeway.wire.message import Header, encode_chain
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType
from support.ladder import Ladder
from support.shell import Host

IP_UDP_MARKER = {4: 32, 6: 52}


def is_fragment(octets: bytes) -> bool:
    return Header.decode(octets).next_payload is PayloadType.SKF


def numbers(octets: bytes) -> tuple[int, int]:
    """Return number and total of a fragment."""
    return int.from_bytes(octets[32:34]), int.from_bytes(octets[34:36])


def sent_by(ladder: Ladder, host: Host, since: int = 0) -> list[bytes]:
    return [datagram.octets for one, datagram in ladder.sent[since:] if one is host]


def sizes(ladder: Ladder, host: Host, since: int = 0) -> list[int]:
    """Return the sizes of the IP datagrams that a host sent, were they all on port 4500."""
    extra = IP_UDP_MARKER[ladder.addresses[0].version]
    return [len(octets) + extra for octets in sent_by(ladder, host, since)]


def long(octets: int, kind: int = 40960) -> Notify:
    """Return a notify that makes a message so much longer."""
    return Notify(NotifyType(kind), bytes(index % 251 for index in range(octets)))


@dataclass
class Cutter:
    """Makes fragments as the owner of a session could, and as nobody should."""

    session: Session
    message_id: int
    exchange: ExchangeType = ExchangeType.INFORMATIONAL
    is_response: bool = False
    sealed: int = 5000

    def cut(self, payloads: tuple[Body, ...], total: int) -> list[bytes]:
        """Return a message in so many fragments."""
        first, plaintext = encode_chain(payloads)
        size = -(-len(plaintext) // total)
        chunks = [plaintext[index * size : (index + 1) * size] for index in range(total)]
        return [
            self.piece(number, total, chunk, first if number == 1 else PayloadType.NONE)
            for number, chunk in enumerate(chunks, 1)
        ]

    def piece(
        self, number: int, total: int, chunk: bytes, first: PayloadType = PayloadType.NONE
    ) -> bytes:
        """Return one fragment with these numbers, whatever they are."""
        head = messages.header(
            self.session.link, self.exchange, self.message_id, is_response=self.is_response
        )
        # IVs far ahead: no fragment shares its own with what the host sends itself.
        self.sealed += 1
        keyring = replace(self.session.keyring, sealed=self.session.keyring.sealed + self.sealed)
        said = number.to_bytes(2) + total.to_bytes(2)
        return keyring.seal_octets(head, first, chunk, self.session.env.random, said)[1]


def content_of(session: Session, payloads: tuple[Body, ...]) -> fragments.Content:
    head = messages.header(session.link, ExchangeType.INFORMATIONAL, 0, is_response=False)
    return fragments.Content.of(head, payloads)


class NarrowPath:
    """A link that loses what is larger than an IP datagram of `most` octets."""

    def __init__(self, ladder: Ladder, most: int) -> None:
        self.most = most - IP_UDP_MARKER[ladder.addresses[0].version]
        self.lost = 0
        ladder.fate = self.fate

    def fate(self, _host: Host, datagram: Datagram) -> list[Datagram]:
        if len(datagram.octets) <= self.most:
            return [datagram]
        self.lost += 1
        return []
