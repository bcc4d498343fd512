# SPDX-License-Identifier: Apache-2.0
"""A man in the middle takes the better choices out of IKE_SA_INIT: AUTH must notice each change."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ikeway.ike.features.full_transcript import PREFIX, signed
from ikeway.policy.suites import OFFERS, Suites
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify, SecurityAssociation
from ikeway.wire.registry import NotifyType, TransformType
from support.agreement import agree
from support.forge import rewritten, session_of
from support.hosts import GCM, Changes, Row
from support.ladder import Ladder

FULL = NotifyType.IKE_SA_INIT_FULL_TRANSCRIPT_AUTH
BOTH: Changes = {"ike": OFFERS[Suites.COMPATIBLE].ike}
"""ML-KEM where the peer has it, and without it where the peer has not."""
Change = Callable[[Message], Message]


def without(*kinds: NotifyType) -> Change:
    """Return what takes notifies out of a message."""

    def change(message: Message) -> Message:
        kept = (b for b in message.payloads if not (isinstance(b, Notify) and b.type in kinds))
        return replace(message, payloads=tuple(kept))

    return change


def classical(message: Message) -> Message:
    """Take out the proposals with additional key exchanges."""
    offered = message.one(SecurityAssociation)
    assert offered is not None
    kept = tuple(
        proposal
        for proposal in offered.proposals
        if not any(each.type >= TransformType.ADDKE1 for each in proposal.transforms)
    )
    numbered = tuple(replace(p, number=number) for number, p in enumerate(kept, 1))
    changed = replace(offered, proposals=numbered)
    bodies = (changed if body is offered else body for body in message.payloads)
    return replace(message, payloads=tuple(bodies))


def weaker(message: Message) -> Message:
    """Take all but the weakest method out of what is offered."""
    offered = message.one(SecurityAssociation)
    assert offered is not None
    last = offered.proposals[-1]
    changed = replace(offered, proposals=(replace(last, number=1),))
    bodies = (changed if body is offered else body for body in message.payloads)
    return replace(message, payloads=tuple(bodies))


ATTACKS: dict[str, Change] = {
    "no ADDKE": classical,
    "no IKE_INTERMEDIATE": without(NotifyType.INTERMEDIATE_EXCHANGE_SUPPORTED),
    "no hashes": without(NotifyType.SIGNATURE_HASH_ALGORITHMS),
    "no fragments": without(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED),
    "the last proposal": weaker,
    "no full transcript": without(FULL),
    "no full transcript, no ADDKE": lambda message: classical(without(FULL)(message)),
}


def fails(ladder: Ladder, row: Row) -> None:
    ladder.connect()
    ladder.wait(120)
    assert ladder.left.established == ladder.right.established == [], row
    assert not ladder.left.installed
    assert not ladder.right.installed


@pytest.mark.conformance("CF-Q02", "CF-I01", "CF-W10")
@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("auth", ["psk", "certificates"])
def test_what_is_taken_out_of_the_request_makes_auth_fail(row: Row, attack: str, auth: str) -> None:
    """RFC 7296 §2.15: the initiator proves what it sent, not what arrived."""
    ladder: Ladder = getattr(row, auth)(BOTH, BOTH)
    rewritten(ladder, ATTACKS[attack], ladder.left)
    fails(ladder, row)


@pytest.mark.conformance("CF-Q02", "CF-I01", "CF-W10")
@pytest.mark.parametrize(
    "attack", ["no IKE_INTERMEDIATE", "no hashes", "no fragments", "no full transcript"]
)
@pytest.mark.parametrize("auth", ["psk", "certificates"])
def test_what_is_taken_out_of_the_response_makes_auth_fail(
    row: Row, attack: str, auth: str
) -> None:
    ladder: Ladder = getattr(row, auth)(BOTH, BOTH)
    rewritten(ladder, ATTACKS[attack], ladder.right)
    fails(ladder, row)


@pytest.mark.conformance("CF-Q02")
def test_another_choice_in_the_response_leads_nowhere(row: Row) -> None:
    """The initiator goes on without ML-KEM; the responder knows that it is to come."""
    ladder = row.psk(BOTH, BOTH)

    def choose(message: Message) -> Message:
        chosen = message.one(SecurityAssociation)
        assert chosen is not None
        (proposal,) = chosen.proposals
        kept = tuple(each for each in proposal.transforms if each.type < TransformType.ADDKE1)
        changed = replace(chosen, proposals=(replace(proposal, number=3, transforms=kept),))
        bodies = (changed if body is chosen else body for body in message.payloads)
        return replace(message, payloads=tuple(bodies))

    rewritten(ladder, choose, ladder.right)
    fails(ladder, row)
    assert any("before all additional key exchanges" in str(e) for e in ladder.right.events)


# draft-ietf-ipsecme-ikev2-downgrade-prevention ----------------------------------------------------


def test_both_sides_say_it_and_agree_on_it(row: Row) -> None:
    """Each sends an empty notify; "in force when both did"."""
    for ladder in (row.psk(BOTH, BOTH), row.certificates(BOTH, BOTH)):
        ladder.connect()
        agree(ladder)
        for host in (ladder.left, ladder.right):
            octets = next(sent.octets for one, sent in ladder.sent if one is host)
            assert Message.decode(octets).notify(FULL) == Notify(FULL)
            assert session_of(host).agreed.full_transcript


def test_what_is_signed_begins_with_eight_zero_octets_and_the_peers_message() -> None:
    """The zero octets "can be no SPI", so the two forms are never alike."""
    assert signed(b"own", b"peer", is_full=True) == bytes(8) + b"peer" + b"own"
    assert signed(b"own", b"peer", is_full=False) == b"own"
    ladder = GCM.psk(BOTH, BOTH)
    ladder.connect()
    assert all(sent.octets[:8] != PREFIX for _, sent in ladder.sent)
