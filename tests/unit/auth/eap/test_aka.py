# SPDX-License-Identifier: Apache-2.0
"""EAP-AKA and AKA' with a USIM of software, and what is between them (RFC 4187, RFC 9048)."""

from dataclasses import replace
from itertools import count

import pytest

from ikeway.auth.eap import aka_attributes as at
from ikeway.auth.eap.aka_attributes import AkaMessage
from ikeway.auth.eap.means import Means
from ikeway.auth.eap.methods import method
from ikeway.auth.eap.packet import Code, EapType, Packet
from ikeway.auth.eap.peer import EapPeer
from ikeway.auth.eap.progress import Failure, Success
from ikeway.auth.eap.server import EapServer
from ikeway.crypto.milenage import Usim
from ikeway.model.errors import MalformedError
from ikeway.model.secret import Secret
from support.eap import Users, converse, random

NAME = b"0555444333222111@nai.example"
KNOWN = Users({NAME: ""})
METHODS = pytest.mark.parametrize("name", ["aka", "aka-prime"])


class Others(Users):
    """Another operator."""

    def usim(self, identity: bytes) -> Usim | None:
        return Usim(Secret(bytes(16)), Secret(bytes(16))) if identity in self.known else None


def means(users: Users = KNOWN, start: int = 100) -> Means:
    numbers = count(start)
    return Means(users, random(), sequence=lambda: next(numbers) << 5)


def server(name: str, own: Means | None = None) -> EapServer:
    return EapServer((method(name),), own or means(), NAME)


def peer(name: str, own: Means | None = None) -> EapPeer:
    return EapPeer((method(name),), own or means(), NAME)


@METHODS
def test_both_prove_themselves_and_have_a_key(name: str) -> None:
    dialogue = converse(server(name), peer(name))
    assert isinstance(dialogue.server, Success)
    assert isinstance(dialogue.peer, Success)
    assert dialogue.server.msk == dialogue.peer.msk
    assert dialogue.server.msk is not None
    assert len(dialogue.server.msk) == 64


@METHODS
def test_a_network_that_does_not_know_the_key_is_refused(name: str) -> None:
    """RFC 4187 §6.3.1: the USIM says so, and nothing else."""
    dialogue = converse(server(name, means(Others({NAME: ""}))), peer(name))
    assert isinstance(dialogue.server, Failure)
    assert not isinstance(dialogue.peer, Success)
    assert dialogue.said[1].data == bytes([at.REJECT, 0, 0])


@METHODS
def test_a_usim_that_is_ahead_says_where_it_is(name: str) -> None:
    """RFC 4187 §6.3.5: the second challenge is after that."""
    own = means()
    own.highest[NAME] = 1 << 30
    dialogue = converse(server(name), peer(name, own))
    assert dialogue.said[1].data[0] == at.SYNC_FAILURE
    assert isinstance(dialogue.server, Success)
    assert isinstance(dialogue.peer, Success)
    assert own.highest[NAME] > 1 << 30


@METHODS
def test_a_challenge_that_was_seen_before_is_not_answered(name: str) -> None:
    """TS 33.102 §6.3.2: it could have been recorded."""
    own = means()
    challenge = server(name).start().reply
    assert challenge is not None
    first = peer(name, own).handle(challenge).reply
    again = peer(name, own).handle(challenge).reply
    assert first is not None
    assert again is not None
    assert Packet.decode(first).data[0] == at.CHALLENGE
    assert Packet.decode(again).data[0] == at.SYNC_FAILURE


@METHODS
def test_a_usim_that_never_agrees_is_not_asked_for_ever(name: str) -> None:
    own = means()
    gateway = server(name)
    asked = gateway.start().reply
    for highest in (1 << 30, 1 << 40):
        assert asked is not None
        own.highest[NAME] = highest
        answer = peer(name, own).handle(asked).reply
        assert answer is not None
        progress = gateway.handle(answer)
        asked = progress.reply
    assert isinstance(progress.outcome, Failure)


@METHODS
def test_a_usim_at_the_end_of_its_numbers_is_refused(name: str) -> None:
    own = means()
    own.highest[NAME] = (1 << 48) - 1
    dialogue = converse(server(name), peer(name, own))
    assert dialogue.server == Failure("EAP-AKA: the USIM is at the end of its numbers")


@METHODS
def test_every_changed_octet_is_refused(name: str) -> None:
    """AT_MAC covers the whole packet (RFC 4187 §10.15)."""
    said = converse(server(name), peer(name)).said
    for place in range(len(said[0].data)):
        data = bytearray(said[0].data)
        data[place] ^= 1
        changed = replace(said[0], data=bytes(data)).encode()
        client = peer(name)
        client.handle(changed)
        success = Packet(Code.SUCCESS, said[0].identifier).encode()
        assert not isinstance(client.handle(success).outcome, Success), place
    for place in range(len(said[1].data)):
        data = bytearray(said[1].data)
        data[place] ^= 1
        gateway = server(name)
        gateway.start()
        changed = replace(said[1], data=bytes(data)).encode()
        assert not isinstance(gateway.handle(changed).outcome, Success), place


def test_aka_prime_is_not_for_a_challenge_of_plain_aka() -> None:
    """RFC 9048 §3.5: keys of one network are of no use in another."""
    challenge = server("aka").start().reply
    assert challenge is not None
    said = Packet.decode(challenge)
    told = peer("aka-prime").handle(replace(said, type=EapType.AKA_PRIME).encode()).reply
    assert told is not None
    assert Packet.decode(told).data[0] == at.REJECT


def test_who_is_asked_for_its_identity_says_it() -> None:
    asked = at.message(at.IDENTITY, at.number(at.AT_ANY_ID_REQ, 0))
    told = peer("aka").handle(Packet(Code.REQUEST, 1, EapType.AKA, asked).encode()).reply
    assert told is not None
    assert AkaMessage.decode(Packet.decode(told).data).counted(at.AT_IDENTITY) == NAME


def test_a_name_without_a_usim_is_refused() -> None:
    nobody = EapServer((method("aka"),), means(), b"mallory")
    assert nobody.start().outcome == Failure("EAP-AKA: nobody has that name and a USIM")


@pytest.mark.parametrize("octets", [b"", b"\1", b"\1\0\0\1", b"\1\0\0\1\0", b"\1\0\0\1\5\0\0"])
def test_messages_that_cannot_be_are_refused(octets: bytes) -> None:
    with pytest.raises(MalformedError):
        AkaMessage.decode(octets)


def test_an_unknown_attribute_is_skipped_unless_it_must_be_known() -> None:
    """RFC 4187 §8.1: those below 128 must."""
    assert AkaMessage.decode(at.message(1, at.number(200, 1))).attributes == {200: b"\0\1"}
    with pytest.raises(MalformedError, match="which we must know"):
        AkaMessage.decode(at.message(1, at.number(99, 1)))
