# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §1.3.1, §2.9: several Child SAs on an IKE SA, and the packets that want them."""

from dataclasses import replace

import pytest

from ikeway.ike import reports
from ikeway.ike.children import Wish
from ikeway.ike.io import UNUSED, AddChild, CloseChild, Command, Disconnect, Initiate, Rekey
from ikeway.ike.states import Established
from ikeway.ike.tasks import CreateChild
from ikeway.ike.wanted import PRECEDENCE
from ikeway.model.address import IKE_PORT, Endpoint
from ikeway.model.selectors import Selectors, TrafficSelector, Trigger
from ikeway.policy.connection import ChildPolicy, Connection, PeerAddress, Start
from ikeway.policy.lifetimes import Lifetimes
from ikeway.policy.proposals import parse_esp
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify, TsI, TsR
from ikeway.wire.registry import ExchangeType, NotifyType
from support.agreement import agree
from support.asking import want
from support.forge import edited, opened, request, session_of
from support.hosts import GCM, LEFT, RIGHT, Row, template
from support.ladder import Ladder
from support.shell import Host

AUTH, CREATE = ExchangeType.IKE_AUTH, ExchangeType.CREATE_CHILD_SA
NAMES = ("one", "two", "three")
TCP = 6


def policies(row: Row, start: Start, *, mirrored: bool) -> tuple[ChildPolicy, ...]:
    """Return three children of 10.1.n.0/24 and 10.2.n.0/24."""
    plain = row.connection(LEFT, RIGHT).child_policies[0]
    made = []
    for number, name in enumerate(NAMES, 1):
        here, there = f"10.1.{number}.0/24", f"10.2.{number}.0/24"
        local, peer = (there, here) if mirrored else (here, there)
        made.append(
            replace(
                plain,
                name=name,
                local_ts=(template(local),),
                peer_ts=(template(peer),),
                start=start,
            )
        )
    return tuple(made)


def pair(row: Row, start: Start = Start.NOW, **left: object) -> Ladder:
    """Return two hosts with three children; the left one starts."""
    children = policies(row, start, mirrored=False)
    return row.psk(
        {"children": children, "start": start} | left,
        {"children": policies(row, Start.WAIT, mirrored=True)},
    )


def names(host: Host) -> list[str]:
    (state,) = host.established
    return sorted(child.name for child in state.children if child.is_installed)


def command(ladder: Ladder, host: Host, wish: Command) -> None:
    (sa,) = (sa for sa in host.endpoint.sas if isinstance(sa.state, Established))
    ladder.perform(host, host.endpoint.handle(sa.spi, wish, ladder.now))


def packet(source: str, destination: str, ports: tuple[int, int] = (40000, 443)) -> Trigger:
    def one(address: str, port: int) -> TrafficSelector:
        return TrafficSelector.of(address, TCP, (port, port))

    return Trigger(one(source, ports[0]), one(destination, ports[1]))


def initiate(ladder: Ladder, wish: Wish) -> None:
    connection = ladder.left.endpoint.env.connections[0]
    local, peer = (Endpoint(address, IKE_PORT) for address in ladder.addresses)
    start = Initiate(connection, local, peer, wish)
    ladder.perform(ladder.left, ladder.left.endpoint.initiate(start, ladder.now)[1])
    ladder.settle()


def offers(ladder: Ladder, exchange: ExchangeType) -> list[tuple[Selectors, Selectors]]:
    """Return the selectors of each request of the left host, as the right one reads them."""
    found = []
    for sender, datagram in ladder.sent:
        message = Message.decode(datagram.octets)
        if sender is ladder.left and message.header.exchange is exchange:
            whole = opened(ladder.right, datagram.octets)
            ts_i, ts_r = whole.one(TsI), whole.one(TsR)
            if ts_i and ts_r:
                found.append((ts_i.selectors, ts_r.selectors))
    return found


# Several of them ----------------------------------------------------------------------------------


def test_the_first_comes_with_ike_auth_and_the_others_by_create_child_sa(row: Row) -> None:
    """§1.3.1: "A Child SA may be created by sending a CREATE_CHILD_SA request"."""
    ladder = pair(row)
    ladder.connect()
    agree(ladder, children=3)
    assert names(ladder.left) == names(ladder.right) == sorted(NAMES)
    exchanges = [what.split(" ")[0] for what in ladder.left.said]
    assert exchanges == ["IKE_SA_INIT", "IKE_AUTH", "CREATE_CHILD_SA", "CREATE_CHILD_SA"]


@pytest.mark.parametrize("start", [Start.NOW, Start.WAIT])
def test_one_that_is_named_comes_alone(row: Row, start: Start) -> None:
    """§1.2: IKE_AUTH makes the Child SA that its initiator wants."""
    ladder = pair(row, start)
    initiate(ladder, Wish("two"))
    agree(ladder, children=1)
    assert names(ladder.left) == names(ladder.right) == ["two"]


def test_each_is_rekeyed_under_its_own_name(row: Row) -> None:
    """§2.9.2: the successor has the selectors of its own old SA, not of another child."""
    ladder = pair(row)
    ladder.connect()
    for host in (ladder.left, ladder.right):
        for spi in list(host.installed):
            command(ladder, host, Rekey(spi))
            ladder.wait(1)
        agree(ladder, children=3)
        assert names(ladder.left) == names(ladder.right) == sorted(NAMES)


def test_the_ike_sa_is_rekeyed_with_all_of_them(row: Row) -> None:
    """§2.8: "the new IKE SA inherits all of the original IKE SA's Child SAs"."""
    ladder = pair(row)
    ladder.connect()
    for host in (ladder.left, ladder.right):
        command(ladder, host, Rekey(0))
        ladder.wait(2)
        agree(ladder, children=3)
        assert names(ladder.left) == sorted(NAMES)


def test_each_has_its_own_proposals(row: Row) -> None:
    """§3.3: a proposal is of one Child SA."""
    other = (parse_esp("aes128-sha512"),)
    ladder = pair(row)
    for host in (ladder.left, ladder.right):
        (connection,) = host.endpoint.env.connections
        children = tuple(
            replace(one, esp=other) if one.name == "three" else one for one in connection.children
        )
        env = replace(host.endpoint.env, connections=(replace(connection, children=children),))
        host.endpoint.env = env
    ladder.connect()
    agree(ladder, children=3)
    suites = {c.name: c.sa.suite.key_bits for c in ladder.left.established[0].children}
    assert suites["three"] == 128
    assert suites["one"] == suites["two"] != 128


# Lost and asked for again -------------------------------------------------------------------------


def test_what_the_peer_closes_comes_again(row: Row) -> None:
    """§1.4.1: a deleted SA is gone; what `start = "now"` wants is asked for anew."""
    ladder = pair(row)
    ladder.connect()
    for _ in range(2):
        spi = next(c.sa.spi_in for c in ladder.right.established[0].children if c.name == "two")
        command(ladder, ladder.right, CloseChild(spi))
        ladder.settle()
        assert "two" not in names(ladder.left)
        ladder.wait(1.5)
        agree(ladder, children=3)


@pytest.mark.parametrize("after", ["a while", "a rekey", "a rekey by the peer", "new proofs"])
def test_what_we_close_stays_closed_until_it_is_wanted(row: Row, after: str) -> None:
    """Who closes a child on purpose does not want it back, whatever becomes of its IKE SA."""
    lifetimes = Lifetimes(reauth=1000.0, jitter=0.0)
    there = {"peer": PeerAddress.parse(str(row.addresses[1]))}
    ladder = pair(row, lifetimes=lifetimes, liveness=1e5, **there)
    ladder.connect()
    (old,) = ladder.left.established
    command(ladder, ladder.left, CloseChild(spi_of(ladder.left, "two")))
    ladder.settle()
    if after.startswith("a rekey"):
        command(ladder, ladder.right if "peer" in after else ladder.left, Rekey(0))
    ladder.wait(1050 if after == "new proofs" else 60)
    agree(ladder, children=2)
    assert names(ladder.left) == ["one", "three"]
    assert (ladder.left.established[0].session.sa == old.session.sa) is (after == "a while")
    command(ladder, ladder.left, AddChild(Wish("two")))
    ladder.settle()
    assert names(ladder.left) == sorted(NAMES)
    command(ladder, ladder.right, CloseChild(spi_of(ladder.right, "two")))
    ladder.wait(60)
    assert names(ladder.left) == sorted(NAMES), "kept up again, as before"
    ladder.wait(1050)
    agree(ladder, children=3)


def spi_of(host: Host, name: str) -> int:
    (state,) = host.established
    return next(child.sa.spi_in for child in state.children if child.name == name)


def test_a_child_that_replaces_none_does_not_wait_for_its_use_for_ever(row: Row) -> None:
    """§2.8: on standby while the peer may not have it; a dead IKE SA's pair must not outlast it."""
    ladder = pair(row, Start.WAIT)
    ladder.connect()
    further = [install for install in ladder.right.installs if install.is_standby]
    assert len(further) == 3
    assert {install.active_after for install in further} == {UNUSED}


def test_what_waits_is_not_asked_for_again(row: Row) -> None:
    """§1.4.1: whoever started a child by hand lets the peer close it."""
    ladder = pair(row, Start.WAIT)
    ladder.connect()
    agree(ladder, children=3)
    command(ladder, ladder.right, CloseChild(next(iter(ladder.right.installed))))
    ladder.wait(20)
    agree(ladder, children=2)


def test_a_refusal_is_asked_again_with_longer_and_longer_waits(row: Row) -> None:
    """§2.25: a peer that refuses is left alone for a while."""
    ladder = pair(row)
    connection = ladder.right.endpoint.env.connections[0]
    less = replace(connection, children=connection.children[:1])
    ladder.right.endpoint.env = replace(ladder.right.endpoint.env, connections=(less,))
    ladder.connect()
    first = len(offers(ladder, CREATE))
    ladder.wait(25)
    assert first == 2
    assert len(offers(ladder, CREATE)) - first == 2 * 4  # after 1, 2, 5 and 10 s
    assert names(ladder.left) == ["one"]
    ladder.right.endpoint.env = replace(ladder.right.endpoint.env, connections=(connection,))
    state = ladder.right.established[0]
    ladder.right.endpoint.sas[0]._state = replace(state, connection=connection)
    ladder.wait(40)
    agree(ladder, children=3)


# Where the peer has started the IKE SA ------------------------------------------------------------


def kept_by_both(row: Row, **left: object) -> Ladder:
    """Return two hosts with three children that both keep up; the left one starts."""
    return row.psk(
        {"children": policies(row, Start.NOW, mirrored=False), "start": Start.NOW} | left,
        {"children": policies(row, Start.NOW, mirrored=True), "start": Start.NOW},
    )


def close(ladder: Ladder, host: Host, name: str) -> None:
    command(ladder, host, CloseChild(spi_of(host, name)))
    ladder.settle()


@pytest.mark.parametrize("rekeyed_by", ["", "left", "right"])
def test_whoever_keeps_a_child_up_asks_also_where_the_peer_began(row: Row, rekeyed_by: str) -> None:
    """§1.3.1: either side asks, whoever started the IKE SA; what the peer closes comes again."""
    ladder = kept_by_both(row)
    ladder.connect()
    if rekeyed_by:
        command(ladder, getattr(ladder, rekeyed_by), Rekey(0))
        ladder.wait(2)
    for _ in range(2):
        close(ladder, ladder.left, "two")
        assert "two" not in names(ladder.right)
        ladder.wait(1 + PRECEDENCE + 0.5)
        agree(ladder, children=3)
        assert names(ladder.right) == sorted(NAMES)


def test_what_the_peer_leaves_out_is_asked_for(row: Row) -> None:
    """§1.3.1: the peer wants one of them, and this side all."""
    ladder = kept_by_both(row)
    initiate(ladder, Wish("two"))
    agree(ladder, children=1)
    ladder.wait(1 + PRECEDENCE + 0.5)
    agree(ladder, children=3)


def test_what_comes_to_nothing_at_the_responder_is_asked_for(row: Row) -> None:
    """§1.2: an IKE SA without its Child SA stays, and counts as up: it must not stay without."""
    ladder = row.psk({}, {"start": Start.NOW})
    ladder.right.refuse_install = "no room"
    ladder.connect()
    assert ladder.right.installed == ladder.left.installed == {}
    ladder.right.refuse_install = None
    ladder.wait(7)
    agree(ladder, children=1)


def test_its_refusals_are_answered_with_longer_waits(row: Row) -> None:
    """§2.25: a peer that refuses is left alone for a while, also where it began."""
    ladder = kept_by_both(row)
    edited(ladder, lambda _: (Notify(NotifyType.NO_PROPOSAL_CHOSEN),), CREATE, ladder.left)
    initiate(ladder, Wish("two"))
    asked = [what for what in ladder.right.said if what.startswith(CREATE.name)]
    assert not asked
    ladder.wait(25)
    asked = [what for what in ladder.right.said if what.startswith(CREATE.name)]
    assert len(asked) == 2 * 3, "after 4, 5 and 8 s"
    assert names(ladder.right) == ["two"]


@pytest.mark.parametrize("anew", [False, True])
def test_what_is_closed_here_stays_closed_where_the_peer_began(row: Row, anew: bool) -> None:
    """Not even a new IKE SA of the peer's, with its identities proven anew, brings it back."""
    lifetimes = Lifetimes(reauth=1000.0 if anew else 1e9, jitter=0.0)
    there = {"peer": PeerAddress.parse(str(row.addresses[1]))}
    ladder = row.psk(
        {"children": policies(row, Start.WAIT, mirrored=False), "lifetimes": lifetimes} | there,
        {"children": policies(row, Start.NOW, mirrored=True), "start": Start.NOW},
    )
    ladder.connect()
    ladder.wait(10)
    close(ladder, ladder.right, "two")
    (old,) = ladder.right.established
    ladder.wait(990 + 60)
    assert (ladder.right.established[0].session.sa == old.session.sa) is not anew
    assert "two" not in ladder.right.established[0].wanted.kept
    command(ladder, ladder.right, AddChild(Wish("two")))
    ladder.settle()
    assert "two" in ladder.right.established[0].wanted.kept


@pytest.mark.parametrize("first", ["left", "right"])
def test_two_requests_for_the_same_child_that_cross_make_one(row: Row, first: str) -> None:
    """§2.25: "SHOULD respond with a TEMPORARY_FAILURE": that of the IKE SA's initiator succeeds."""
    ladder = kept_by_both(row)
    initiate(ladder, Wish("one"))
    for host in (getattr(ladder, first), ladder.right if first == "left" else ladder.left):
        command(ladder, host, AddChild(Wish("two")))
    ladder.wait(60)
    agree(ladder, children=3)
    assert "TEMPORARY_FAILURE" in ladder.left.refusals
    assert not ladder.right.refusals


def answered_with(ladder: Ladder, kind: NotifyType) -> None:
    """Let the right host answer every CREATE_CHILD_SA request with a notify."""

    def refuse(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return (Notify(kind),)

    edited(ladder, refuse, CREATE, ladder.right)


def test_no_additional_sas_ends_the_asking_and_nothing_else(row: Row) -> None:
    """§1.3: "NO_ADDITIONAL_SAS": the IKE SA and what is on it carry on."""
    ladder = pair(row, liveness=3600.0)
    answered_with(ladder, NotifyType.NO_ADDITIONAL_SAS)
    ladder.connect()
    ladder.wait(300)
    assert len(offers(ladder, CREATE)) == 1
    assert names(ladder.left) == ["one"]
    command(ladder, ladder.left, AddChild(Wish("three")))
    ladder.settle()
    assert len(offers(ladder, CREATE)) == 1
    assert ladder.left.seen(reports.ChildFailed)


def test_the_last_child_of_a_peer_that_makes_no_more_takes_the_ike_sa_along(row: Row) -> None:
    """§1.3: what cannot be had on this IKE SA may be had on the next one."""
    ladder = pair(row)
    answered_with(ladder, NotifyType.NO_ADDITIONAL_SAS)
    ladder.connect()
    command(ladder, ladder.left, CloseChild(next(iter(ladder.left.installed))))
    ladder.wait(2)
    assert ladder.left.established == ladder.right.established == []
    assert "makes no more" in ladder.left.ends[-1].reason


def test_a_peer_gets_no_more_than_a_bounded_number(row: Row) -> None:
    """§1.3: "NO_ADDITIONAL_SAS": Child SAs cost memory here."""
    ladder = pair(row, Start.WAIT)
    ladder.connect()
    for _ in range(80):
        want(ladder, ladder.left, CreateChild("one"))
        ladder.settle()
    assert len(ladder.right.installed) == 64
    assert ladder.right.refusals[-1] == "NO_ADDITIONAL_SAS"
    agree(ladder, children=64)


def test_what_is_there_already_is_not_made_twice(row: Row) -> None:
    """§1.3.1: whoever wants it up has it; a second one with the same selectors serves nobody."""
    ladder = pair(row)
    ladder.connect()
    command(ladder, ladder.left, AddChild(Wish("two")))
    ladder.settle()
    agree(ladder, children=3)


@pytest.mark.conformance("CF-A17")
@pytest.mark.parametrize("by", ["left", "right"])
def test_no_child_is_asked_for_on_an_ike_sa_that_is_being_rekeyed(row: Row, by: str) -> None:
    """§1.3.2: what is wanted meanwhile is asked for on the new IKE SA."""
    ladder = pair(row, Start.WAIT)
    initiate(ladder, Wish("one"))
    old = ladder.left.established[0].session.link.spi_i
    command(ladder, getattr(ladder, by), Rekey(0))
    if by == "right":
        ladder.deliver(*ladder.wire.popleft())  # the left one has heard of it, and answered
    command_any(ladder, AddChild(Wish("two")))
    ladder.wait(3)
    agree(ladder, children=2)
    (create,) = [
        datagram
        for sender, datagram in ladder.sent
        if sender is ladder.left and "TsI" in _notation(ladder, datagram.octets)
    ]
    assert Message.decode(create.octets).header.spi_i != old


def command_any(ladder: Ladder, wish: Command) -> None:
    for sa in ladder.left.endpoint.sas:
        ladder.perform(ladder.left, ladder.left.endpoint.handle(sa.spi, wish, ladder.now))


def _notation(ladder: Ladder, octets: bytes) -> str:
    header = Message.decode(octets).header
    if header.exchange is not CREATE or header.is_response:
        return ""
    for sa in ladder.right.endpoint.sas:
        session = getattr(sa.state, "session", None)
        if session is not None and session.link.spi_i == header.spi_i:
            return " ".join(type(b).__name__ for b in session.keyring.open(header, octets).payloads)
    return ""


# Idle ones ----------------------------------------------------------------------------------------


def test_the_last_idle_child_may_take_the_ike_sa_along(row: Row) -> None:
    """§1.4.1: an IKE SA that nobody uses is deleted, and both sides know."""
    ladder = pair(row, Start.DEMAND)
    initiate(ladder, Wish("one", packet("10.1.1.1", "10.2.1.1")))
    command(ladder, ladder.left, AddChild(Wish("two", packet("10.1.2.1", "10.2.2.1"))))
    ladder.settle()
    agree(ladder, children=2)
    for left in (1, 0):
        spi = next(iter(ladder.left.installed))
        command(ladder, ladder.left, CloseChild(spi, with_last=True))
        ladder.settle()
        assert len(ladder.left.installed) == len(ladder.right.installed) == left
    assert ladder.left.established == ladder.right.established == []


# Packets ------------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-G01")
@pytest.mark.parametrize("exchange", [AUTH, CREATE])
def test_the_selectors_of_the_packet_come_first(row: Row, exchange: ExchangeType) -> None:
    """§2.9: "include as the first Traffic Selector in each of TSi and TSr a very specific"."""
    ladder = pair(row, Start.DEMAND)
    wants = packet("10.1.2.7", "10.2.2.9")
    if exchange is AUTH:
        initiate(ladder, Wish("two", wants))
    else:
        initiate(ladder, Wish("one"))
        command(ladder, ladder.left, AddChild(Wish("two", wants)))
        ladder.settle()
    ts_i, ts_r = offers(ladder, exchange)[-1]
    assert ts_i == (wants.local, TrafficSelector.of("10.1.2.0/24"))
    assert ts_r == (wants.peer, TrafficSelector.of("10.2.2.0/24"))
    assert "two" in names(ladder.left)
    assert "two" in names(ladder.right)


def test_a_packet_of_another_child_is_not_offered(row: Row) -> None:
    """§2.9.1: nobody proposes selectors that violate the own policy."""
    ladder = pair(row, Start.DEMAND)
    initiate(ladder, Wish("two", packet("10.1.2.7", "172.16.0.1")))
    assert offers(ladder, AUTH) == [
        ((TrafficSelector.of("10.1.2.0/24"),), (TrafficSelector.of("10.2.2.0/24"),))
    ]


def narrowed(ladder: Ladder, local: str, peer: str) -> None:
    """Let the right host answer the first offer of each kind with selectors of its own liking."""

    def change(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        to = {TsI: TsI((TrafficSelector.of(local),)), TsR: TsR((TrafficSelector.of(peer),))}
        return tuple(to.get(type(body), body) for body in payloads)

    edited(ladder, change, CREATE, ladder.right)


@pytest.mark.conformance("CF-G08")
def test_a_packet_that_the_answer_leaves_out_is_asked_for_alone_and_once(row: Row) -> None:
    """§2.9: the responder may narrow to a part that the packet is not in."""
    ladder = pair(row, Start.DEMAND)
    initiate(ladder, Wish("one"))
    wants = packet("10.1.2.7", "10.2.2.9")
    narrowed(ladder, "10.1.2.128/25", "10.2.2.0/24")
    command(ladder, ladder.left, AddChild(Wish("two", wants)))
    ladder.wait(60)
    first, second = offers(ladder, CREATE)[:2]
    assert first[0][0] == wants.local
    assert second == ((wants.local,), (wants.peer,))
    assert len(offers(ladder, CREATE)) == 2


@pytest.mark.conformance("CF-G06")
@pytest.mark.parametrize("exchange", [AUTH, CREATE])
def test_a_single_pair_is_asked_for_where_one_is_required(row: Row, exchange: ExchangeType) -> None:
    """§2.9: "SINGLE_PAIR_REQUIRED": ask "for only the specific traffic it is trying to forward"."""
    ladder = pair(row, Start.DEMAND)
    wants = packet("10.1.2.7", "10.2.2.9")
    if exchange is CREATE:
        initiate(ladder, Wish("one"))
    once = iter([True])

    def refuse(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        if not next(once, False):
            return payloads
        kept = tuple(body for body in payloads if type(body).__name__ in {"IdR", "Authentication"})
        return (*kept, Notify(NotifyType.SINGLE_PAIR_REQUIRED))

    edited(ladder, refuse, exchange, ladder.right)
    if exchange is CREATE:
        command(ladder, ladder.left, AddChild(Wish("two", wants)))
    else:
        initiate(ladder, Wish("two", wants))
    ladder.wait(60)
    assert offers(ladder, CREATE)[-1] == ((wants.local,), (wants.peer,))
    assert names(ladder.left)[-1] == "two"


@pytest.mark.conformance("CF-G06")
def test_a_peer_that_refuses_single_pairs_too_is_asked_no_more(row: Row) -> None:
    """§2.9: no loop with a peer that is of two minds."""
    ladder = pair(row, Start.DEMAND)
    initiate(ladder, Wish("one"))
    answered_with(ladder, NotifyType.SINGLE_PAIR_REQUIRED)
    command(ladder, ladder.left, AddChild(Wish("two", packet("10.1.2.7", "10.2.2.9"))))
    ladder.wait(120)
    assert len(offers(ladder, CREATE)) == 2
    assert ladder.left.seen(reports.ChildFailed)
    assert names(ladder.left) == ["one"]


def asked_for(ladder: Ladder, ts_i: Selectors, ts_r: Selectors) -> tuple[Selectors, Selectors, str]:
    """Have the left host ask for these; return what is granted, and the notation of the answer."""

    def widen(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        to = {TsI: TsI(ts_i), TsR: TsR(ts_r)}
        return tuple(to.get(type(body), body) for body in payloads)

    edited(ladder, widen, AUTH, ladder.left)
    ladder.connect()
    child = ladder.right.installs[0].child
    return child.peer_ts, child.local_ts, ladder.right.said[1]


EVERYTHING = (TrafficSelector.of("0.0.0.0/0"),)


def test_the_child_of_the_packet_is_granted_and_more_is_possible() -> None:
    """§2.9: "the responder narrowed ... but that other Traffic Selectors would also have been"."""
    ladder = pair(GCM, Start.WAIT)
    wants = packet("10.1.3.1", "10.2.3.1")
    granted = asked_for(ladder, (wants.local, *EVERYTHING), (wants.peer, *EVERYTHING))
    assert TrafficSelector.of("10.1.3.0/24") in granted[0]
    assert TrafficSelector.of("10.2.3.0/24") in granted[1]
    assert "N(ADDITIONAL_TS_POSSIBLE)" in granted[2]


def test_a_child_that_is_there_already_is_not_granted_once_more() -> None:
    """§2.9: whoever asks for everything again gets what it does not have yet."""
    ladder = pair(GCM, Start.WAIT)
    asked_for(ladder, EVERYTHING, EVERYTHING)
    ladder.fate = lambda _host, datagram: [datagram]
    seen = {child.name for child in ladder.right.established[0].children}
    for _ in range(2):
        payloads = _everything(ladder)
        ladder.deliver(ladder.right, request(ladder, ladder.left, payloads, CREATE))
        state = session_of(ladder.left)
        window = replace(state.window, next_request=state.window.next_request + 1)
        sa = ladder.left.endpoint.sas[0]
        sa._state = replace(sa.state, session=replace(state, window=window))  # type: ignore[type-var]
        seen |= {child.name for child in ladder.right.established[0].children}
    assert seen == set(NAMES)


def _everything(ladder: Ladder) -> tuple[Body, ...]:
    from ikeway.ike.negotiate import offer
    from ikeway.wire.payloads import Nonce

    env = ladder.left.endpoint.env
    connection: Connection = env.connections[0]
    return (
        offer(connection.children[0].esp, env.new_esp_spi().to_bytes(4), with_ke=False),
        Nonce(env.random.octets(32)),
        TsI(EVERYTHING),
        TsR(EVERYTHING),
    )


# Offers that are declined -------------------------------------------------------------------------


@pytest.mark.conformance("CF-A14")
@pytest.mark.parametrize(
    "kind",
    [
        NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED,
        NotifyType.IPCOMP_SUPPORTED,
        NotifyType.HTTP_CERT_LOOKUP_SUPPORTED,
        NotifyType.ADDITIONAL_TS_POSSIBLE,
    ],
)
@pytest.mark.parametrize("exchange", [AUTH, CREATE])
def test_what_is_not_agreed_to_stays_without_an_answer(
    row: Row, kind: NotifyType, exchange: ExchangeType
) -> None:
    """§1.3.1, §2.22: an offer that is not accepted is left out of the answer; the child comes."""
    ladder = pair(row, Start.WAIT)
    data = bytes(3) if kind is NotifyType.IPCOMP_SUPPORTED else b""

    def offer_more(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return (Notify(kind, data), *payloads)

    edited(ladder, offer_more, exchange, ladder.left)
    ladder.connect()
    agree(ladder, children=3)
    assert not any(kind.name in what for what in ladder.right.said)


@pytest.mark.parametrize("exchange", [AUTH, CREATE])
def test_compression_that_nobody_offered_is_no_child(row: Row, exchange: ExchangeType) -> None:
    """§2.22: packets would be compressed, and dropped here."""
    ladder = pair(row, Start.WAIT)

    def grant(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return (*payloads, Notify(NotifyType.IPCOMP_SUPPORTED, bytes(3)))

    edited(ladder, grant, exchange, ladder.right)
    ladder.connect()
    ladder.wait(3)
    agree(ladder, children=2 if exchange is AUTH else 1)


def test_disconnecting_takes_all_of_them(row: Row) -> None:
    """§1.4.1: "Deleting an IKE SA implicitly closes any remaining Child SAs"."""
    ladder = pair(row)
    ladder.connect()
    command(ladder, ladder.left, Disconnect("asked to"))
    ladder.wait(30)
    assert ladder.left.installed == ladder.right.installed == {}
    assert ladder.left.states == ladder.right.states == []
