# SPDX-License-Identifier: Apache-2.0
"""Puzzles between both sides: the notify, how hard they are, and which PRF (RFC 8019 §7, §8.1)."""

from typing import Final

from ikeway.crypto.prf import prf
from ikeway.crypto.puzzle import BITS_LEAST, Puzzle
from ikeway.model.errors import MalformedError, NoProposalError
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify, SecurityAssociation
from ikeway.wire.registry import NotifyType, TransformType

EASY_BITS: Final = 12
"""The first puzzles: 16,000 computations, which nobody notices."""
FREE_BITS: Final = 16
"""How far we go where the peer leaves it to us (§7.1.1.1)."""
PREFERRED: Final = (5, 6, 7, 8, 4)
"""PRFs for our puzzles, best first: SHA-256 takes each side about as long."""


def difficulty(fill: float, most: int) -> int:
    """Return how many bits to ask for, from 0.0 at the least load to 1.0 (§7.1.1.1)."""
    least = max(BITS_LEAST, min(EASY_BITS, most))
    return least + round(fill * max(0, most - least))


def choose_prf(octets: bytes) -> int:
    """Return the PRF for a puzzle from what an IKE_SA_INIT request offers (§7.1.1.2).

    Raises:
        PeerError: the request cannot be read, or offers no PRF of ours.
    """
    offered = Message.decode(octets).one(SecurityAssociation)
    codes = {
        transform.id
        for proposal in (offered.proposals if offered else ())
        for transform in proposal.transforms
        if transform.type is TransformType.PRF
    }
    for code in PREFERRED:
        if code in codes:
            return code
    raise NoProposalError("no PRF of ours, not even for a puzzle")


def notify(code: int, bits: int) -> Notify:
    """Return the PUZZLE notification."""
    return Notify(NotifyType.PUZZLE, code.to_bytes(2) + bytes((bits,)))


def read(notified: Notify, octets: bytes) -> Puzzle:
    """Return the puzzle that a notification poses about `octets`.

    Raises:
        MalformedError: it is none, or of a PRF that we do not have.
    """
    if len(notified.data) != 3:
        raise MalformedError(f"a PUZZLE of {len(notified.data)} octets")
    code, bits = int.from_bytes(notified.data[:2]), notified.data[2]
    try:
        prf(code)
    except LookupError as error:
        raise MalformedError(f"a PUZZLE: {error}") from error
    return Puzzle(code, bits or FREE_BITS, octets)
