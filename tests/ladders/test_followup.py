# SPDX-License-Identifier: Apache-2.0
"""RFC 9370 §2.2.4: CREATE_CHILD_SA with more key exchanges in IKE_FOLLOWUP_KE."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from ikeway.crypto.keys import derive_child_keys
from ikeway.ike import following, reports
from ikeway.ike.io import Datagram
from ikeway.ike.series import Series
from ikeway.ike.session import Session
from ikeway.ike.states import Established
from ikeway.ike.tasks import Inform, RekeyChild
from ikeway.model.secret import Secret
from ikeway.policy.proposals import parse_esp
from ikeway.wire.codec import Body
from ikeway.wire.message import Header, Message
from ikeway.wire.payloads import KeyExchange, Nonce, Notify
from ikeway.wire.registry import ExchangeType, KeMethod, NotifyType, TransformType
from support.agreement import agree
from support.asking import want
from support.crossing import create_child, rekey_child, rekey_ike
from support.forge import edited, request, sealed, session_of
from support.fragmenting import sizes
from support.hosts import GCM, Row
from support.hybrid import KEM, THREE, TWO, exchanges, hybrid, hybrid_children, lose, transforms
from support.ladder import Ladder
from support.shell import Host

CREATE, FOLLOWUP = ExchangeType.CREATE_CHILD_SA, ExchangeType.IKE_FOLLOWUP_KE
LINK = NotifyType.ADDITIONAL_KEY_EXCHANGE
Begin = Callable[[Ladder, Host], None]
BEGINNINGS = pytest.mark.parametrize("begin", [rekey_child, rekey_ike, create_child])
REKEYS = pytest.mark.parametrize("begin", [rekey_child, rekey_ike])


def up(row: Row, extra: str = KEM, **changes: object) -> Ladder:
    ladder = hybrid_children(row, extra, **changes)
    ladder.connect()
    ladder.sent.clear()
    return ladder


def watched(ladder: Ladder) -> list[tuple[Host, Message]]:
    """Open all that is sent from now on; nothing in it is in fragments."""
    seen: list[tuple[Host, Message]] = []
    keyrings = {host.name: session_of(host).keyring for host in (ladder.left, ladder.right)}

    def fate(host: Host, datagram: Datagram) -> list[Datagram]:
        header = Header.decode(datagram.octets)
        if header.exchange in {CREATE, FOLLOWUP}:
            seen.append((host, keyrings[ladder.other(host).name].open(header, datagram.octets)))
        return [datagram]

    ladder.fate = fate
    return seen


def established(host: Host) -> Established:
    (state,) = host.established
    return state


def refused(host: Host) -> list[str]:
    return [event.notify for event in host.seen(reports.RefusedRequest)]


# How it goes --------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-Q05", "CF-Q08")
@BEGINNINGS
@pytest.mark.parametrize("extra", [KEM, TWO, THREE])
@pytest.mark.parametrize("by", ["left", "right"])
def test_each_response_links_the_next_request(row: Row, begin: Begin, extra: str, by: str) -> None:
    """ "The initiator MUST send back this notification intact"; the last response has none."""
    ladder = up(row, extra, fragment_size=0)
    host, seen = getattr(ladder, by), watched(ladder)
    begin(ladder, host)
    ladder.settle()
    asked = [message for sender, message in seen if sender is host]
    answers = [message for sender, message in seen if sender is not host]
    methods = len(extra.split("-"))
    assert [m.header.exchange for m in asked] == [CREATE, *[FOLLOWUP] * methods]
    links = [answer.notify(LINK) for answer in answers]
    assert [message.notify(LINK) for message in asked] == [None, *links[:-1]]
    assert links[-1] is None
    assert len({link.data for link in links if link}) == methods
    assert all(link.protocol == 0 and not link.spi for link in links if link)
    agree(ladder, 2 if begin is create_child else 1)


@pytest.mark.conformance("CF-Q05", "CF-Q06")
def test_the_methods_are_those_that_were_agreed_on_in_their_order(row: Row) -> None:
    """ "The key exchange ... using Additional Key Exchange i always precedes" that of i + 1."""
    ladder = up(row, THREE, fragment_size=0)
    seen = watched(ladder)
    rekey_ike(ladder, ladder.left)
    ladder.settle()
    bodies = [message.one(KeyExchange) for _, message in seen]
    methods = [body.method for body in bodies if body]
    expected = [KeMethod.CURVE25519, KeMethod.ML_KEM_768, KeMethod.ML_KEM_1024, KeMethod.ECP_256]
    assert methods == [method for method in expected for _ in range(2)]
    chosen = transforms(seen[1][1])
    assert [(t.type.name, t.id) for t in chosen if t.type >= TransformType.ADDKE1] == [
        ("ADDKE1", 36),
        ("ADDKE2", 37),
        ("ADDKE7", 19),
    ]


@pytest.mark.conformance("CF-Q14")
def test_the_keys_of_a_child_are_of_all_secrets() -> None:
    """KEYMAT = prf+ (SK_d, SK(0) | Ni | Nr | SK(1) | ... SK(n))."""
    prf = session_of_fresh().keyring.prf
    nonces = b"i" * 32, b"r" * 32
    secrets = Secret(b"0" * 32), Secret(b"1" * 32), Secret(b"2" * 48)
    towards_r, towards_i = derive_child_keys(
        prf, Secret(b"d" * 48), 36, 0, *nonces, secrets[0], secrets[1:]
    )
    seed = b"0" * 32 + nonces[0] + nonces[1] + b"1" * 32 + b"2" * 48
    stream = prf.prf_plus(b"d" * 48, seed, 72)
    assert towards_r.encr.octets + towards_i.encr.octets == stream


def session_of_fresh() -> Session:
    ladder = hybrid(GCM)
    ladder.connect()
    return session_of(ladder.left)


@pytest.mark.conformance("CF-Q07", "CF-Q14")
def test_the_keys_of_an_ike_sa_are_of_all_secrets() -> None:
    """SKEYSEED = prf(SK_d, SK(0) | Ni | Nr | SK(1) | ... SK(n)); and §2.2.2 before IKE_AUTH."""
    session = session_of_fresh()
    keyring, prf = session.keyring, session.keyring.prf
    nonces, spis = (b"i" * 32, b"r" * 32), (b"one spi!", b"two spi!")
    secrets = Secret(b"0" * 32), (Secret(b"1" * 32), Secret(b"2" * 48))
    made = type(keyring).derive(
        keyring.suite,
        secrets[0],
        nonces,
        spis,
        is_initiator=True,
        replaced=keyring.heritage,
        further=secrets[1],
    )
    mixed = b"0" * 32 + nonces[0] + nonces[1] + b"1" * 32 + b"2" * 48
    skeyseed = prf.compute(keyring.keys.sk_d.octets, mixed)
    stream = prf.prf_plus(skeyseed, b"".join((*nonces, *spis)), 48)
    assert made.keys.sk_d.octets == stream
    next_one = keyring.mixed(Secret(b"n" * 32), nonces, spis)
    skeyseed = prf.compute(keyring.keys.sk_d.octets, b"n" * 32 + nonces[0] + nonces[1])
    assert next_one.keys.sk_d.octets == prf.prf_plus(skeyseed, b"".join((*nonces, *spis)), 48)


@pytest.mark.conformance("CF-Q08", "CF-L11")
@BEGINNINGS
@pytest.mark.parametrize("by", ["left", "right"])
@pytest.mark.parametrize("times", [1, 3])
def test_they_are_fragmented_and_lost_fragments_come_again(
    row: Row, begin: Begin, by: str, times: int
) -> None:
    ladder = up(row, "ke1_mlkem1024-ke2_mlkem768", fragment_size=576)
    lost = lose(ladder, FOLLOWUP, getattr(ladder, by), times)
    begin(ladder, ladder.left)
    ladder.wait(15)
    assert lost() == times
    agree(ladder, 2 if begin is create_child else 1)
    for host in (ladder.left, ladder.right):
        assert max(sizes(ladder, host)) <= 576


@pytest.mark.conformance("CF-Q03")
def test_a_child_without_key_exchange_has_no_more_of_them(row: Row) -> None:
    """A peer that rekeys without KE is not forced to; its IKE SA has them."""
    ladder = hybrid(row)
    ladder.connect()
    ladder.sent.clear()
    rekey_child(ladder, ladder.left)
    ladder.settle()
    assert [kind for kind, _ in exchanges(ladder, ladder.left)] == [CREATE.name, "INFORMATIONAL"]
    agree(ladder)


@pytest.mark.conformance("CF-Q03")
def test_a_peer_that_wants_them_for_children_gets_them_unasked(row: Row) -> None:
    """The left side has them for Child SAs, the right one for IKE SAs only."""
    ladder = hybrid(row)
    ladder.connect()
    (sa,) = ladder.left.endpoint.sas
    state = established(ladder.left)
    esp = (parse_esp(f"{row.esp}-x25519-{KEM}"),)
    sa._state = replace(state, connection=replace(state.connection, esp=esp))
    rekey_child(ladder, ladder.left)
    ladder.settle()
    assert FOLLOWUP.name in {kind for kind, _ in exchanges(ladder, ladder.left)}
    agree(ladder)


# What goes wrong ----------------------------------------------------------------------------------


@pytest.mark.conformance("CF-Q09")
@pytest.mark.parametrize(
    "payloads",
    [
        (KeyExchange(KeMethod.ML_KEM_768, bytes(1184)),),
        (KeyExchange(KeMethod.ML_KEM_768, bytes(1184)), Notify(LINK, b"of nobody")),
        (KeyExchange(KeMethod.ML_KEM_768, bytes(1184)), Notify(LINK)),
        (),
    ],
)
def test_an_exchange_that_nobody_waits_for_is_answered(
    row: Row, payloads: tuple[Body, ...]
) -> None:
    """ "It MUST send back ... STATE_NOT_FOUND"; "not fatal to the IKE SA"."""
    ladder = up(row)
    datagram = request(ladder, ladder.left, payloads, FOLLOWUP)
    ladder.deliver(ladder.right, datagram)
    assert refused(ladder.right) == ["STATE_NOT_FOUND"]
    octets = ladder.sent[-1][1].octets
    said = session_of(ladder.left).keyring.open(Header.decode(octets), octets)
    assert said.notify(NotifyType.STATE_NOT_FOUND) == Notify(NotifyType.STATE_NOT_FOUND)
    assert established(ladder.right).children


@pytest.mark.conformance("CF-Q06", "CF-Q15")
@pytest.mark.parametrize(
    "exchange",
    [
        KeyExchange(KeMethod.ML_KEM_1024, bytes(1568)),
        KeyExchange(KeMethod.ML_KEM_768, bytes(1183)),
        KeyExchange(KeMethod.ML_KEM_768, b"\xff" * 1184),
    ],
)
def test_another_method_or_a_wrong_key_is_fatal(row: Row, exchange: KeyExchange) -> None:
    """ "MUST match the n-th negotiated additional key exchange"; RFC 7296 §2.21.3."""
    ladder = up(row, fragment_size=0)
    edited(ladder, lambda payloads: (exchange, *payloads[1:]), FOLLOWUP, ladder.left)
    rekey_ike(ladder, ladder.left)
    ladder.settle()
    assert refused(ladder.right) == ["INVALID_SYNTAX"]
    assert ladder.left.established == ladder.right.established == []


@pytest.mark.conformance("CF-Q06", "CF-Q15")
@pytest.mark.parametrize(
    "exchange",
    [
        (KeyExchange(KeMethod.ML_KEM_1024, bytes(1568)),),
        (KeyExchange(KeMethod.ML_KEM_768, bytes(1087)),),
        (),
    ],
)
def test_a_wrong_ciphertext_ends_the_ike_sa(row: Row, exchange: tuple[Body, ...]) -> None:
    """draft-ietf-ipsecme-ikev2-mlkem §2.4: "the initiator ... deletes the IKE SA"."""
    ladder = up(row, fragment_size=0)
    edited(ladder, lambda _: exchange, FOLLOWUP, ladder.right)
    rekey_child(ladder, ladder.left)
    ladder.settle()
    assert ladder.left.established == ladder.right.established == []


@pytest.mark.conformance("CF-Q08")
def test_a_response_without_a_link_ends_the_ike_sa(row: Row) -> None:
    """ "The responder MUST include this notification"."""
    ladder = up(row)

    def without(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(b for b in payloads if not (isinstance(b, Notify) and b.type is LINK))

    edited(ladder, without, CREATE, ladder.right)
    rekey_child(ladder, ladder.left)
    ladder.settle()
    assert ladder.left.established == ladder.right.established == []


def silent(ladder: Ladder, host: Host) -> None:
    """Let nothing of the exchange of a host arrive."""
    ladder.fate = lambda sender, datagram: (
        [] if sender is host and Header.decode(datagram.octets).exchange is FOLLOWUP else [datagram]
    )


@pytest.mark.conformance("CF-Q10")
@BEGINNINGS
def test_a_series_that_is_not_continued_is_forgotten(row: Row, begin: Begin) -> None:
    """ "Delete the associated state"; "5-20 seconds of waiting time should be appropriate"."""
    ladder = up(row)
    silent(ladder, ladder.left)
    before = dict(ladder.right.installed)
    begin(ladder, ladder.left)
    ladder.wait(4)
    (theirs,) = established(ladder.right).series.theirs
    assert 5 <= theirs.expires - ladder.now + 4 <= 20
    assert ladder.right.installed == before
    ladder.wait(17)
    assert established(ladder.right).series == Series()
    assert ladder.right.installed == before


@pytest.mark.conformance("CF-Q11")
@BEGINNINGS
@pytest.mark.parametrize("by", ["left", "right"])
def test_what_the_peer_has_forgotten_begins_anew(row: Row, begin: Begin, by: str) -> None:
    """ "MUST treat the whole series ... as having failed"; "MAY start a new" one."""
    ladder = up(row)
    host = getattr(ladder, by)
    silent(ladder, host)
    begin(ladder, host)
    ladder.wait(21)
    ladder.fate = lambda _, datagram: [datagram]
    ladder.wait(60)
    assert refused(ladder.other(host)).count("STATE_NOT_FOUND") == 1
    agree(ladder, 2 if begin is create_child else 1)
    assert established(host).series.is_empty


@pytest.mark.conformance("CF-Q11")
@BEGINNINGS
def test_a_peer_that_always_forgets_loses_the_ike_sa(row: Row, begin: Begin) -> None:
    """ "It MUST treat this situation as a fatal error and delete the IKE SA"."""
    ladder = up(row, fragment_size=0)
    wrong = Notify(LINK, b"of nobody")
    edited(ladder, lambda payloads: (payloads[0], wrong), FOLLOWUP, ladder.left)
    begin(ladder, ladder.left)
    ladder.wait(120)
    assert ladder.left.established == ladder.right.established == []
    closed = ladder.left.seen(reports.Closed)
    assert "forgets key exchanges" in closed[-1].reason


@REKEYS
def test_a_refusal_in_the_middle_is_tried_again_later(row: Row, begin: Begin) -> None:
    """RFC 7296 §2.25: TEMPORARY_FAILURE."""
    ladder = up(row)
    silent(ladder, ladder.left)
    begin(ladder, ladder.left)
    ladder.settle()
    (asked,) = session_of(ladder.left).window.outstanding
    busy = (Notify(NotifyType.TEMPORARY_FAILURE),)
    number, writer = asked.message_id, session_of(ladder.right)
    octets = sealed(writer, busy, number, FOLLOWUP, is_response=True)
    ladder.arrive(ladder.left, octets)
    assert established(ladder.left).series == Series()
    assert established(ladder.left).postponed


# What crosses -------------------------------------------------------------------------------------


def crossed(row: Row, begin: Begin) -> tuple[Ladder, list[tuple[Host, Message]]]:
    """Both sides begin before either hears of the other."""
    ladder = up(row, fragment_size=0)
    seen = watched(ladder)
    begin(ladder, ladder.left)
    begin(ladder, ladder.right)
    return ladder, seen


@pytest.mark.conformance("CF-Q12")
@REKEYS
def test_who_has_the_lowest_nonce_stops_before_the_first_follow_up(row: Row, begin: Begin) -> None:
    """ "The initiator of this exchange just stops ... and it MUST NOT initiate"."""
    ladder, seen = crossed(row, begin)
    ladder.settle()
    who = {
        sender.name
        for sender, message in seen
        if message.header.exchange is FOLLOWUP and message.header.is_request
    }
    assert len(who) == 1
    lows = {}
    for host in (ladder.left, ladder.right):
        nonces = [_nonce(seen, host, is_response=False)]
        nonces.append(_nonce(seen, ladder.other(host), is_response=True))
        lows[host.name] = min(nonces)
    assert who == {max(lows, key=lambda name: lows[name])}
    agree(ladder)
    for host in (ladder.left, ladder.right):
        assert established(host).series == Series()


def _nonce(seen: list[tuple[Host, Message]], host: Host, *, is_response: bool) -> bytes:
    return next(
        body.data
        for sender, message in seen
        if sender is host and message.header.is_response is is_response
        for body in message.all(Nonce)
    )


@pytest.mark.conformance("CF-Q13")
@REKEYS
def test_a_rekey_that_arrives_in_the_middle_is_put_off(row: Row, begin: Begin) -> None:
    """ "A TEMPORARY_FAILURE notification MUST be sent in response to such a request"."""
    ladder = up(row)
    late: list[Datagram] = []

    def fate(host: Host, datagram: Datagram) -> list[Datagram]:
        header = Header.decode(datagram.octets)
        if host is ladder.right and header.exchange is CREATE and header.is_request:
            late.append(datagram)
            return []
        if header.exchange is FOLLOWUP:
            return []
        return [datagram]

    ladder.fate = fate
    begin(ladder, ladder.right)
    begin(ladder, ladder.left)
    ladder.settle()
    assert established(ladder.left).series.ours
    ladder.deliver(ladder.left, late[0])
    assert refused(ladder.left) == ["TEMPORARY_FAILURE"]
    ladder.fate = lambda _, datagram: [datagram]
    ladder.wait(90)
    agree(ladder)


@pytest.mark.conformance("CF-Q13")
def test_other_children_may_change_meanwhile_and_the_series_goes_on(row: Row) -> None:
    """Only the SA that is being rekeyed is protected; a window of 4 lets requests pass."""
    ladder = up(row, window=4)
    create_child(ladder, ladder.left)
    ladder.settle()
    for host in (ladder.left, ladder.right):
        rekey_one(ladder, host, 0 if host is ladder.left else 1)
    ladder.wait(30)
    agree(ladder, 2)


def rekey_one(ladder: Ladder, host: Host, index: int) -> None:
    pairs = sorted(
        (min(child.spi_in, child.spi_out), child.spi_in) for child in host.installed.values()
    )
    assert len(pairs) == 2
    want(ladder, host, RekeyChild(pairs[index][1]))


def test_a_word_of_ours_passes_while_the_peer_is_in_the_middle(row: Row) -> None:
    """A liveness check or a move cannot wait for a peer that takes its time."""
    ladder = up(row)
    silent(ladder, ladder.right)
    rekey_ike(ladder, ladder.right)
    ladder.settle()
    assert established(ladder.left).series.their_ike
    want(ladder, ladder.left, Inform((Notify(NotifyType(40961)),)))
    ladder.settle()
    assert not established(ladder.left).session.window.outstanding
    create_child(ladder, ladder.left)
    ladder.settle()
    assert not established(ladder.left).session.window.outstanding
    ladder.fate = lambda _, datagram: [datagram]
    ladder.wait(60)
    agree(ladder, 2)


def test_synchronised_message_ids_begin_a_series_anew(row: Row) -> None:
    """RFC 6311: what was under way is unknown to the host that takes over."""
    ladder = up(row)
    silent(ladder, ladder.left)
    rekey_child(ladder, ladder.left)
    ladder.settle()
    state = established(ladder.left)
    assert state.series.ours
    anew = following.restart(state)
    assert anew.series == Series()
    assert [type(task).__name__ for task in anew.queued] == ["RekeyChild"]
