# SPDX-License-Identifier: Apache-2.0
"""RFC 7383: long messages in fragments, over paths that lose what is large."""

import random
from itertools import pairwise

import pytest

from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.ike import fragments
from ikeway.ike.features import fragmentation
from ikeway.ike.io import Datagram
from ikeway.ike.tasks import Inform, RekeyIke
from ikeway.policy.lifetimes import Retransmission
from ikeway.wire.message import Header, Message
from ikeway.wire.payloads import EncryptedFragment, Notify
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType
from support.agreement import agree
from support.asking import want
from support.forge import rewritten, session_of
from support.fragmenting import (
    IP_UDP_MARKER,
    Cutter,
    NarrowPath,
    content_of,
    is_fragment,
    long,
    numbers,
    sent_by,
    sizes,
)
from support.hosts import CBC, GCM, Row
from support.ladder import Ladder
from support.shell import Host


def up(row: Row, size: int = 576, **right: object) -> Ladder:
    ladder = row.psk({"fragment_size": size}, {"fragment_size": size, **right})
    ladder.connect()
    return ladder


def tell(ladder: Ladder, host: Host, octets: int) -> int:
    """Have a host send a long request; return where its datagrams begin."""
    before = len(ladder.sent)
    want(ladder, host, Inform((long(octets),)))
    return before


# Negotiation --------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-L01")
@pytest.mark.parametrize("without", ["left", "right", "both"])
def test_nothing_is_fragmented_unless_both_sides_want_it(row: Row, without: str) -> None:
    """§2.4: "MUST NOT be used unless both peers have indicated their support for it"."""
    off = {"fragment_size": 0}
    left = off if without != "right" else None
    right = off if without != "left" else None
    ladder = row.certificates(left, right, key=KeyAlgorithm.RSA)
    ladder.connect()
    agree(ladder)
    assert not [one for _, one in ladder.sent if is_fragment(one.octets)]
    cutter = Cutter(session_of(ladder.left), session_of(ladder.left).window.next_request)
    for octets in cutter.cut((long(100),), 2):
        assert ladder.arrive(ladder.right, octets) == []
    assert ladder.right.drops[-1] == "a fragment, but fragmentation was not agreed on"


@pytest.mark.conformance("CF-L01")
def test_the_notify_has_no_data_and_no_spi(row: Row) -> None:
    """§2.3: protocol 0, no SPI, no data; the responder answers it, and only in IKE_SA_INIT."""
    ladder = row.psk()
    ladder.initiate()
    ladder.settle()
    for _, datagram in ladder.sent[:2]:
        notify = Message.decode(datagram.octets).notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED)
        assert notify == Notify(NotifyType.IKEV2_FRAGMENTATION_SUPPORTED)
    assert not [said for said in ladder.left.said[1:] if "FRAGMENTATION" in said]


@pytest.mark.conformance("CF-L01")
def test_a_responder_that_is_not_asked_does_not_offer(row: Row) -> None:
    """§2.3: the responder includes the notify where the request had it."""
    ladder = row.psk()
    kind = NotifyType.IKEV2_FRAGMENTATION_SUPPORTED

    def without(message: Message) -> Message:
        kept = [
            one for one in message.payloads if not (isinstance(one, Notify) and one.type is kind)
        ]
        return Message(message.header, tuple(kept))

    rewritten(ladder, without, ladder.left)
    ladder.initiate()
    ladder.deliver(*ladder.wire.popleft())
    assert Message.decode(ladder.sent[1][1].octets).notify(kind) is None


# Sending ------------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-L02", "CF-L07", "CF-L11")
def test_ike_auth_with_certificates_goes_in_fragments(row: Row) -> None:
    """§2.5: own IV and ICV each; the first names the first payload inside, the others none."""
    ladder = row.certificates({"fragment_size": 576}, {"fragment_size": 576})
    ladder.connect()
    agree(ladder)
    for host in (ladder.left, ladder.right):
        octets = [one for one in sent_by(ladder, host) if is_fragment(one)]
        assert len(octets) >= 2
        assert max(sizes(ladder, host)[1:]) <= 576
        total = len(octets)
        assert [numbers(one) for one in octets] == [(n, total) for n in range(1, total + 1)]
        bodies = [Message.decode(one).payloads for one in octets]
        assert all(len(one) == 1 and isinstance(one[0], EncryptedFragment) for one in bodies)
        assert {Header.decode(one).message_id for one in octets} == {1}
        first = PayloadType.IDI if host is ladder.left else PayloadType.IDR
        assert [one[28] for one in octets] == [first, *[0] * (total - 1)]
        ivs = {one[36 : 36 + session_of(host).keyring.protection.iv_octets] for one in octets}
        assert len(ivs) == total


@pytest.mark.conformance("CF-L11")
@pytest.mark.parametrize("size", [576, 1280, 1500])
def test_no_datagram_is_larger_than_it_may_be(row: Row, size: int) -> None:
    """§2.5.1: "the resulting IP datagrams will be smaller than some fragmentation threshold"."""
    ladder = up(row, size)
    for octets in (size - 120, size, 3 * size, 20000):
        before = tell(ladder, ladder.left, octets)
        ladder.settle()
        assert max(sizes(ladder, ladder.left, before)) <= size
        agree(ladder)
    assert size - max(sizes(ladder, ladder.left, before)) < 32, "and not much smaller either"


@pytest.mark.parametrize("row", [GCM, CBC], ids=str)
def test_a_message_is_fragmented_from_the_first_octet_that_does_not_fit(row: Row) -> None:
    """§2.4: "there is no point in fragmenting" what fits; the content is spread without gaps."""
    ladder = up(row)
    session = session_of(ladder.left)
    room = fragmentation.room(576, ladder.addresses[0].version)
    for octets in range(350, 600):
        content = content_of(session, (long(octets),))
        keyring, whole = fragments.seal(session.keyring, content, session.env.random, None)
        _, datagrams = fragments.seal(keyring, content, session.env.random, room)
        assert (len(datagrams) > 1) == (len(whole[0]) > room)
        assert max(map(len, datagrams)) <= room


@pytest.mark.conformance("CF-L11")
def test_without_a_setting_datagrams_have_at_most_1280_octets(row: Row) -> None:
    """§2.5.1: 1280 for IPv6, "576 or configured" for IPv4, which is ours."""
    ladder = row.certificates(key=KeyAlgorithm.RSA)
    ladder.connect()
    assert [one for one in sent_by(ladder, ladder.left) if is_fragment(one)]
    assert max(sizes(ladder, ladder.left)) <= 1280


def test_short_messages_are_no_fragments(row: Row) -> None:
    """§2.4: "there is no point in fragmenting liveness check messages"."""
    ladder = up(row)
    ladder.check_liveness(ladder.left)
    ladder.settle()
    assert not [one for _, one in ladder.sent if is_fragment(one.octets)]


def test_create_child_sa_is_fragmented_too(row: Row) -> None:
    """§2.5: every message with an Encrypted payload can be."""
    ladder = row.psk({"fragment_size": 576}, {"fragment_size": 576})
    ladder.connect()
    session = session_of(ladder.left)
    before = len(ladder.sent)
    cutter = Cutter(session, 2, ExchangeType.CREATE_CHILD_SA)
    answers = [
        answer
        for octets in cutter.cut((long(1500),), 4)
        for answer in ladder.arrive(ladder.right, octets)
    ]
    assert len(ladder.sent) == before + 1
    assert Header.decode(answers[0]).exchange is ExchangeType.CREATE_CHILD_SA


@pytest.mark.conformance("CF-L11")
def test_the_answer_is_fragmented_no_larger_than_the_request(row: Row) -> None:
    """§2.5.1: "maximum size of the received IKE Fragment message ... as a threshold"."""
    ladder = row.certificates({"fragment_size": 600}, {"fragment_size": 1400}, key=KeyAlgorithm.RSA)
    ladder.connect()
    agree(ladder)
    fragmented = [one for one in sent_by(ladder, ladder.right) if is_fragment(one)]
    assert fragmented
    assert max(sizes(ladder, ladder.right)[1:]) <= 600


# Repetitions --------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-L07", "CF-B05", "CF-B07")
def test_a_request_is_repeated_fragment_by_fragment_unchanged(row: Row) -> None:
    """§2.6.1, RFC 7296 §2.1: bitwise identical, all of them."""
    ladder = up(row)
    before = tell(ladder, ladder.left, 2000)
    first = sent_by(ladder, ladder.left, before)
    assert len(first) > 3
    del ladder.wire[1]
    ladder.settle()
    again = len(ladder.sent)
    ladder.wait(0.6)
    assert sent_by(ladder, ladder.left, again) == first
    agree(ladder)


@pytest.mark.conformance("CF-L09")
def test_only_the_first_fragment_of_an_answered_request_gets_the_response_again(row: Row) -> None:
    """§2.6.1: "MUST only trigger a retransmission ... if the Fragment Number ... is set to 1"."""
    ladder = up(row)
    before = tell(ladder, ladder.left, 2000)
    asked = sent_by(ladder, ladder.left, before)
    ladder.settle()
    answer = sent_by(ladder, ladder.right, before)
    events = len(ladder.right.events)
    for octets in asked:
        expected = answer if numbers(octets)[0] == 1 else []
        assert ladder.arrive(ladder.right, octets) == expected
    forged = bytearray(asked[0])
    forged[-1] ^= 1
    assert ladder.arrive(ladder.right, bytes(forged)) == []
    assert not [said for said in ladder.right.said[events:] if "response" in said]


@pytest.mark.conformance("CF-L09")
def test_a_fragmented_response_is_repeated_whole(row: Row) -> None:
    """§2.6.1: the response, "fragmented or not"."""
    ladder = row.certificates({"fragment_size": 576}, {"fragment_size": 576})
    ladder.connect()
    asked = [one for one in sent_by(ladder, ladder.left) if is_fragment(one)]
    answer = [one for one in sent_by(ladder, ladder.right) if is_fragment(one)]
    assert ladder.arrive(ladder.right, asked[0]) == answer
    assert ladder.arrive(ladder.right, asked[1]) == []


# Path MTU -----------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-L10", "CF-L11")
@pytest.mark.parametrize("key", [KeyAlgorithm.RSA], ids=lambda key: key.value)
def test_a_path_that_loses_what_is_large_is_found_out(key: KeyAlgorithm) -> None:
    """§2.5.2: "refragment ... using the next smaller value", with a larger total."""
    patient = {"fragment_size": 1500, "retransmission": Retransmission(give_up=60.0)}
    ladder = GCM.certificates(patient, patient, key=key)
    path = NarrowPath(ladder, 600)
    ladder.connect()
    ladder.wait(30)
    agree(ladder)
    assert path.lost
    totals = [numbers(one)[1] for one in sent_by(ladder, ladder.left) if is_fragment(one)]
    totals = [totals[at] for at in range(len(totals)) if totals[at] >= max(totals[: at + 1])]
    assert len(set(totals)) >= 2
    assert "datagrams of at most 576 octets from now on" in ladder.left.warnings[-1]
    before = tell(ladder, ladder.left, 3000)
    ladder.settle()
    assert max(sizes(ladder, ladder.left, before)) <= 576, "the next one begins with that size"
    agree(ladder)


@pytest.mark.conformance("CF-L10")
def test_the_waits_start_over_with_each_size_and_go_on_at_the_smallest() -> None:
    """§2.5.2: "MUST reset its retransmission timers", and "MUST continue retransmitting"."""
    timing = Retransmission(first=1.0, factor=2.0, longest=60.0, give_up=100.0)
    ladder = GCM.psk({"fragment_size": 1500, "retransmission": timing})
    ladder.connect()
    NarrowPath(ladder, 100)
    start, moments = ladder.now, []
    before = tell(ladder, ladder.left, 4000)
    seen = before + len(sent_by(ladder, ladder.left, before))
    for tick in range(1, 990):
        ladder.wait(0.1)
        if len(ladder.sent) > seen:
            # The first fragments of sets before are behind those of the set.
            latest = [one for one in sizes(ladder, ladder.left, seen) if one > 100]
            size = max(latest[:2], default=0)
            moments.append((round(tick / 10, 1), size))
            seen = len(ladder.sent)
    assert ladder.now - start < 100
    ladder.wait(5)
    assert ladder.left.ends[0].reason.startswith("no answer from")
    waits = [round(b[0] - a[0]) for a, b in pairwise(moments)]
    assert waits[:9] == [2, 4, 1, 2, 4, 1, 2, 4, 8]
    biggest = [size for _, size in moments if size > 100]  # the others are answers to the peer
    assert biggest == sorted(biggest, reverse=True)
    assert [size > 1280 for size in biggest[:3]] == [True, True, False]
    assert all(size <= 576 for size in biggest[6:])


def latest(ladder: Ladder, since: int) -> list[bytes]:
    """Return what the left host sent the last time, from the first fragment of a set on."""
    octets = sent_by(ladder, ladder.left, since)
    starts = [at for at, one in enumerate(octets) if not is_fragment(one) or numbers(one)[0] == 1]
    (total,) = {numbers(one)[1] for one in octets[-3:-2]}
    return octets[max(at for at in starts if numbers(octets[at])[1] == total) :]


@pytest.mark.conformance("CF-L10")
def test_the_first_fragment_of_each_set_before_goes_along() -> None:
    """strongSwan gives the response again only for octets that it has answered already."""
    ladder = GCM.psk({"fragment_size": 1500, "retransmission": Retransmission(give_up=60.0)})
    ladder.connect()
    ladder.fate = lambda _host, _datagram: []
    before = tell(ladder, ladder.left, 4000)
    ladder.wait(20)
    sets = latest(ladder, before)
    total = numbers(sets[0])[1]
    assert [numbers(one)[0] for one in sets] == [*range(1, total + 1), 1, 1]
    older = [numbers(one)[1] for one in sets[total:]]
    assert older == sorted(older, reverse=True)
    assert set(sets[total:]) <= set(sent_by(ladder, ladder.left, before)[: 20 - total])
    # Who has answered one of them answers it again, whatever is lost on this way from now on.
    ladder.fate = lambda _host, datagram: [datagram]
    ladder.wait(10)
    agree(ladder)


@pytest.mark.conformance("CF-L10")
def test_nothing_is_made_smaller_while_a_part_of_the_response_is_there() -> None:
    """§2.5.2 is for requests that do not get through: this one was answered."""
    size = {"fragment_size": 1280, "retransmission": Retransmission(give_up=60.0)}
    ladder = GCM.certificates(size, size, key=KeyAlgorithm.RSA)
    ladder.fate = lambda host, datagram: (
        [] if host is ladder.right and _is_last(datagram.octets) else [datagram]
    )
    ladder.connect()
    ladder.wait(12)
    assert ladder.left.repeats > 3
    assert not ladder.left.warnings
    ladder.fate = lambda _host, datagram: [datagram]
    ladder.wait(10)
    agree(ladder)


def _is_last(octets: bytes) -> bool:
    return is_fragment(octets) and len(set(numbers(octets))) == 1


@pytest.mark.conformance("CF-L11")
def test_with_ipv6_nothing_below_1280_is_tried() -> None:
    """§2.5.1, RFC 8200 §5: every IPv6 link carries 1280 octets."""
    ladder = CBC.psk({"fragment_size": 1500})
    ladder.connect()
    NarrowPath(ladder, 100)
    before = tell(ladder, ladder.left, 4000)
    ladder.wait(29)
    assert 1200 < sizes(ladder, ladder.left, before)[-3] <= 1280


@pytest.mark.conformance("CF-L10")
def test_what_was_sent_whole_is_fragmented_when_nothing_comes_back() -> None:
    """§2.4: "resend it as fragmented only if no complete response is received"."""
    ladder = up(GCM, 1280)
    NarrowPath(ladder, 700)
    before = tell(ladder, ladder.left, 1000)
    assert not is_fragment(sent_by(ladder, ladder.left, before)[0])
    ladder.wait(10)
    agree(ladder)
    assert is_fragment(sent_by(ladder, ladder.left)[-2])


def test_a_rekeyed_ike_sa_goes_on_as_it_was(row: Row) -> None:
    """§2.4: "SHOULD continue to use IKE fragmentation", and with the size that passes."""
    ladder = up(row, 1280)
    NarrowPath(ladder, 1280)
    want(ladder, ladder.left, RekeyIke())
    ladder.settle()
    agree(ladder)
    before = tell(ladder, ladder.left, 3000)
    ladder.settle()
    assert len(sent_by(ladder, ladder.left, before)) > 2
    agree(ladder)


@pytest.mark.conformance("CF-L07")
@pytest.mark.parametrize("seed", range(12))
def test_fragments_in_any_order_lost_and_repeated_make_the_message(seed: int) -> None:
    """§2.6: whatever the network does, one request has one effect."""
    prng = random.Random(seed)
    size = {"fragment_size": 576, "retransmission": Retransmission(give_up=300.0)}
    ladder = GCM.certificates(size, size, key=KeyAlgorithm.RSA)

    def fate(_host: Host, datagram: Datagram) -> list[Datagram]:
        return [] if prng.random() < 0.1 else [datagram] * prng.choice([1, 1, 2])

    ladder.fate = fate
    ladder.initiate()
    for _ in range(600):
        prng.shuffle(ladder.wire)
        if not ladder.wire:
            ladder.wait(0.5)
        else:
            ladder.deliver(*ladder.wire.popleft())
    ladder.fate = lambda _host, datagram: [datagram]
    ladder.wait(120)
    agree(ladder)
    assert len(ladder.left.installs) == len(ladder.right.installs) == 1


@pytest.mark.conformance("CF-L11")
def test_fragments_of_which_smaller_ones_are_as_many_become_one_more() -> None:
    """§2.5.2: "Total Fragments ... MUST be larger", or the receiver keeps those that it has."""
    ladder = CBC.psk({"fragment_size": 1500})
    ladder.connect()
    NarrowPath(ladder, 1280)
    before = tell(ladder, ladder.left, 1500)
    ladder.wait(29)
    sent = [octets for octets in sent_by(ladder, ladder.left, before) if is_fragment(octets)]
    assert {numbers(octets)[1] for octets in sent} == {2, 3}
    threes = [octets for octets in sent if numbers(octets)[1] == 3]
    assert max(map(len, threes)) <= 1280 - IP_UDP_MARKER[6]
    assert not session_of(ladder.left).window.outstanding
