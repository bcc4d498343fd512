# SPDX-License-Identifier: Apache-2.0
"""EAP conversations of passwords, and what an attacker can do to them (RFC 3748)."""

from collections.abc import Callable

import pytest

from ikeway.auth.eap.means import Means
from ikeway.auth.eap.methods import method
from ikeway.auth.eap.packet import Code, EapType, Packet
from ikeway.auth.eap.peer import EapPeer
from ikeway.auth.eap.progress import Failure, Success
from ikeway.auth.eap.server import EapServer
from support.eap import Users, converse, random

NAME = b"carol"
USERS = Users({NAME: "correct horse", b"dora": "battery staple"})


def peer(*names: str, user: bytes = NAME, password: str = "correct horse") -> EapPeer:
    means = Means(Users({user: password}), random(2))
    return EapPeer(tuple(map(method, names)), means, user)


def server(*names: str, identity: bytes = NAME, users: Users = USERS) -> EapServer:
    return EapServer(tuple(map(method, names)), Means(users, random(), b"gw"), identity)


METHODS = pytest.mark.parametrize("name", ["gtc", "md5", "mschapv2"])


@METHODS
def test_the_right_password_is_proven(name: str) -> None:
    dialogue = converse(server(name), peer(name))
    assert isinstance(dialogue.server, Success)
    assert isinstance(dialogue.peer, Success)
    assert dialogue.server.identity == NAME
    assert dialogue.server.msk == dialogue.peer.msk
    assert (dialogue.server.msk is not None) is method(name).makes_key


@METHODS
def test_a_wrong_password_is_refused(name: str) -> None:
    dialogue = converse(server(name), peer(name, password="wrong"))
    assert isinstance(dialogue.server, Failure) or isinstance(dialogue.peer, Failure)
    assert not isinstance(dialogue.server, Success)
    assert not isinstance(dialogue.peer, Success)


@METHODS
def test_a_name_that_nobody_has_is_refused(name: str) -> None:
    dialogue = converse(server(name, identity=b"mallory"), peer(name, user=b"mallory"))
    assert not isinstance(dialogue.server, Success)
    assert not isinstance(dialogue.peer, Success)


@METHODS
def test_who_is_not_known_is_asked_for_the_identity(name: str) -> None:
    dialogue = converse(server(name, identity=b""), peer(name))
    assert [packet.type for packet in dialogue.said[:2]] == [EapType.IDENTITY] * 2
    assert isinstance(dialogue.server, Success)
    assert dialogue.server.identity == NAME


def test_the_peer_may_want_another_method() -> None:
    """RFC 3748 §5.3.1: a Nak names what the peer can do instead."""
    dialogue = converse(server("md5", "mschapv2"), peer("mschapv2"))
    assert dialogue.said[1].type is EapType.NAK
    assert dialogue.said[1].data == bytes([EapType.MSCHAPV2])
    assert isinstance(dialogue.server, Success)


def test_without_a_method_in_common_it_fails() -> None:
    dialogue = converse(server("md5"), peer("gtc"))
    assert dialogue.server == Failure("no EAP method in common: the peer wants GTC")
    assert isinstance(dialogue.peer, Failure)


def test_a_method_is_not_refused_once_it_runs() -> None:
    """RFC 3748 §2.1: else whoever is between could talk both down to a weaker one."""
    gateway = server("mschapv2", "md5")
    asked = gateway.start().reply
    assert asked is not None
    answer = peer("mschapv2").handle(asked).reply
    assert answer is not None
    told = gateway.handle(answer).reply
    assert told is not None
    nak = Packet(Code.RESPONSE, told[1], EapType.NAK, bytes([EapType.MD5_CHALLENGE]))
    assert isinstance(gateway.handle(nak.encode()).outcome, Failure)


def test_an_early_success_is_not_believed() -> None:
    """RFC 3748 §7.16: Success is not protected, and anybody can say it."""
    client = peer("mschapv2")
    outcome = client.handle(Packet(Code.SUCCESS, 1).encode()).outcome
    assert outcome == Failure("the server says EAP Success before any proof")


def test_a_success_in_place_of_the_servers_proof_is_not_believed() -> None:
    client, gateway = peer("mschapv2"), server("mschapv2")
    asked = gateway.start().reply
    assert asked is not None
    assert client.handle(asked).outcome is None
    assert isinstance(client.handle(Packet(Code.SUCCESS, asked[1]).encode()).outcome, Failure)


def test_a_server_that_does_not_know_the_password_is_not_believed() -> None:
    """RFC 2759 §8.8: it may let everybody in, yet it cannot make the authenticator response."""
    client, gateway = peer("mschapv2"), server("mschapv2")
    asked = gateway.start().reply
    assert asked is not None
    client.handle(asked)
    lie = b"\x03\x00\x00\x2eS=" + b"0" * 40
    request = Packet(Code.REQUEST, asked[1] + 1, EapType.MSCHAPV2, lie)
    assert client.handle(request.encode()).outcome == Failure(
        "the server does not know the password"
    )


def test_a_proof_for_one_user_does_not_prove_another() -> None:
    dialogue = converse(server("mschapv2", identity=b"dora"), peer("mschapv2", user=NAME))
    assert not isinstance(dialogue.server, Success)


@pytest.mark.parametrize("name", [b"CORP\\carol", b"carol"])
def test_a_domain_before_the_name_is_no_part_of_the_proof(name: bytes) -> None:
    users = Users({name: "correct horse"})
    dialogue = converse(server("mschapv2", identity=name, users=users), peer("mschapv2", user=name))
    assert isinstance(dialogue.server, Success)


@METHODS
@pytest.mark.parametrize("side", ["server", "peer"])
def test_no_octets_escape_as_an_exception(name: str, side: str) -> None:
    """Every prefix and every changed octet of what is said ends in progress."""
    for packet in converse(server(name), peer(name)).said:
        octets = packet.encode()
        for changed in mutations(octets):
            take: Callable[[bytes], object]
            if side == "server":
                gateway = server(name)
                gateway.start()
                take = gateway.handle
            else:
                take = peer(name).handle
            take(changed)


def mutations(octets: bytes) -> list[bytes]:
    cut = [octets[:at] for at in range(len(octets))]
    flipped = [
        octets[:at] + bytes([octets[at] ^ 1 << bit]) + octets[at + 1 :]
        for at in range(len(octets))
        for bit in (0, 7)
    ]
    return cut + flipped
