# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.10-2.14, §2.17: nonces, ports, keys, and what is left of them."""

import gc
from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikeway.crypto.kex import key_exchange
from ikeway.crypto.keys import derive_child_keys
from ikeway.crypto.prf import prf
from ikeway.crypto.random import SeededRandom
from ikeway.ike.io import Datagram
from ikeway.ike.keys import Keyring
from ikeway.ike.states import Lingering
from ikeway.model.address import Endpoint
from ikeway.model.secret import Secret
from ikeway.policy.proposals import parse_esp, parse_ike
from ikeway.wire.message import Message
from ikeway.wire.payloads import Nonce
from support.forge import first_message, put, session_of
from support.hosts import CBC, GCM, Row
from support.ladder import Ladder
from support.shell import Host

SUITES = (
    "aes128-sha256-modp2048",
    "aes192-sha384-ecp256",
    "aes256-sha512-ecp384",
    "aes128-aesxcbc-ecp521",
    "aes256-aescmac-x448",
    "aes128gcm16-prfsha256-x25519",
    "aes192gcm16-prfsha384-modp3072",
    "aes256gcm16-prfsha512-x25519",
    "aes256gcm16-prfaesxcbc-x25519",
    "aes256gcm16-prfaescmac-x25519",
    "aes128ccm16-prfsha256-x25519",
    "aes256ccm12-prfsha256-x25519",
    "aes256ccm8-prfsha256-x25519",
    "chacha20poly1305-prfsha256-x25519",
)
ESP_SUITES = (
    "aes128gcm16", "aes256gcm16", "chacha20poly1305", "aes128-sha256", "aes256-sha384",
    "aes256-sha512", "aes256gcm16-noesn",
)  # fmt: skip


@pytest.mark.conformance("CF-H07", "CF-H09", "CF-K16")
@pytest.mark.parametrize("suite", SUITES)
def test_every_kind_of_ike_suite_works_in_both_roles(suite: str) -> None:
    """§2.14: keys are as long as the algorithms want; AES-based PRFs take 8 octets of a nonce."""
    specs = {"ike": (parse_ike(suite),)}
    ladder = GCM.psk(left=specs, right=specs)
    ladder.connect()
    assert ladder.left.child.keys_in == ladder.right.child.keys_out
    ladder.check_liveness(ladder.left)
    ladder.check_liveness(ladder.right)
    ladder.settle()
    assert ladder.left.said[-1] == "INFORMATIONAL response 0 []"
    assert ladder.right.said[-1] == "INFORMATIONAL response 2 []"


@pytest.mark.conformance("CF-H10")
@pytest.mark.parametrize("suite", ESP_SUITES)
def test_every_kind_of_esp_suite_has_the_same_keys_on_both_sides(suite: str) -> None:
    """§2.17: the keys of the direction from the initiator to the responder come first."""
    specs = {"esp": (parse_esp(suite),)}
    ladder = GCM.psk(left=specs, right=specs)
    ladder.connect()
    left, right = ladder.left.child, ladder.right.child
    ring = session_of(ladder.left).keyring
    nonces = [
        Message.decode(ladder.sent[at][1].octets).one(Nonce).data  # type: ignore[union-attr]
        for at in (0, 1)
    ]
    encr, integ = len(left.keys_out.encr), len(left.keys_out.integ)
    towards_r, towards_i = derive_child_keys(
        prf(ring.suite.prf), ring.keys.sk_d, encr, integ, *nonces, shared=None
    )
    assert (
        (left.keys_out, left.keys_in) == (towards_r, towards_i) == (right.keys_in, right.keys_out)
    )


@pytest.mark.conformance("CF-H01")
@pytest.mark.parametrize(
    ("octets", "is_taken"), [(15, False), (16, True), (256, True), (257, False)]
)
def test_a_nonce_has_16_to_256_octets(row: Row, octets: int, is_taken: bool) -> None:
    """§2.10, §3.9."""
    ladder = row.psk()
    message = put(first_message(ladder), Nonce(b""))
    raw = replace(message, payloads=tuple(_nonce(one, octets) for one in message.payloads))
    answers = ladder.arrive(ladder.right, raw.encode())
    assert bool(answers) == is_taken
    assert bool(ladder.right.endpoint.sas) == is_taken


def _nonce(body: object, octets: int) -> object:
    return Nonce(bytes(octets)) if isinstance(body, Nonce) else body


@pytest.mark.conformance("CF-H02")
def test_our_nonces_are_fresh_and_long_enough_for_every_prf(row: Row) -> None:
    """§2.10: "at least 128 bits in size, and ... at least half the key size" of the PRF."""
    seen = set()
    ladder = row.psk()
    for _ in range(3):
        ladder.connect()
    for _, datagram in ladder.sent:
        nonce = Message.decode(datagram.octets).one(Nonce)
        if nonce is not None:
            assert len(nonce.data) >= 64 // 2
            seen.add(nonce.data)
    assert len(seen) == 6


@pytest.mark.conformance("CF-H03")
@pytest.mark.parametrize("port", [500, 1024, 4500, 65535])
def test_the_answer_goes_back_where_the_request_came_from(row: Row, port: int) -> None:
    """§2.11: "MUST ... respond to the address and port from which the request was received"."""
    ladder = row.psk()
    octets = first_message(ladder).encode()
    here = Endpoint(row.addresses[1], 500)
    there = Endpoint(ip_address("203.0.113.77"), port)
    ladder.deliver(ladder.right, Datagram(here, there, octets))
    _, answer = ladder.sent[-1]
    assert (answer.local, answer.peer) == (there, here)


@pytest.mark.conformance("CF-H03")
def test_a_host_of_several_addresses_answers_from_the_one_that_was_asked(row: Row) -> None:
    """§2.11: the addresses and ports are simply swapped."""
    ladder = row.psk()
    octets = first_message(ladder).encode()
    other = Endpoint(ip_address("198.51.100.200"), 500)
    ladder.deliver(ladder.right, Datagram(other, Endpoint(row.addresses[0], 500), octets))
    assert ladder.sent[-1][1].peer == other


@pytest.mark.conformance("CF-H06")
@pytest.mark.parametrize("row", [GCM, CBC], ids=str)
def test_modp_secrets_keep_their_leading_zeros(row: Row) -> None:
    """§2.14: g^ir is "padded with zeros if necessary to make it the length of the modulus"."""
    method = key_exchange(14)
    random = SeededRandom(Secret(bytes(32)))
    offer = method.offer(random)
    lengths = {len(method.answer(random, offer.public)[1]) for _ in range(3)}
    assert lengths == {256}
    specs = {"ike": (parse_ike("aes256-sha256-modp2048"),)}
    ladder = row.psk(left=specs, right=specs)
    ladder.connect()
    assert ladder.left.child.keys_in == ladder.right.child.keys_out


def secrets_of(host: Host) -> list[object]:
    """Return every key that can be reached from an endpoint."""
    seen: set[int] = set()
    found: list[object] = []
    waiting: list[object] = [host.endpoint._sas, host.endpoint._half_open, host.endpoint._strangers]
    configured = set(map(id, _reachable(host.endpoint.env)))
    while waiting:
        one = waiting.pop()
        if id(one) in seen or id(one) in configured or isinstance(one, type):
            continue
        seen.add(id(one))
        if isinstance(one, Secret | Keyring):
            found.append(one)
        if not callable(one):
            waiting.extend(gc.get_referents(one))
    return found


def _reachable(root: object) -> list[object]:
    seen: dict[int, object] = {}
    waiting = [root]
    while waiting:
        one = waiting.pop()
        if id(one) in seen or isinstance(one, type) or callable(one):
            continue
        seen[id(one)] = one
        waiting.extend(gc.get_referents(one))
    return list(seen.values())


def closed_by_peer(ladder: Ladder) -> None:
    ladder.connect()
    ladder.disconnect(ladder.right)


def closed_by_us(ladder: Ladder) -> None:
    ladder.connect()
    ladder.disconnect(ladder.left)


def never_answered(ladder: Ladder) -> None:
    ladder.fate = lambda _host, _datagram: []
    ladder.connect()


def refused(ladder: Ladder) -> None:
    ladder.right.endpoint.env = replace(ladder.right.endpoint.env, connections=())
    ladder.connect()


def half_way(ladder: Ladder) -> None:
    ladder.initiate()
    ladder.deliver(*ladder.wire.popleft())
    ladder.deliver(*ladder.wire.popleft())
    ladder.fate = lambda _host, _datagram: []
    ladder.wire.clear()


def peer_died(ladder: Ladder) -> None:
    ladder.connect()
    ladder.fate = lambda _host, _datagram: []


@pytest.mark.conformance("CF-H04")
@pytest.mark.parametrize(
    "end", [closed_by_peer, closed_by_us, never_answered, refused, half_way, peer_died]
)
def test_nothing_of_the_keys_is_left_when_an_sa_is_gone(row: Row, end: object) -> None:
    """§2.12: "When a connection is closed, each endpoint MUST forget ... the keys"; I3."""
    ladder = row.psk()
    ladder.initiate()
    assert secrets_of(ladder.left), "the private value of the key exchange, to begin with"
    ladder.left.endpoint._sas.clear()
    ladder.left.timers.clear()
    ladder.wire.clear()
    end(ladder)  # type: ignore[operator]
    ladder.wait(200)
    for host in (ladder.left, ladder.right):
        assert host.endpoint.sas == ()
        assert host.timers == {}
        assert host.installed == {}
        assert secrets_of(host) == []
        half_open = host.endpoint._half_open
        assert (half_open._spi, half_open._key, half_open._waiting) == ({}, {}, {})


@pytest.mark.conformance("CF-H04")
def test_the_private_value_is_forgotten_once_the_sa_is_up(row: Row) -> None:
    """§2.12: an offer serves one exchange."""
    ladder = row.psk()
    ladder.initiate()
    (sa,) = ladder.left.endpoint.sas
    private = sa.state.attempt.offer.private  # type: ignore[union-attr]
    ladder.settle()
    assert ladder.left.established
    assert not any(secret is private for secret in secrets_of(ladder.left))


def test_two_sas_have_different_offers_and_spis(row: Row) -> None:
    """§2.12: no private value is used twice; §2.6: SPIs are unique."""
    ladder = row.psk()
    for _ in range(3):
        ladder.connect()
    requests = [Message.decode(ladder.sent[at][1].octets) for at in (0, 4, 8)]
    assert len({message.payloads[1] for message in requests}) == 3
    assert len({message.header.spi_i for message in requests}) == 3
    assert len(ladder.right.established) == 3
    assert not any(isinstance(state, Lingering) for state in ladder.right.states)
