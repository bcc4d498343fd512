# SPDX-License-Identifier: Apache-2.0
"""RFC 5723 §6.1: what a ticket says, and that nobody else reads or changes it."""

from dataclasses import replace

import pytest

from ikeway.crypto import ticket_seal
from ikeway.ike import tickets
from ikeway.ike.tickets import Past, TicketSecrets
from ikeway.model.errors import IntegrityError
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.connection import Proof
from ikeway.policy.proposals import IkeSuite

ONE, TWO, THREE = (Secret(bytes([number]) * 32) for number in (1, 2, 3))
NONCE = bytes(range(16))
SK_D = bytes(range(100, 148))
PAST = Past(
    connection="staff",
    suite=IkeSuite(20, 256, 6, 0, 31, ((1, 36), (3, 37))),
    sk_d=Secret(SK_D),
    id_i=Identity.parse("laptop@example.com"),
    id_r=Identity.parse("vpn.example.com"),
    said=Identity.parse("inner@example.com"),
    proof=Proof.CERTIFICATE,
    spi=b"\1gateway",
    proven=90.0,
    issued=100.0,
    expires=200.0,
)


def test_a_ticket_gives_back_what_was_sealed() -> None:
    assert tickets.read((ONE,), tickets.write(PAST, ONE, NONCE), 150.0) == PAST


@pytest.mark.parametrize("proof", list(Proof))
@pytest.mark.parametrize("name", ["a", "ä" * 60])
def test_whatever_is_sealed_comes_back(proof: Proof, name: str) -> None:
    past = replace(PAST, proof=proof, connection=name, id_i=Identity.parse("10.0.0.1"))
    assert tickets.read((ONE,), tickets.write(past, ONE, NONCE), 150.0) == past


@pytest.mark.conformance("CF-S11")
def test_a_ticket_shows_nothing_of_what_it_says() -> None:
    """§6.1: "the ticket content MUST be integrity protected and encrypted"."""
    octets = tickets.write(PAST, ONE, NONCE)
    for part in (SK_D[:8], b"laptop", b"vpn.example", b"staff", PAST.spi, ONE.octets[:8]):
        assert part not in octets


@pytest.mark.conformance("CF-S11")
def test_a_ticket_with_any_bit_changed_is_refused() -> None:
    """§9.2: nobody extends its lifetime or becomes another user by it."""
    octets = tickets.write(PAST, ONE, NONCE)
    for at in range(len(octets)):
        changed = octets[:at] + bytes([octets[at] ^ 1]) + octets[at + 1 :]
        with pytest.raises(IntegrityError):
            tickets.read((ONE,), changed, 150.0)


def test_a_ticket_with_octets_more_or_less_is_refused() -> None:
    octets = tickets.write(PAST, ONE, NONCE)
    for end in range(len(octets)):
        with pytest.raises(IntegrityError):
            tickets.read((ONE,), octets[:end], 150.0)
    with pytest.raises(IntegrityError):
        tickets.read((ONE,), octets + b"\0", 150.0)


@pytest.mark.conformance("CF-S11")
@pytest.mark.parametrize("now", [200.0, 1e9])
def test_an_expired_ticket_is_refused(now: float) -> None:
    """§6.1: "a protected expiration time, which is an absolute time value"."""
    with pytest.raises(IntegrityError, match="expired"):
        tickets.read((ONE,), tickets.write(PAST, ONE, NONCE), now)


def test_a_ticket_of_another_secret_is_refused() -> None:
    octets = tickets.write(PAST, ONE, NONCE)
    for known in ((), (TWO,), (TWO, THREE)):
        with pytest.raises(IntegrityError, match="key that is gone"):
            tickets.read(known, octets, 150.0)


def test_a_secret_with_the_name_of_another_opens_nothing() -> None:
    """The key identity only finds the key: it proves nothing."""
    octets = tickets.write(PAST, ONE, NONCE)
    renamed = octets[:1] + ticket_seal.key_id(TWO) + octets[1 + ticket_seal.ID_OCTETS :]
    with pytest.raises(IntegrityError):
        tickets.read((TWO,), renamed, 150.0)


@pytest.mark.conformance("CF-S11")
def test_the_last_secret_still_opens_and_the_one_before_does_not() -> None:
    """§6.1: "a key identity field, so that keys [...] can be changed"."""
    secrets = TicketSecrets()
    secrets.learn(ONE)
    octets = tickets.write(PAST, secrets.known[0], NONCE)
    secrets.learn(TWO)
    assert secrets.known == (TWO, ONE)
    assert tickets.read(secrets.known, octets, 150.0) == PAST
    secrets.learn(TWO)
    assert secrets.known == (TWO, ONE), "the same one again replaces nothing"
    secrets.learn(THREE)
    with pytest.raises(IntegrityError):
        tickets.read(secrets.known, octets, 150.0)


def test_two_tickets_of_the_same_content_have_different_keys() -> None:
    """No key and IV twice (I7), though the IV is always zero: the key depends on the nonce."""
    one, two = (tickets.write(PAST, ONE, bytes([n]) * 16) for n in (1, 2))
    assert one[25:] != two[25:]


def test_a_ticket_of_another_version_is_refused() -> None:
    content = b"another version of us wrote something else"
    head = bytes((tickets.VERSION,)) + ticket_seal.key_id(ONE) + NONCE
    octets = head + ticket_seal.seal(ONE, NONCE, head, content)
    with pytest.raises(IntegrityError, match="another version"):
        tickets.read((ONE,), octets, 150.0)
