# SPDX-License-Identifier: Apache-2.0
"""EAP-TLS and its fragments, and what either side can do to the other (RFC 5216, RFC 9190)."""

from dataclasses import replace
from functools import partial

import pytest

from ikeway.auth.eap import tls_frames, tls_method
from ikeway.auth.eap.means import Means, TlsMeans
from ikeway.auth.eap.methods import method
from ikeway.auth.eap.packet import Code, EapType, Packet
from ikeway.auth.eap.peer import EapPeer
from ikeway.auth.eap.progress import Failure, Success
from ikeway.auth.eap.server import EapServer
from ikeway.auth.eap.tls_frames import FRAGMENT, LENGTH, MESSAGE_MOST, MORE, START, Frames
from ikeway.crypto import tls
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.model.errors import MalformedError
from ikeway.model.identity import Identity
from support.eap import Users, converse, random
from support.hosts import LEFT, RIGHT, credentials, pki_of

KEY = KeyAlgorithm.ECDSA_256


def means(name: str, expected: str | None = None, key: KeyAlgorithm = KEY) -> Means:
    own = credentials(name, key)
    named = Identity.parse(expected) if expected else None
    return Means(Users(), random(), b"gw", pki_of(own, key).tls(own.certificates), named)


def server(identity: bytes = LEFT.encode(), key: KeyAlgorithm = KEY) -> EapServer:
    return EapServer((method("tls"),), means(RIGHT, key=key), identity)


def peer(own: Means | None = None) -> EapPeer:
    return EapPeer((method("tls"),), own or means(LEFT, RIGHT), LEFT.encode())


@pytest.fixture(params=[True, False], ids=["1.3", "1.2"], autouse=True)
def _version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run everything with either version of TLS."""
    policy = partial(tls.TlsPolicy, allow_tls13=request.param)
    monkeypatch.setattr(tls_method, "TlsPolicy", policy)


@pytest.mark.parametrize("key", [KeyAlgorithm.ECDSA_256, KeyAlgorithm.RSA, KeyAlgorithm.ED25519])
def test_both_prove_themselves_and_have_a_key(key: KeyAlgorithm) -> None:
    """RFC 5216 §2.3, RFC 9190 §2.3: an MSK of 64 octets; long flights go in fragments."""
    dialogue = converse(server(key=key), peer(means(LEFT, RIGHT, key)))
    assert isinstance(dialogue.server, Success)
    assert isinstance(dialogue.peer, Success)
    assert dialogue.server.identity == LEFT.encode()
    assert dialogue.server.msk == dialogue.peer.msk
    assert dialogue.server.msk is not None
    assert len(dialogue.server.msk) == 64
    assert dialogue.server.chain[0] == credentials(LEFT, key).certificates[0].leaf.der
    assert all(len(packet.data) <= FRAGMENT + 5 for packet in dialogue.said)


@pytest.mark.parametrize("size", [50, 300])
def test_small_fragments_lead_there_too(size: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5216 §2.1.5: each is acknowledged by an empty packet."""
    monkeypatch.setattr(tls_frames, "FRAGMENT", size)
    own = means(RIGHT)
    gateway = EapServer((method("tls"),), own, LEFT.encode(), rounds_most=200)
    client = EapPeer((method("tls"),), means(LEFT, RIGHT), LEFT.encode(), rounds_most=200)
    dialogue = converse(gateway, client)
    assert isinstance(dialogue.server, Success)
    assert sum(packet.data == b"\0" for packet in dialogue.said) > 2


def test_the_name_that_counts_is_the_certificates() -> None:
    """RFC 5216 §5.2: whoever it claims to be outside."""
    dialogue = converse(server(identity=b"boss"), peer())
    assert isinstance(dialogue.server, Success)
    assert dialogue.server.identity == LEFT.encode()


def test_a_server_of_another_name_is_not_believed() -> None:
    dialogue = converse(server(), peer(means(LEFT, "other.example")))
    assert isinstance(dialogue.peer, Failure)
    assert "is not for other.example" in dialogue.peer.reason
    assert dialogue.server is None
    assert dialogue.said[-1].code is Code.REQUEST, "our certificate is not shown to it"


def test_a_client_is_no_server() -> None:
    """Each user of the VPN could else pose as the gateway."""
    liar = EapServer((method("tls"),), means(LEFT), LEFT.encode())
    dialogue = converse(liar, peer(means(LEFT, LEFT)))
    assert isinstance(dialogue.peer, Failure)


def test_a_client_of_another_authority_is_not_believed() -> None:
    own = means(RIGHT)
    assert own.tls is not None

    def nobody(_chain: object) -> None:
        raise MalformedError("not ours")

    doubting = replace(own, tls=TlsMeans(own.tls.credential, nobody, nobody))
    dialogue = converse(EapServer((method("tls"),), doubting, LEFT.encode()), peer())
    assert dialogue.server == Failure("not ours")
    assert not isinstance(dialogue.peer, Success)


def test_a_client_without_a_certificate_is_refused() -> None:
    own = means(LEFT, RIGHT)
    assert own.tls is not None
    without = replace(own, tls=replace(own.tls, credential=None))
    dialogue = converse(server(), peer(without))
    assert not isinstance(dialogue.server, Success)


def test_a_success_before_the_end_is_not_believed() -> None:
    client, gateway = peer(), server()
    asked = gateway.start().reply
    for _ in range(10):
        assert asked is not None
        early = Packet(Code.SUCCESS, asked[1]).encode()
        answer = client.handle(asked)
        assert answer.outcome is None
        assert answer.reply is not None
        progress = gateway.handle(answer.reply)
        if progress.outcome is not None:
            break
        asked = progress.reply
    else:
        raise AssertionError("no end")
    fresh = peer()
    begun = Packet(Code.REQUEST, 1, EapType.TLS, bytes([START])).encode()
    fresh.handle(begun)
    assert isinstance(fresh.handle(early).outcome, Failure)


def test_every_cut_of_what_is_said_is_refused() -> None:
    """A conversation that lost its end in transit never succeeds."""
    said = converse(server(), peer()).said
    for packet in said:
        gateway = server()
        gateway.start()
        for cut in (packet.data[:-1], packet.data[:3], b"", b"\xff" * 9):
            told = Packet(Code.RESPONSE, packet.identifier, EapType.TLS, cut)
            assert not isinstance(gateway.handle(told.encode()).outcome, Success)


# Fragments ----------------------------------------------------------------------------------------


def test_a_flight_comes_out_as_it_went_in() -> None:
    for size in (0, 1, FRAGMENT, FRAGMENT + 1, 3 * FRAGMENT, 10_000):
        one, two = Frames(), Frames()
        records = bytes(at % 251 for at in range(size))
        heard = two.hear(one.say(records))
        while heard is None:
            heard = two.hear(one.say_on(b"\0"))
        assert heard == records
        assert not one.is_saying


def test_fragments_without_end_are_not_kept() -> None:
    parts = [bytes([MORE]) + bytes(1000)] * (MESSAGE_MOST // 1000 + 2)
    with pytest.raises(MalformedError, match="more than 65536 octets"):
        hear(parts)


def hear(packets: list[bytes]) -> None:
    frames = Frames()
    for packet in packets:
        frames.hear(packet)


@pytest.mark.parametrize(
    "packets",
    [
        [bytes([LENGTH]) + (1 << 20).to_bytes(4) + b"x"],
        [bytes([LENGTH]) + (5).to_bytes(4) + b"x"],
        [bytes([LENGTH]) + b"\0\0"],
        [bytes([MORE])],
        [
            bytes([LENGTH | MORE]) + (5).to_bytes(4) + b"x",
            bytes([LENGTH]) + (6).to_bytes(4) + b"yyyyy",
        ],
        [bytes([LENGTH | MORE]) + (5).to_bytes(4) + b"x", bytes([0]) + b"toomuch"],
    ],
)
def test_lengths_that_cannot_be_are_refused(packets: list[bytes]) -> None:
    with pytest.raises(MalformedError):
        hear(packets)


def test_only_an_acknowledgement_may_come_between_fragments() -> None:
    frames = Frames()
    frames.say(bytes(3000))
    with pytest.raises(MalformedError):
        frames.say_on(b"\0data")
