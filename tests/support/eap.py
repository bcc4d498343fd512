# SPDX-License-Identifier: Apache-2.0
"""An EAP server and a peer that talk to each other, and users with passwords."""

from dataclasses import dataclass, field

from ikeway.auth.eap.packet import Packet
from ikeway.auth.eap.peer import EapPeer
from ikeway.auth.eap.progress import Outcome, Progress
from ikeway.auth.eap.server import EapServer
from ikeway.crypto.milenage import Usim
from ikeway.crypto.mschap import nt_hash
from ikeway.crypto.random import SeededRandom
from ikeway.model.secret import Secret

USIM = Usim(Secret(bytes(range(16))), Secret(bytes(range(16, 32))))


def random(seed: int = 1) -> SeededRandom:
    return SeededRandom(Secret(bytes([seed]) * SeededRandom.SEED_OCTETS))


@dataclass
class Users:
    """Names and passwords, in clear."""

    known: dict[bytes, str] = field(default_factory=dict)
    wrong: list[bytes] = field(default_factory=list)

    def name(self, identity: bytes) -> bytes:
        return identity

    def clear(self, identity: bytes) -> Secret | None:
        password = self.known.get(identity)
        return None if password is None else Secret(password.encode())

    def nt_hash(self, identity: bytes) -> Secret | None:
        password = self.known.get(identity)
        return None if password is None else nt_hash(Secret(password.encode()))

    def usim(self, identity: bytes) -> Usim | None:
        return USIM if identity in self.known else None

    def accepts(self, identity: bytes, password: Secret) -> bool:
        return self.clear(identity) == password

    def failed(self, identity: bytes) -> None:
        self.wrong.append(identity)

    def groups(self, _identity: bytes) -> tuple[str, ...]:
        return ()


@dataclass
class Dialogue:
    """What was said, and how it ended for both."""

    said: list[Packet] = field(default_factory=list)
    server: Outcome | None = None
    peer: Outcome | None = None


def converse(server: EapServer, peer: EapPeer, rounds: int = 200) -> Dialogue:
    """Let both talk until one of them ends it."""
    dialogue = Dialogue()
    asked: Progress = server.start()
    for _ in range(rounds):
        assert asked.reply is not None
        dialogue.said.append(Packet.decode(asked.reply))
        dialogue.server = asked.outcome
        answered = peer.handle(asked.reply)
        dialogue.peer = answered.outcome
        if answered.reply is None or answered.outcome is not None:
            return dialogue
        dialogue.said.append(Packet.decode(answered.reply))
        asked = server.handle(answered.reply)
    raise AssertionError("they do not come to an end")
