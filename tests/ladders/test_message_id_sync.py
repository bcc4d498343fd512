# SPDX-License-Identifier: Apache-2.0
"""RFC 6311: message IDs after one host took over an IKE SA of another that was ahead of it."""

from dataclasses import replace

import pytest

from ikeway.ike.io import InstallChild, Rekey, Synchronize
from ikeway.ike.message_id_sync import IDS_SKIPPED, IVS_SKIPPED, Counters
from ikeway.ike.states import Established
from ikeway.ike.tasks import AskedSync
from ikeway.ike.window import Window
from ikeway.policy.lifetimes import Retransmission
from ikeway.wire.codec import Body
from ikeway.wire.message import Header
from ikeway.wire.payloads import Delete, Notify
from ikeway.wire.registry import ExchangeType, NotifyType, ProtocolId
from support.agreement import agree
from support.asking import one_more, want, word
from support.forge import edited, opened, sealed, session_of
from support.fragmenting import Cutter
from support.hosts import Row
from support.ladder import Ladder
from support.shell import Host

SUPPORTED = NotifyType.IKEV2_MESSAGE_ID_SYNC_SUPPORTED
SYNC = NotifyType.IKEV2_MESSAGE_ID_SYNC


def up(row: Row, **changes: object) -> Ladder:
    ladder = row.psk(dict(changes), dict(changes))
    ladder.connect()
    return ladder


def state_of(host: Host) -> Established:
    (state,) = host.established
    return state


def window_of(host: Host) -> Window:
    return state_of(host).session.window


def fail_over(ladder: Ladder, host: Host, exchanges: int = 5) -> None:
    """Have a host be replaced by one with an older state: it knows less than its peer."""
    (sa,) = host.endpoint.sas
    old = sa.state
    for _ in range(exchanges):
        want(ladder, host, word(1))
        ladder.settle()
        want(ladder, ladder.other(host), word(2))
        ladder.settle()
    sa._state = old


def synchronize(ladder: Ladder, host: Host) -> None:
    (sa,) = host.endpoint.sas
    ladder.perform(host, host.endpoint.handle(sa.spi, Synchronize(), ladder.now))


def counters(reader: Host, octets: bytes) -> Counters:
    found = Counters.of(opened(reader, octets))
    assert found is not None
    return found


def request(ladder: Ladder, said: Counters, *more: Body) -> bytes:
    """Return a request of the left host to synchronise."""
    return sealed(session_of(ladder.left), (said.notify, *more), 0)


# Agreeing on it -----------------------------------------------------------------------------------


@pytest.mark.conformance("CF-T01")
def test_both_sides_say_in_ike_auth_that_they_can(row: Row) -> None:
    """§5: "during the IKE_AUTH exchange"."""
    ladder = up(row)
    for host in (ladder.left, ladder.right):
        (said,) = [one for one in host.said if SUPPORTED.name in one]
        assert said.startswith("IKE_AUTH")
        assert state_of(host).session.agreed.message_id_sync
        assert "IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED" not in " ".join(host.said)


@pytest.mark.conformance("CF-T01")
def test_the_responder_does_not_say_so_first(row: Row) -> None:
    """§5: "the responder MUST NOT assert support ... unless ... asserted by the initiator"."""
    ladder = row.psk()

    def without(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(
            one for one in payloads if not (isinstance(one, Notify) and one.type is SUPPORTED)
        )

    edited(ladder, without, ExchangeType.IKE_AUTH, ladder.left)
    ladder.connect()
    assert SUPPORTED.name not in " ".join(ladder.right.said)
    for host in (ladder.left, ladder.right):
        assert not state_of(host).session.agreed.message_id_sync
        before = state_of(host)
        synchronize(ladder, host)
        assert state_of(host) == before
        assert host.warnings[-1] == "the peer cannot synchronise message IDs (RFC 6311)"
    before = state_of(ladder.right)
    assert ladder.arrive(ladder.right, request(ladder, Counters(b"1234", 50, 50))) == []
    assert window_of(ladder.right) == before.session.window


# The one that takes over --------------------------------------------------------------------------


@pytest.mark.conformance("CF-T02", "CF-T04", "CF-L13")
@pytest.mark.parametrize("size", [1, 4])
@pytest.mark.parametrize("side", ["left", "right"])
def test_who_takes_over_agrees_with_the_peer_and_goes_on(row: Row, side: str, size: int) -> None:
    """§5.1, §9: without it the requests of both would be outside the other's window."""
    ladder = up(row, window=size)
    host: Host = getattr(ladder, side)
    peer = ladder.other(host)
    fail_over(ladder, host)
    known, before = window_of(host), len(ladder.sent)
    ahead = window_of(peer)
    synchronize(ladder, host)
    ((_, datagram),) = ladder.sent[before:]
    header = Header.decode(datagram.octets)
    assert (header.message_id, header.exchange) == (0, ExchangeType.INFORMATIONAL)
    asked = counters(peer, datagram.octets)
    assert len(opened(peer, datagram.octets).payloads) == 1
    assert asked.send >= known.next_request + size
    assert asked.receive == known.expected
    ladder.settle()
    answer = counters(host, ladder.sent[before + 1][1].octets)
    assert answer.nonce == asked.nonce
    assert answer.receive == max(asked.send, ahead.expected)
    assert answer.send == max(asked.receive, ahead.next_request)
    assert window_of(host).next_request == window_of(peer).expected == answer.receive
    assert window_of(host).expected == window_of(peer).next_request == answer.send
    for one in (host, peer):
        want(ladder, one, word(3))
        ladder.settle()
    agree(ladder)


@pytest.mark.conformance("CF-T08")
def test_no_iv_of_the_one_before_is_used_again(row: Row) -> None:
    """§3.4: counter modes must not repeat an IV under a key, also not the one before's."""
    ladder = up(row)
    (sa,) = ladder.left.endpoint.sas
    old = state_of(ladder.left)
    for _ in range(5):
        want(ladder, ladder.left, word(1))
        ladder.settle()
    used = state_of(ladder.left).session.keyring.sealed
    sa._state = old
    synchronize(ladder, ladder.left)
    after = state_of(ladder.left).session.keyring.sealed
    assert after > old.session.keyring.sealed + IVS_SKIPPED >= used
    ivs = {one.octets[32:40] for host, one in ladder.sent if host is ladder.left}
    assert len(ivs) == sum(host is ladder.left for host, _ in ladder.sent)


def test_nothing_else_is_asked_until_the_answer_is_there(row: Row) -> None:
    """§8.1: and what was under way is asked once more afterwards."""
    ladder = up(row, window=4)
    want(ladder, ladder.left, word(1), word(2))
    ladder.wire.clear()
    synchronize(ladder, ladder.left)
    assert len(ladder.wire) == 1
    want(ladder, ladder.left, word(3))
    synchronize(ladder, ladder.left)
    assert len(ladder.wire) == 1
    ladder.settle()
    assert sum("N(UNKNOWN" in said for said in ladder.left.said) == 5
    agree(ladder)


@pytest.mark.conformance("CF-T02", "CF-T03")
def test_each_try_has_higher_ids_and_another_nonce(row: Row) -> None:
    """§5.1: the peer drops what it has seen before, so a repetition would never be answered."""
    ladder = up(row)
    fail_over(ladder, ladder.left)
    before = len(ladder.sent)
    ladder.fate = lambda host, datagram: [] if host is ladder.right else [datagram]
    synchronize(ladder, ladder.left)
    ladder.wait(4)
    tries = [
        counters(ladder.right, one.octets)
        for host, one in ladder.sent[before:]
        if host is ladder.left
    ]
    assert len(tries) >= 3
    assert len({one.nonce for one in tries}) == len(tries)
    assert [one.send - tries[0].send for one in tries] == [
        turn * IDS_SKIPPED for turn in range(len(tries))
    ]
    ladder.fate = lambda _host, datagram: [datagram]
    ladder.wait(10)
    want(ladder, ladder.left, word(3))
    ladder.settle()
    agree(ladder)


def test_a_peer_that_does_not_answer_is_gone(row: Row) -> None:
    """RFC 7296 §2.4."""
    ladder = up(row, retransmission=Retransmission(give_up=10.0))
    ladder.fate = lambda _host, _datagram: []
    synchronize(ladder, ladder.left)
    ladder.wait(12)
    assert ladder.left.ends[0].reason.startswith("no answer from")


@pytest.mark.conformance("CF-T05")
def test_an_answer_to_something_else_is_dropped(row: Row) -> None:
    """§5.1: "silently dropped if the received nonce does not match"; §11: a second one too."""
    ladder = up(row)
    want(ladder, ladder.right, word(1))
    ladder.settle()
    fail_over(ladder, ladder.left)
    synchronize(ladder, ladder.left)
    ladder.wire.clear()
    (asked,) = state_of(ladder.left).asking(AskedSync)
    before = window_of(ladder.left)

    def answer(said: Counters, *more: Body) -> None:
        payloads = (said.notify, *more)
        octets = sealed(session_of(ladder.right), payloads, 0, is_response=True)
        assert ladder.arrive(ladder.left, octets) == []

    good = Counters(asked.nonce, asked.receive + 9, asked.send)
    answer(replace(good, nonce=bytes(4)))
    answer(replace(good, send=asked.receive - 1))
    answer(replace(good, receive=asked.send - 1))
    answer(good, Delete(ProtocolId.IKE))
    octets = sealed(session_of(ladder.right), (), 0, is_response=True)
    assert ladder.arrive(ladder.left, octets) == []
    assert window_of(ladder.left) == before
    answer(good)
    assert (window_of(ladder.left).next_request, window_of(ladder.left).expected) == (
        asked.send,
        asked.receive + 9,
    )
    after = state_of(ladder.left)
    answer(good)
    assert state_of(ladder.left) == after


# The peer -----------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-T03")
def test_a_replayed_request_is_dropped(row: Row) -> None:
    """§5.1: "if M1 is lower than or equal to the highest value it has seen"; §11."""
    ladder = up(row)
    fail_over(ladder, ladder.left, 2)
    synchronize(ladder, ladder.left)
    octets = ladder.sent[-1][1].octets
    ladder.settle()
    before = state_of(ladder.right)
    assert ladder.arrive(ladder.right, octets) == []
    assert state_of(ladder.right) == before
    want(ladder, ladder.left, word(1))
    ladder.settle()
    assert ladder.arrive(ladder.right, octets) == []
    agree(ladder)


@pytest.mark.conformance("CF-T03", "CF-T04")
@pytest.mark.parametrize("back", [0, 1, 2])
def test_ids_go_forwards_only(row: Row, back: int) -> None:
    """§5.1: the higher of both counts, and what is not above all that was seen is no request."""
    ladder = up(row)
    window = window_of(ladder.right)
    send = window.expected - back
    said = ladder.arrive(ladder.right, request(ladder, Counters(b"1234", send, 0)))
    assert len(said) == (0 if back else 1)
    assert window_of(ladder.right).expected == window.expected
    assert window_of(ladder.right).next_request == window.next_request


@pytest.mark.parametrize("size", [0, 8, 11, 13])
def test_a_notify_of_another_length_is_dropped(row: Row, size: int) -> None:
    """§6.3: 4 octets nonce and two message IDs."""
    ladder = up(row)
    before = window_of(ladder.right)
    octets = sealed(session_of(ladder.left), (Notify(SYNC, bytes(size)),), 0)
    assert ladder.arrive(ladder.right, octets) == []
    assert window_of(ladder.right) == before


@pytest.mark.conformance("CF-T02")
def test_a_request_with_anything_else_is_dropped(row: Row) -> None:
    """§5.1: "MUST NOT contain any additional payloads"; we did not agree to replay counters."""
    ladder = up(row)
    before = state_of(ladder.right)
    for more in (Delete(ProtocolId.IKE), Notify(NotifyType.IPSEC_REPLAY_COUNTER_SYNC, bytes(4))):
        assert ladder.arrive(ladder.right, request(ladder, Counters(b"1234", 90, 90), more)) == []
    assert state_of(ladder.right) == before


def test_a_forged_request_is_dropped(row: Row) -> None:
    """§9: "The peer first authenticates the message"."""
    ladder = up(row)
    before = state_of(ladder.right)
    octets = bytearray(request(ladder, Counters(b"1234", 90, 90)))
    octets[-1] ^= 1
    assert ladder.arrive(ladder.right, bytes(octets)) == []
    assert state_of(ladder.right) == before


@pytest.mark.conformance("CF-L13")
def test_a_request_in_fragments_is_none(row: Row) -> None:
    """RFC 7383 §3: "MUST NOT be sent fragmented"."""
    ladder = up(row)
    before = window_of(ladder.right)
    cutter = Cutter(session_of(ladder.left), 0)
    for octets in cutter.cut((Counters(b"1234", 90, 90).notify,), 2):
        assert ladder.arrive(ladder.right, octets) == []
    assert window_of(ladder.right) == before


def test_what_the_peer_had_asked_is_asked_anew(row: Row) -> None:
    """§9: "should not wait for any pending responses": the old member may never have answered."""
    ladder = up(row)
    spi = next(iter(ladder.right.installed))
    (sa,) = ladder.right.endpoint.sas
    ladder.perform(ladder.right, ladder.right.endpoint.handle(sa.spi, Rekey(spi), ladder.now))
    ladder.wire.clear()
    synchronize(ladder, ladder.left)
    ladder.settle()
    assert spi not in ladder.right.installed
    agree(ladder)


def test_what_was_being_answered_is_dropped(row: Row) -> None:
    """§9: "should also not wait for pending (incoming) requests"; I3."""
    ladder = up(row)
    ladder.right.holds = (InstallChild,)
    want(ladder, ladder.left, one_more(ladder.left))
    ladder.settle()
    assert state_of(ladder.right).answering
    ladder.right.holds = ()
    synchronize(ladder, ladder.left)
    ladder.settle()
    assert not state_of(ladder.right).answering
    agree(ladder, children=2)


def test_a_message_with_id_0_that_says_nothing_of_it_is_an_old_one(row: Row) -> None:
    """RFC 7296 §2.2: message ID 0 is otherwise as any other."""
    ladder = up(row)
    before = state_of(ladder.right)
    assert ladder.arrive(ladder.right, sealed(session_of(ladder.left), (), 0)) == []
    assert state_of(ladder.right) == before
    assert "is long answered" in ladder.right.drops[-1]
