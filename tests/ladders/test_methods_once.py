# SPDX-License-Identifier: Apache-2.0
"""RFC 9370 §2.2.1: no key exchange method is done twice in one series."""

from dataclasses import replace

import pytest

from ikeway.wire.message import Message
from ikeway.wire.payloads import Transform
from ikeway.wire.registry import KeMethod, NotifyType, TransformType
from support.agreement import agree
from support.forge import rewritten, session_of
from support.hosts import Row
from support.hybrid import hybrid, with_transforms
from support.ladder import Ladder
from support.shell import Host

SAME = KeMethod.ML_KEM_768
FREE = "ke1_mlkem768-ke1_mlkem1024-ke2_mlkem768-ke2_mlkem1024"


def saying_it_twice(ladder: Ladder, sender: Host) -> None:
    """Let every additional key exchange be by the same method in what a host sends."""

    def change(message: Message) -> Message:
        def one(transforms: tuple[Transform, ...]) -> tuple[Transform, ...]:
            return tuple(
                replace(each, id=SAME)
                if each.type in {TransformType.ADDKE1, TransformType.ADDKE2}
                else each
                for each in transforms
            )

        return with_transforms(message, one)

    rewritten(ladder, change, sender)


@pytest.mark.conformance("CF-Q04")
def test_a_responder_that_could_only_choose_it_twice_has_no_proposal(row: Row) -> None:
    """ "the responder MUST NOT ... contain duplicated algorithms", else NO_PROPOSAL_CHOSEN."""
    ladder = hybrid(row, "ke1_mlkem768-ke2_mlkem1024")
    saying_it_twice(ladder, ladder.left)
    ladder.connect()
    (answer,) = (Message.decode(sent.octets) for host, sent in ladder.sent if host is ladder.right)
    assert answer.notify(NotifyType.NO_PROPOSAL_CHOSEN) is not None
    assert ladder.right.states == []


@pytest.mark.conformance("CF-Q04")
def test_a_responder_finds_the_choice_in_which_each_is_another(row: Row) -> None:
    """The first choice of both, ML-KEM-768, is for the one that has no other."""
    ladder = hybrid(row, "ke1_mlkem768-ke1_mlkem1024-ke2_mlkem768")
    ladder.connect()
    agree(ladder)
    assert session_of(ladder.right).keyring.suite.additional == (
        (1, KeMethod.ML_KEM_1024),
        (2, KeMethod.ML_KEM_768),
    )


@pytest.mark.conformance("CF-Q04")
def test_an_initiator_does_not_go_on_with_an_answer_that_has_it_twice(row: Row) -> None:
    """ "the initiator MUST ... fail the exchange" before IKE_INTERMEDIATE."""
    ladder = hybrid(row, FREE)
    saying_it_twice(ladder, ladder.right)
    ladder.connect()
    ladder.wait(120)
    assert not [said for said in ladder.left.said if "IKE_INTERMEDIATE" in said]
    assert ladder.left.established == []
