# SPDX-License-Identifier: Apache-2.0
"""Atheris target: the state machine with keys, at every stage of a handshake.

The first octets choose the stage and how the rest arrives: in the clear, or as the payloads inside
SK, sealed by the peer itself. Run it with `python tests/fuzz/fuzz_ike.py tests/fuzz/corpus/ike`.
"""

import sys
from functools import cache
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from ikeway.ike import proof
from ikeway.ike.candidates import ANSWERS_MOST
from ikeway.ike.session import Session, Transcript
from ikeway.ike.states import Candidates
from ikeway.model.errors import IntegrityError, MalformedError, PeerError
from ikeway.wire.codec import Body
from ikeway.wire.message import Header, decode_chain, encode_chain
from ikeway.wire.payloads import Authentication, Identification, IdI, IdR
from ikeway.wire.registry import ExchangeType
from support.forge import sealed_octets, session_in
from support.hosts import GCM, PSK
from support.stages import HEADS, STAGES, WAYS, Stage, check, stage

CASES = [(way, name) for way in WAYS for name in STAGES]
HEAD_OCTETS = 4
IN_THE_CLEAR, SEALED, PROVEN, UNASKED = range(4)


@cache
def prepared(number: int) -> Stage:
    """Return a stage, which is brought back to where it was after each use."""
    way, name = CASES[number]
    at = stage(GCM, way, name)
    at.ladder.fate = lambda _host, _datagram: []
    return at


def one_input(octets: bytes) -> None:
    """Let a host receive what the octets describe."""
    if len(octets) < HEAD_OCTETS:
        return
    which, how, first, exchange = octets[:HEAD_OCTETS]
    at = prepared(which % len(CASES))
    rest = octets[HEAD_OCTETS:]
    if how % 4 == IN_THE_CLEAR or at.name not in HEADS:
        receive_plain(at, first, exchange, rest)
    else:
        receive_sealed(at, how % 4, first, exchange, rest)


def receive_plain(at: Stage, first: int, exchange: int, rest: bytes) -> None:
    """Receive a message that anybody could send, under the SPIs that are waited for."""
    head = bytearray(at.genuine.octets[:28])
    head[16] = first
    if exchange & 0x80:
        head[18] = exchange & 0x7F
    message = bytes(head[:24]) + (28 + len(rest)).to_bytes(4) + rest
    actions = at.receive(message)
    if at.name in HEADS and is_authentic(at, message):  # a seed of another run with the same keys
        at.restore()
    else:
        check(at, message, actions)


def is_authentic(at: Stage, message: bytes) -> bool:
    """Whether the peer could have sent a message."""
    try:
        session_in(next(iter(at.states.values()))).keyring.open(Header.decode(message), message)
    except PeerError as error:
        return not isinstance(error, IntegrityError)
    return True


def receive_sealed(at: Stage, how: int, first: int, exchange: int, rest: bytes) -> None:
    """Receive a message that only the peer could send, and do what comes of it."""
    (sender,) = at.ladder.other(at.host).endpoint.sas
    session = session_in(sender.state)
    kind, is_response = HEADS[at.name]
    number = int.from_bytes(at.genuine.octets[20:24])
    if how == PROVEN:
        first, rest = with_proof(at, session, first, rest)
    if how == UNASKED:
        kind = ExchangeType(exchange)
        is_response = False
        receiver = session_in(next(iter(at.states.values())))
        number = receiver.window.expected
    octets = sealed_octets(session, first, rest, number, kind, is_response=is_response)
    at.ladder.perform(at.host, at.receive(octets))
    assert len(at.host.endpoint.sas) <= ANSWERS_MOST
    at.restore()


def with_proof(at: Stage, session: Session, first: int, rest: bytes) -> tuple[int, bytes]:
    """Return the payloads with an AUTH that convinces, so that what follows it is reached."""
    try:
        payloads = decode_chain(first, rest)
    except MalformedError:
        return first, rest
    kind = IdI if at.name == "IKE_AUTH request" else IdR
    claimed = next((body for body in payloads if isinstance(body, kind)), None)
    transcript = transcript_of(at)
    if claimed is None or transcript is None:
        return first, rest
    return encode_chain(tuple(proven(body, session, transcript, claimed) for body in payloads))


def proven(body: Body, session: Session, transcript: Transcript, claimed: Identification) -> Body:
    """Return an AUTH payload for what is claimed; other payloads as they are."""
    if not isinstance(body, Authentication):
        return body
    ours = proof.claim(session, transcript, claimed, is_local=True)
    return proof.psk_proof(session, ours, PSK)[0]


def transcript_of(at: Stage) -> Transcript | None:
    """Return what both sides have said in IKE_SA_INIT."""
    state = next(iter(at.states.values()))
    if isinstance(state, Candidates):
        state = state.branches[0]
    return getattr(state, "transcript", None)


def main() -> None:
    """Hand the target to libFuzzer."""
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
