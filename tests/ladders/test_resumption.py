# SPDX-License-Identifier: Apache-2.0
"""RFC 5723: an IKE SA that was lost comes back with a ticket, once, and only to its owner."""

from dataclasses import replace

import pytest

from ikeway.ike.io import Datagram, Rekey, RevokeTicket
from ikeway.ike.reports import RefusedRequest
from ikeway.ike.states import AwaitAuthRequest, AwaitInitResponse, Candidates
from ikeway.model.identity import Identity, IdType
from ikeway.model.secret import Secret
from ikeway.policy.connection import Proof
from ikeway.policy.credentials import Credentials, IdPattern
from ikeway.policy.lifetimes import Lifetimes
from ikeway.wire.message import Message
from ikeway.wire.payloads import (
    KeyExchange,
    Nonce,
    Notify,
    SecurityAssociation,
)
from ikeway.wire.registry import ExchangeType, NotifyType
from support.eap_hosts import eap
from support.hosts import CLIENT, GATEWAY, POOL, Row
from support.hybrid import hybrid
from support.ladder import Ladder
from support.resuming import (
    INIT,
    LOST,
    ON,
    RESUME,
    connected,
    kinds,
    lost,
    lost_by_the_left,
    resumed,
    secrets,
    state,
)
from support.shell import Host


@pytest.mark.conformance("CF-S01", "CF-S05", "CF-S08", "CF-S09")
@pytest.mark.parametrize("certificates", [False, True])
def test_a_lost_connection_comes_back_with_its_ticket(row: Row, certificates: bool) -> None:
    """§4.3.2: "HDR, [N(COOKIE),] Ni, N(TICKET_OPAQUE)"; no SA, no key exchange."""
    ladder = lost(connected(row, certificates=certificates))
    ladder.connect()
    request = Message.decode(ladder.sent[0][1].octets)
    assert request.header.exchange is RESUME
    assert request.header.spi_r == bytes(8)
    assert request.one(Nonce) is not None
    assert request.one(SecurityAssociation) is None
    assert request.one(KeyExchange) is None
    assert kinds(ladder) == [RESUME, RESUME, ExchangeType.IKE_AUTH, ExchangeType.IKE_AUTH]
    assert resumed(ladder.left)
    assert resumed(ladder.right)
    assert ladder.left.child.spi_in == ladder.right.child.spi_out


@pytest.mark.conformance("CF-S04", "CF-S06")
def test_a_replayed_ticket_is_refused(row: Row) -> None:
    """§4.3.1: "A reused ticket SHOULD be rejected by a gateway"."""
    ladder = lost(connected(row))
    ladder.connect()
    octets = bytearray(ladder.sent[0][1].octets)
    octets[:8] = b"attacker"
    (answer,) = ladder.arrive(ladder.right, bytes(octets))
    assert Message.decode(answer).notify(NotifyType.TICKET_NACK) is not None
    assert len(ladder.right.endpoint.sas) == 1


@pytest.mark.conformance("CF-S06", "CF-S11")
def test_an_altered_ticket_is_refused_and_the_client_begins_anew(row: Row) -> None:
    """§4.3.2: "the initiator should re-initiate a regular IKE exchange"."""
    ladder = lost(connected(row))

    def fate(host: Host, datagram: Datagram) -> list[Datagram]:
        message = Message.decode(datagram.octets)
        if host is not ladder.left or message.header.exchange is not RESUME:
            return [datagram]
        changed = tuple(
            replace(body, data=body.data[:-1] + bytes([body.data[-1] ^ 1]))
            if isinstance(body, Notify) and body.type is NotifyType.TICKET_OPAQUE
            else body
            for body in message.payloads
        )
        return [replace(datagram, octets=replace(message, payloads=changed).encode())]

    ladder.fate = fate
    ladder.connect()
    assert ladder.right.seen(RefusedRequest)[-1].notify == "TICKET_NACK"
    assert kinds(ladder)[:3] == [RESUME, RESUME, INIT]
    assert not resumed(ladder.left)
    assert len(ladder.left.endpoint.sas) == 1


@pytest.mark.conformance("CF-S11")
def test_a_ticket_of_another_gateway_is_refused(row: Row) -> None:
    """§6.1: the ticket has a key identity; a key that is not ours opens nothing."""
    ladder = lost(connected(row))
    ladder.right.endpoint.env.tickets.known = (Secret(b"another".ljust(32)),)
    ladder.connect()
    assert not resumed(ladder.left)
    assert ladder.right.seen(RefusedRequest)[-1].notify == "TICKET_NACK"


@pytest.mark.conformance("CF-S03")
def test_an_expired_ticket_is_not_presented(row: Row) -> None:
    """§4.3.1: "A client MUST NOT present a ticket when it knows that [it] has expired"."""
    ladder = lost(connected(row))
    ladder.now += 5 * 3600.0
    ladder.connect()
    assert kinds(ladder)[0] is INIT


@pytest.mark.conformance("CF-S12")
@pytest.mark.parametrize("who", ["left", "right"])
def test_a_deleted_ike_sa_takes_its_ticket_along(row: Row, who: str) -> None:
    """§6.2: "when an IKE SA is deleted [...] the client MUST delete its stored ticket"."""
    ladder = connected(row)
    ladder.disconnect(getattr(ladder, who))
    ladder.settle()
    ladder.wait(60.0)
    ladder.sent.clear()
    ladder.connect()
    assert kinds(ladder)[0] is INIT


@pytest.mark.conformance("CF-S10")
def test_the_old_ike_sa_is_deleted_silently(row: Row) -> None:
    """§4.3.4: "the old SA SHOULD be silently deleted without sending a DELETE"."""
    ladder = lost_by_the_left(connected(row))
    assert len(ladder.right.endpoint.sas) == 1
    ladder.connect()
    assert resumed(ladder.right)
    assert len(ladder.right.endpoint.sas) == 1
    assert len(ladder.right.installed) == 1
    assert ExchangeType.INFORMATIONAL not in kinds(ladder)


@pytest.mark.conformance("CF-S10")
def test_another_worker_drops_the_old_ike_sa_and_refuses_its_ticket(row: Row) -> None:
    """§4.3.4, §4.3.1: what was resumed elsewhere is void here too."""
    ladder = connected(row)
    spi, ticket = ladder.right.endpoint.sas[0].spi, state(ladder.right).resumption.issued
    assert ticket is not None
    lost_by_the_left(ladder)
    event = RevokeTicket(spi, ticket)
    ladder.perform(ladder.right, ladder.right.endpoint.ticket_revoked(event, ladder.now))
    assert not ladder.right.endpoint.sas
    assert not ladder.right.installed
    ladder.connect()
    assert ladder.right.refusals == ["TICKET_NACK"]
    assert not resumed(ladder.left)


@pytest.mark.conformance("CF-S07")
def test_a_cookie_is_asked_for_under_load(row: Row) -> None:
    """§4.3.2: "The first message MAY be rejected in [DoS] situations"."""
    ladder = connected(row)
    right = ladder.right.endpoint
    lost(ladder)
    right._gate._limits = replace(right.env.limits, cookies_from=0)
    ladder.connect()
    assert kinds(ladder)[:4] == [RESUME] * 4
    assert resumed(ladder.left)


def test_an_attacker_who_answers_first_wins_nothing(row: Row) -> None:
    """§9: who has no SK_d cannot answer; the real answer that follows is taken."""
    ladder = lost(connected(row))
    ladder.initiate()
    request = Message.decode(ladder.sent[0][1].octets)
    head = replace(request.header, spi_r=b"attacker", flags=32)  # type: ignore[arg-type]
    forged = Message(head, (Nonce(bytes(32)),)).encode()
    real = ladder.wire.popleft()
    ladder.arrive(ladder.left, forged)
    ladder.wire.clear()
    ladder.deliver(*real)
    ladder.settle()
    assert resumed(ladder.left)
    assert len(ladder.left.endpoint.sas) == 1


@pytest.mark.conformance("CF-S06")
def test_a_forged_nack_is_outlived_by_the_real_answer(row: Row) -> None:
    """§4.3.2 with RFC 7296 §2.21.1: an unprotected refusal proves nothing."""
    ladder = lost(connected(row))
    ladder.initiate()
    request = Message.decode(ladder.sent[0][1].octets)
    head = replace(request.header, flags=32)  # type: ignore[arg-type]
    real = ladder.wire.popleft()
    ladder.arrive(ladder.left, Message(head, (Notify(NotifyType.TICKET_NACK),)).encode())
    ladder.wire.clear()
    ladder.deliver(*real)
    ladder.settle()
    assert resumed(ladder.left)


def test_off_by_default_nothing_is_asked(row: Row) -> None:
    """No ticket is asked for, given or presented."""
    ladder = row.psk()
    ladder.connect()
    lost(ladder).connect()
    assert kinds(ladder)[0] is INIT


# Asking and giving --------------------------------------------------------------------------------


def told(ladder: Ladder, host: Host) -> list[str]:
    """What a host said of tickets."""
    words = ("TICKET_REQUEST", "TICKET_LT_OPAQUE", "TICKET_NACK", "TICKET_ACK")
    return [word for said in host.said for word in words if f"N({word})" in said]


@pytest.mark.conformance("CF-S01")
def test_a_request_for_a_ticket_gets_a_ticket(row: Row) -> None:
    """§4.1: "it creates a ticket and returns it with the N(TICKET_LT_OPAQUE) payload"."""
    ladder = connected(row)
    assert told(ladder, ladder.left) == ["TICKET_REQUEST"]
    assert told(ladder, ladder.right) == ["TICKET_LT_OPAQUE"]


@pytest.mark.conformance("CF-S01")
def test_a_gateway_without_secrets_says_no_and_nothing_else_is_different(row: Row) -> None:
    """§4.1: "Regardless of this choice, there is no change to the behavior of the responder"."""
    ladder = row.psk(dict(ON), dict(ON))
    ladder.connect()
    assert told(ladder, ladder.right) == ["TICKET_NACK"]
    assert ladder.left.child.spi_in == ladder.right.child.spi_out
    lost(ladder).connect()
    assert kinds(ladder)[0] is INIT


@pytest.mark.conformance("CF-S01")
@pytest.mark.parametrize(("left", "right"), [(True, False), (False, True)])
def test_a_side_that_does_not_want_tickets_says_nothing_of_them(
    row: Row, left: bool, right: bool
) -> None:
    ladder = connected(row, {"resumption": left}, {"resumption": right})
    assert told(ladder, ladder.right) == []
    lost(ladder).connect()
    assert kinds(ladder)[0] is INIT


@pytest.mark.conformance("CF-S11")
def test_the_lifetime_is_that_of_the_ike_sa_at_most(row: Row) -> None:
    """§6.2: "the minimum of the IKE SA lifetime [...] and its re-authentication time"."""
    for lifetimes, longest in (
        (Lifetimes(), 4 * 3600.0),
        (Lifetimes(ike=600.0), 600.0),
        (Lifetimes(reauth=300.0), 300.0),
        (Lifetimes(ike=0.0), 24 * 3600.0),
    ):
        changes: dict[str, object] = {"lifetimes": lifetimes, "ticket_lifetime": 1e9}
        if lifetimes == Lifetimes():
            changes["ticket_lifetime"] = 4 * 3600.0
        ladder = connected(row, {"ticket_lifetime": 1e9, "lifetimes": Lifetimes(ike=0.0)}, changes)
        held = state(ladder.left).resumption.held
        assert held is not None
        assert held.past.expires == held.past.issued + longest


@pytest.mark.conformance("CF-S12")
@pytest.mark.parametrize("who", ["left", "right"])
def test_a_rekey_voids_the_ticket_and_the_client_asks_for_another(row: Row, who: str) -> None:
    """§6.2: "the ticket is invalidated, and the client SHOULD request a new ticket"."""
    ladder = connected(row)
    first = state(ladder.left).resumption.held
    host: Host = getattr(ladder, who)
    ladder.perform(host, host.endpoint.handle(host.endpoint.sas[0].spi, Rekey(), ladder.now))
    ladder.wait(60.0)
    second = state(ladder.left).resumption.held
    assert first is not None
    assert second is not None
    assert second.past.sk_d == state(ladder.right).session.keyring.keys.sk_d
    assert told(ladder, ladder.left) == ["TICKET_REQUEST"] * 2
    assert told(ladder, ladder.right) == ["TICKET_LT_OPAQUE"] * 2, "only the client asks"
    lost(ladder).connect()
    assert resumed(ladder.left)
    assert resumed(ladder.right)


@pytest.mark.conformance("CF-S12")
def test_the_ticket_of_an_ike_sa_that_was_rekeyed_is_refused(row: Row) -> None:
    """§9.8: who presents it all the same gets nowhere."""
    ladder = connected(row)
    old = state(ladder.left).resumption
    sa = ladder.right.endpoint.sas[0]
    ladder.perform(ladder.right, ladder.right.endpoint.handle(sa.spi, Rekey(), ladder.now))
    ladder.wait(60.0)
    (left,) = ladder.left.endpoint.sas
    left._state = replace(state(ladder.left), resumption=old)
    lost(ladder).connect()
    assert ladder.right.refusals[-1] == "TICKET_NACK"
    assert not resumed(ladder.left)


@pytest.mark.conformance("CF-S05")
def test_a_second_loss_is_resumed_with_a_second_ticket(row: Row) -> None:
    """§4.3.3: "a client will typically request a new ticket immediately"."""
    ladder = connected(row)
    for _ in range(3):
        lost(ladder).connect()
        assert kinds(ladder)[0] is RESUME
        assert resumed(ladder.left)


def test_resuming_does_not_renew_the_proof_of_identities(row: Row) -> None:
    """§6.2: a ticket is bounded by the time until reauthentication, which goes on."""
    limits: dict[str, object] = {"lifetimes": Lifetimes(reauth=1000.0, jitter=0.0)}
    ladder = connected(row, right=limits)
    proven, until = ladder.now, state(ladder.right).authenticity.until
    for _ in range(3):
        lost(ladder).connect()
        assert resumed(ladder.right)
        assert state(ladder.right).authenticity.until == until
        held = state(ladder.left).resumption.held
        assert held is not None
        assert held.past.expires <= proven + 1000.0


# Keys, identities and addresses -------------------------------------------------------------------


@pytest.mark.conformance("CF-S08")
@pytest.mark.parametrize("certificates", [False, True])
def test_no_certificate_is_asked_for_or_sent(row: Row, certificates: bool) -> None:
    """§4.3.3: "A CERT payload MUST NOT be included"; IDi and IDr are those of the ticket."""
    ladder = lost(connected(row, certificates=certificates))
    before = len(ladder.left.said), len(ladder.right.said)
    asked = len(ladder.left.asked), len(ladder.right.asked)
    ladder.connect()
    said = ladder.left.said[before[0] :] + ladder.right.said[before[1] :]
    assert not [line for line in said if "CERT" in line]
    kinds_asked = ladder.left.asked[asked[0] :] + ladder.right.asked[asked[1] :]
    assert {kind.__name__ for kind in kinds_asked} == {"InstallChild"}, "nothing is signed"
    assert state(ladder.left).peer_id == state(ladder.right).local_id
    assert state(ladder.right).peer_id == state(ladder.left).local_id


@pytest.mark.conformance("CF-S09")
def test_all_keys_and_spis_are_new(row: Row) -> None:
    """§5, Note 4: old SPIs "MUST NOT be used for the resumed SA"; all keys are refreshed."""
    ladder = connected(row)
    old = state(ladder.left).session
    lost(ladder).connect()
    new = state(ladder.left).session
    assert resumed(ladder.left)
    assert not {old.link.spi_i, old.link.spi_r} & {new.link.spi_i, new.link.spi_r}
    every = [*_keys(old), *_keys(new)]
    assert len(set(every)) == len(every)
    assert new.keyring.keys == state(ladder.right).session.keyring.keys


def _keys(session: object) -> list[bytes]:
    keys = session.keyring.keys  # type: ignore[attr-defined]
    found = (keys.sk_d, keys.sk_ai, keys.sk_ar, keys.sk_ei, keys.sk_er, keys.sk_pi, keys.sk_pr)
    return [key.octets for key in found if key.octets]


def test_the_client_asks_for_the_address_that_it_had(row: Row) -> None:
    """§5, Note 5: "The client can request the address it was using earlier"."""
    ladder = secrets(row.psk(ON | CLIENT, ON | GATEWAY, {"staff": POOL}))
    ladder.connect()
    had = state(ladder.left).virtual_ips
    assert had
    lost_by_the_left(ladder).connect()
    assert resumed(ladder.left)
    assert state(ladder.left).virtual_ips == had, "though its old IKE SA was still there"
    lost(ladder).connect()
    assert resumed(ladder.left), "the connection is still the one that the ticket is of"
    assert state(ladder.left).virtual_ips == had


def test_an_ike_sa_with_additional_key_exchanges_is_resumed_without_them(row: Row) -> None:
    """§5.1: the keys come of the old SK_d, and with it of all that it came of (RFC 9370)."""
    ladder = hybrid(row)
    for host in (ladder.left, ladder.right):
        (connection,) = host.endpoint.env.connections
        changed = (replace(connection, resumption=True),)
        host.endpoint.env = replace(host.endpoint.env, connections=changed)
    secrets(ladder).connect()
    lost(ladder).connect()
    assert kinds(ladder) == [RESUME, RESUME, ExchangeType.IKE_AUTH, ExchangeType.IKE_AUTH]
    assert resumed(ladder.left)


# Who may not --------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-S12")
@pytest.mark.parametrize(
    "change",
    [
        {"resumption": False},
        {"name": "renamed"},
        {"peer_id": IdPattern("somebody-else.example")},
    ],
)
def test_a_ticket_is_no_better_than_what_is_configured_today(
    row: Row, change: dict[str, object]
) -> None:
    """§6.2: "when credentials [...] are invalidated [...] the ticket MUST be deleted"."""
    ladder = lost(connected(row))
    env = ladder.right.endpoint.env
    changed = replace(env.connections[0], **change)  # type: ignore[arg-type]
    ladder.right.endpoint.env = replace(env, connections=(changed,))
    ladder.initiate()
    ladder.settle()
    assert ladder.right.refusals[0] == "TICKET_NACK"


@pytest.mark.conformance("CF-S12")
def test_a_ticket_of_somebody_whose_key_is_gone_is_refused(row: Row) -> None:
    ladder = lost(connected(row))
    env = replace(ladder.right.endpoint.env, credentials=Credentials())
    ladder.right.endpoint.env = env
    ladder.initiate()
    ladder.settle()
    assert ladder.right.refusals[0] == "TICKET_NACK"


@pytest.mark.conformance("CF-S12")
def test_a_client_whose_configuration_has_changed_begins_anew(row: Row) -> None:
    ladder = lost(connected(row))
    connection = replace(ladder.left.endpoint.env.connections[0], liveness=17.0)
    ladder.connect(connection)
    assert kinds(ladder)[0] is INIT


@pytest.mark.conformance("CF-S12")
def test_a_client_that_gave_up_the_connection_begins_anew(row: Row) -> None:
    """§6.2: "e.g., when a user logs out"."""
    ladder = lost(connected(row))
    ladder.left.endpoint.forget_ticket(ladder.left.endpoint.env.connections[0].name)
    ladder.connect()
    assert kinds(ladder)[0] is INIT


@pytest.mark.conformance("CF-S08")
@pytest.mark.parametrize("whose", ["id_i", "id_r"])
def test_an_identity_that_is_not_the_tickets_is_refused(row: Row, whose: str) -> None:
    """§4.3.3: IDi and IDr "MUST [...] be identical to the value included in the ticket".

    The refusal is under the keys of the ticket, so nobody else said it: we begin anew at once.
    """
    ladder = lost(connected(row))
    side = ladder.right if whose == "id_i" else ladder.left
    ladder.initiate()
    ladder.deliver(*ladder.wire.popleft())
    if side is ladder.left:
        waiting = ladder.left.endpoint.sas[0]
        asked = waiting.state
        assert isinstance(asked, AwaitInitResponse)
        assert asked.resuming is not None
        past = replace(asked.resuming.held.past, id_r=Identity.parse("evil.example"))
        held = replace(asked.resuming.held, past=past)
        waiting._state = replace(asked, resuming=replace(asked.resuming, held=held))
    else:
        half_open = ladder.right.endpoint.sas[0]
        awaits = half_open.state
        assert isinstance(awaits, AwaitAuthRequest)
        assert awaits.session.resumed is not None
        past = replace(awaits.session.resumed, said=Identity.parse("boss.example"))
        half_open._state = replace(awaits, session=replace(awaits.session, resumed=past))
    ladder.settle()
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
    assert ladder.left.established
    assert not resumed(ladder.left)
    assert not resumed(ladder.right)


@pytest.mark.conformance("CF-S08")
def test_who_has_the_ticket_and_not_its_key_gets_nothing(row: Row) -> None:
    """§9.1: "a stolen ticket cannot be used by an attacker"; the old IKE SA stays."""
    ladder = lost_by_the_left(connected(row))
    kept = ladder.left.endpoint._returning._kept
    ((name, mine),) = kept.items()
    stolen = replace(mine.held.past, sk_d=Secret(bytes(len(mine.held.past.sk_d))))
    kept[name] = replace(mine, held=replace(mine.held, past=stolen))
    ladder.initiate()
    ladder.settle()
    assert len(ladder.right.established) == 1
    assert len(ladder.right.installed) == 1
    assert not any("resumed" in str(event) for event in ladder.right.ends)


@pytest.mark.conformance("CF-S04")
def test_of_two_that_are_on_their_way_with_a_ticket_one_arrives(row: Row) -> None:
    """§4.3.1: it "is considered as used only when an IKE SA has been established"."""
    ladder = lost(connected(row))
    ladder.initiate()
    _, first = ladder.wire.popleft()
    other = bytearray(first.octets)
    other[:8] = b"attacker"
    ladder.arrive(ladder.right, bytes(other))
    ladder.wire.clear()
    assert len(ladder.right.endpoint.sas) == 1
    ladder.deliver(ladder.right, first)
    ladder.settle()
    assert resumed(ladder.right)
    assert len(ladder.right.endpoint.sas) == 1, "the copy is not half open any more"


# Falling back -------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-S06")
def test_a_gateway_that_does_not_know_the_exchange_costs_a_few_seconds(row: Row) -> None:
    """It may be another one by now, which drops what it does not know."""
    ladder = lost(connected(row))
    ladder.fate = lambda _host, one: [] if one.octets[18] == RESUME else [one]
    began = ladder.now
    ladder.initiate()
    ladder.wait(4.0)
    assert ladder.left.established
    assert state(ladder.left).since - began < 4.0


def test_an_outage_does_not_use_up_the_ticket(row: Row) -> None:
    """§4.3.1: nobody saw it, so it is presented once more."""
    ladder = lost(connected(row))
    ladder.fate = lambda _host, _datagram: []
    ladder.initiate()
    ladder.wait(LOST)
    assert not ladder.left.endpoint.sas
    ladder.fate = lambda _host, datagram: [datagram]
    ladder.connect()
    assert resumed(ladder.left)


def test_no_answer_to_a_ticket_is_followed_twice(row: Row) -> None:
    """Another request under its keys would repeat IVs (I7)."""
    ladder = lost(connected(row))
    ladder.initiate()
    ladder.deliver(*ladder.wire.popleft())
    host, answer = ladder.wire.popleft()
    ladder.deliver(host, answer)
    ladder.deliver(host, answer)
    (sa,) = ladder.left.endpoint.sas
    assert isinstance(sa.state, Candidates)
    assert len(sa.state.branches) == 1


# After EAP ----------------------------------------------------------------------------------------


@pytest.mark.conformance("CF-S02", "CF-S13")
@pytest.mark.parametrize("proof", [Proof.EAP_MSCHAPV2, Proof.EAP_MD5])
def test_after_eap_the_ticket_comes_last_and_is_of_who_was_authenticated(
    row: Row, proof: Proof
) -> None:
    """§4.2: "MUST only be returned in the final IKE_AUTH response"; §5, Note 1.

    To resume asks for no password.
    """
    ladder = secrets(eap(row, proof, left=ON, right=ON))
    ladder.connect()
    with_ticket = [line for line in ladder.right.said if "TICKET" in line]
    assert len(with_ticket) == 1
    assert "AUTH" in with_ticket[0]
    assert with_ticket[0] == ladder.right.said[-1]
    who = state(ladder.right).peer_id
    lost(ladder).connect()
    assert kinds(ladder) == [RESUME, RESUME, ExchangeType.IKE_AUTH, ExchangeType.IKE_AUTH]
    assert resumed(ladder.left)
    assert state(ladder.right).peer_id == who
    assert who != Identity(IdType.KEY_ID, b"carol"), "IDi was another one"


@pytest.mark.parametrize("proof", [Proof.EAP_MSCHAPV2, Proof.EAP_GTC])
def test_a_ticket_of_a_user_who_was_taken_away_opens_nothing(row: Row, proof: Proof) -> None:
    """RFC 5723 §9.8: a gateway that learns that a user may not come in has to heed it."""
    ladder = secrets(eap(row, proof, left=ON, right=ON))
    ladder.connect()
    lost(ladder)
    ladder.right.barred = (Identity.parse("carol"),)
    ladder.connect()
    assert not ladder.right.established
    assert not ladder.right.installed
    assert any("may not come in: it is disabled" in reason for reason in refusals(ladder.right))


def refusals(host: Host) -> list[str]:
    return [event.reason for event in host.seen(RefusedRequest)]
