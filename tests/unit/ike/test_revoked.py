# SPDX-License-Identifier: Apache-2.0
"""RFC 5723 §4.3.1, §9.8: tickets that are void, in bounded memory, and on the safe side."""

from dataclasses import replace

import pytest

from ikeway.ike.resumption import LIFETIME_MOST
from ikeway.ike.revoked import Revoked
from ikeway.ike.tickets import Past
from ikeway.model.errors import IntegrityError
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.connection import Proof
from ikeway.policy.proposals import IkeSuite

ANYBODY = Identity.parse("somebody.example")


def ticket(number: int, issued: float) -> Past:
    return Past(
        connection="staff",
        suite=IkeSuite(20, 256, 6, 0, 31),
        sk_d=Secret(bytes(32)),
        id_i=ANYBODY,
        id_r=ANYBODY,
        said=ANYBODY,
        proof=Proof.PSK,
        spi=number.to_bytes(8),
        proven=issued,
        issued=issued,
        expires=issued + 100.0,
    )


def test_a_used_ticket_is_refused_and_others_are_not() -> None:
    revoked = Revoked()
    revoked.add(ticket(1, 10.0).spi, 10.0, 20.0)
    with pytest.raises(IntegrityError, match="used"):
        revoked.check(ticket(1, 10.0))
    revoked.check(ticket(2, 10.0))


def test_all_tickets_of_an_ike_sa_are_void_at_once() -> None:
    """An IKE SA that asks again gets another ticket; the SPI is the same."""
    revoked = Revoked()
    revoked.add(ticket(1, 10.0).spi, 30.0, 40.0)
    for issued in (10.0, 20.0, 30.0):
        with pytest.raises(IntegrityError):
            revoked.check(ticket(1, issued))


def test_when_memory_is_full_older_tickets_are_refused_as_well() -> None:
    """A ticket that nobody remembers may have been used: its owner begins anew."""
    revoked = Revoked(most=4)
    for number in range(10):
        revoked.add(ticket(number, float(number)).spi, float(number), 20.0)
    assert len(revoked) == 4
    for number in range(10):
        with pytest.raises(IntegrityError):
            revoked.check(ticket(number, float(number)))
    revoked.check(ticket(99, 5.5))
    with pytest.raises(IntegrityError, match="too old"):
        revoked.check(ticket(99, 5.0))


def test_what_has_expired_is_forgotten_without_a_loss() -> None:
    revoked = Revoked(most=4)
    for number in range(4):
        revoked.add(ticket(number, float(number)).spi, float(number), 20.0)
    late = LIFETIME_MOST + 50.0
    revoked.add(ticket(50, late).spi, late, late)
    assert dict(revoked) == {ticket(50, late).spi: late}
    revoked.check(replace(ticket(99, 3.5), expires=late + 1.0))


def test_to_revoke_twice_is_to_revoke_once() -> None:
    revoked = Revoked()
    for _ in range(3):
        revoked.add(b"an SPI..", 1.0, 2.0)
    assert len(revoked) == 1
