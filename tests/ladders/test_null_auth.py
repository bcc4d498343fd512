# SPDX-License-Identifier: Apache-2.0
"""RFC 7619: who proves nothing, what that opens, and all that it must not open."""

from dataclasses import replace

import pytest

from ikeway.ike import reports
from ikeway.ike.tickets import TicketSecrets
from ikeway.model.identity import ANONYMOUS, Identity, IdType
from ikeway.model.secret import Secret
from ikeway.policy.connection import Proof, SelectorTemplate, UsePpk
from ikeway.policy.credentials import IdPattern, Ppk
from ikeway.runtime.story import level
from ikeway.wire.codec import Body
from ikeway.wire.payloads import Authentication, Eap, IdI, Notify
from ikeway.wire.registry import AuthMethod, ExchangeType, NotifyType
from support.eap_hosts import eap, twofold
from support.forge import edited
from support.hosts import CLIENT, DYNAMIC, GATEWAY, GCM, LEFT, POOL, RIGHT, Changes, Row
from support.ladder import Ladder

AUTH = ExchangeType.IKE_AUTH
NOBODY: Changes = {"local_id": ANONYMOUS, "local_auth": Proof.NULL}
FOR_ALL: Changes = {"peer_auth": (Proof.NULL,), "peer_id": IdPattern("*")}


def one_sided(row: Row = GCM, left: Changes | None = None, right: Changes | None = None) -> Ladder:
    """Return a client that stays anonymous, and a gateway that proves itself by certificate."""
    return row.certificates(
        {**NOBODY, **CLIENT, **(left or {})},
        {**FOR_ALL, **GATEWAY, **(right or {})},
        pools={"staff": POOL},
    )


def nobody_at_all(row: Row = GCM) -> Ladder:
    """Return two that prove nothing to each other."""
    return row.psk({**NOBODY, **FOR_ALL}, {**NOBODY, **FOR_ALL})


def is_up(ladder: Ladder) -> bool:
    return bool(ladder.left.established and ladder.right.established and ladder.right.installed)


def is_down(ladder: Ladder) -> bool:
    ladder.wait(90)
    sides = ladder.left, ladder.right
    return not any(side.states or side.installed for side in sides)


def sent(ladder: Ladder, kind: type[Body]) -> list[Body]:
    """Return the payloads of a kind that the client sent."""
    events = [one for one in ladder.left.events if isinstance(one, reports.MessageSent)]
    return [body for one in events for body in one.message.payloads if isinstance(body, kind)]


# What it is ---------------------------------------------------------------------------------------


def test_an_anonymous_client_and_a_gateway_with_a_certificate(row: Row) -> None:
    """§1: "authenticate the server without presenting or authenticating to the server"."""
    ladder = one_sided(row)
    ladder.connect()
    assert is_up(ladder)
    assert sent(ladder, IdI) == [IdI(IdType.NULL, b"")]
    (auth,) = sent(ladder, Authentication)
    assert isinstance(auth, Authentication)
    assert auth.method is AuthMethod.NULL
    assert ladder.right.established[0].peer_id == ANONYMOUS
    assert ladder.left.established[0].peer_id == Identity.parse(RIGHT)


def test_two_that_prove_nothing(row: Row) -> None:
    """§1: "unauthenticated encrypted communication is preferred over cleartext"."""
    ladder = nobody_at_all(row)
    ladder.connect()
    assert is_up(ladder)
    assert ladder.left.established[0].peer_id == ladder.right.established[0].peer_id == ANONYMOUS


@pytest.mark.parametrize("side", ["left", "right"])
def test_auth_is_of_this_ike_sa_and_of_the_side_that_says_it(row: Row, side: str) -> None:
    """§2.1: SK_pi for the initiator, SK_pr for the responder; it "cryptographically links"."""
    ladder = nobody_at_all(row)
    teller, other = (ladder.left, ladder.right) if side == "left" else (ladder.right, ladder.left)

    def spoilt(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(
            replace(body, data=bytes(len(body.data))) if isinstance(body, Authentication) else body
            for body in payloads
        )

    edited(ladder, spoilt, AUTH, teller)
    ladder.connect()
    assert not other.established
    assert is_down(ladder)


def test_a_reflected_auth_is_refused() -> None:
    """Both sides' keys differ: what we said is not what the peer has to say."""
    ladder = nobody_at_all()
    ours: list[Body] = []

    def reflected(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        said = sent(ladder, Authentication)
        ours.extend(said)
        return tuple(said[0] if isinstance(one, Authentication) else one for one in payloads)

    edited(ladder, reflected, AUTH, ladder.right)
    ladder.connect()
    assert ours
    assert not ladder.left.established


def test_it_is_loud() -> None:
    """§3.1: what is not proven "should be clearly marked"."""
    ladder = one_sided()
    ladder.connect()
    (up,) = ladder.right.seen(reports.Established)
    assert level(up) == "warning"
    (known,) = ladder.left.seen(reports.Established)
    assert level(known) == "info"
    assert str(ANONYMOUS) == "(anonymous)"


def test_a_ppk_goes_with_it() -> None:
    """RFC 8784 §3: AUTH comes of SK_p with the PPK in it, and of that without as a fallback."""
    for knows in (True, False):
        wanted: Changes = {"ppk": UsePpk.PREFER, "ppk_id": "p"}
        ladder = GCM.psk({**NOBODY, **FOR_ALL, **wanted}, {**NOBODY, **FOR_ALL, **wanted})
        for side in (ladder.left, ladder.right):
            env = side.endpoint.env
            mine = (Ppk(b"p", Secret(bytes(32))),) if knows or side is ladder.left else ()
            side.endpoint.env = replace(env, credentials=replace(env.credentials, ppks=mine))
        ladder.connect()
        assert is_up(ladder)


# It is opt-in -------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", [LEFT, None])
def test_who_wants_a_proof_refuses_who_has_none(row: Row, named: str | None) -> None:
    """§2: "If a host's local policy requires that the identity of its peer be authenticated ... it
    MUST return an AUTHENTICATION_FAILED notification", whatever the ID says.
    """
    claimed = ANONYMOUS if named is None else Identity.parse(named)
    ladder = row.certificates({"local_auth": Proof.NULL, "local_id": claimed})
    ladder.connect()
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
    assert is_down(ladder)


def test_a_gateway_without_a_proof_is_refused(row: Row) -> None:
    ladder = row.certificates({}, {"local_auth": Proof.NULL})
    ladder.connect()
    assert not ladder.left.established
    assert is_down(ladder)


def test_the_name_beside_it_counts_for_nothing() -> None:
    """§2.2: the ID "MUST NOT be used for any trust and policy checking": not to get in as a user
    with a name, and not for the connection of one.
    """
    ladder = one_sided(left={"local_id": Identity.parse("boss.example")})
    env = ladder.right.endpoint.env
    plain = env.connections[0]
    boss = replace(plain, name="boss", peer_id=IdPattern("boss.example"))
    names = replace(plain, name="names", peer_id=IdPattern("*.example"))
    ladder.right.endpoint.env = replace(env, connections=(boss, names, plain))
    ladder.connect()
    (state,) = ladder.right.established
    assert state.connection.name == plain.name
    assert state.peer_id == ANONYMOUS


def test_nobody_gets_into_the_connection_of_others() -> None:
    """Beside a connection for certificates there is one for anybody: AUTH decides, not the peer."""
    ladder = one_sided()
    env = ladder.right.endpoint.env
    anybody = env.connections[0]
    known = replace(anybody, name="known", peer_auth=(Proof.CERTIFICATE,))
    ladder.right.endpoint.env = replace(env, connections=(known, anybody))
    ladder.connect()
    assert ladder.right.established[0].connection.name == anybody.name


@pytest.mark.parametrize("kind", ["psk", "certificates"])
def test_id_null_with_a_proof_is_refused(kind: str) -> None:
    """§2.2: "primarily intended to be used with NULL authentication"; with others it names nobody
    whom a key could be of.
    """
    wild: Changes = {"peer_id": IdPattern("*")}
    ladder: Ladder = getattr(GCM, kind)({"local_id": ANONYMOUS}, wild)
    ladder.connect()
    assert ladder.right.refusals == ["AUTHENTICATION_FAILED"]
    assert is_down(ladder)


def test_id_null_is_empty() -> None:
    """§2.2: "The Identification Data field of the ID payload for this ID Type MUST be empty"."""
    ladder = one_sided(left={"local_id": Identity(IdType.NULL, b"x")})
    ladder.connect()
    assert ladder.right.refusals == ["INVALID_SYNTAX"]
    assert is_down(ladder)


# EAP ----------------------------------------------------------------------------------------------


def as_null(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
    return tuple(
        Authentication(AuthMethod.NULL, bytes(32)) if isinstance(body, Authentication) else body
        for body in payloads
    )


@pytest.mark.parametrize("maker", [eap, twofold])
@pytest.mark.parametrize("accepted", [(Proof.CERTIFICATE,), (Proof.CERTIFICATE, Proof.NULL)])
def test_a_responder_does_not_go_without_a_proof_before_eap(maker, accepted) -> None:  # type: ignore[no-untyped-def]
    """§2: "If an initiator uses EAP, the responder MUST NOT use the NULL Authentication method"."""
    ladder = maker(left={"peer_auth": accepted})
    edited(ladder, as_null, AUTH, ladder.right)
    ladder.connect()
    assert not sent(ladder, Eap)
    assert is_down(ladder)


def test_a_responder_that_would_be_believed_without_a_proof_still_hears_no_eap() -> None:
    """Two proofs of ours, and a peer that may prove nothing: the password stays here."""
    ladder = twofold(left=FOR_ALL, right={"local_auth": Proof.NULL, "local_id": ANONYMOUS})
    ladder.connect()
    assert not sent(ladder, Eap)
    assert not ladder.left.established
    assert is_down(ladder)


# What anonymous peers do to one another -----------------------------------------------------------


def test_initial_contact_of_nobody_ends_nothing() -> None:
    """§2.3: INITIAL_CONTACT "MUST NOT be used to delete any other IKE SAs based on the same peer
    identity"; ours does not even say it.
    """
    ladder = one_sided(left={"initial_contact": True})
    said = Notify(NotifyType.INITIAL_CONTACT)
    ladder.connect()
    assert "INITIAL_CONTACT" not in " ".join(ladder.left.said)
    ladder.fate = lambda _host, datagram: [datagram]

    def forged(payloads: tuple[Body, ...]) -> tuple[Body, ...]:
        return (*payloads, said) if any(isinstance(one, IdI) for one in payloads) else payloads

    edited(ladder, forged, AUTH, ladder.left)
    ladder.connect()
    assert len(ladder.right.established) == 2
    assert not ladder.right.ends


def test_each_gets_an_address_of_its_own() -> None:
    """§2.5: who asks for the address of another anonymous peer does not get it as "the same"."""
    ladder = one_sided()
    ladder.connect()
    (first,) = ladder.left.established
    plain = ladder.left.endpoint.env.connections[0]
    ladder.connect(replace(plain, virtual_ips=first.virtual_ips))
    second = ladder.left.established[1]
    assert second.virtual_ips
    assert not set(first.virtual_ips) & set(second.virtual_ips)


def test_nobody_takes_the_address_of_another_one() -> None:
    """§2.5: "An unauthenticated peer must not be allowed to use this mechanism to steal traffic".

    Two at one outer address, as behind a NAT: the one that came first keeps it.
    """
    outer: tuple[SelectorTemplate, ...] = DYNAMIC
    changes: Changes = {"local_ts": outer, "peer_ts": outer}
    ladder = GCM.psk({**NOBODY, **FOR_ALL, **changes}, {**NOBODY, **FOR_ALL, **changes})
    ladder.connect()
    (first,) = ladder.right.installed
    ladder.connect()
    assert list(ladder.right.installed) == [first]
    assert any("is another peer's" in one.reason for one in failures(ladder))


def failures(ladder: Ladder) -> list[reports.ChildFailed]:
    return [one for one in ladder.right.events if isinstance(one, reports.ChildFailed)]


def test_there_is_no_ticket_for_nobody() -> None:
    ladder = one_sided(left={"resumption": True}, right={"resumption": True})
    env = ladder.right.endpoint.env
    ladder.right.endpoint.env = replace(env, tickets=TicketSecrets((Secret(bytes(32)),)))
    ladder.connect()
    assert is_up(ladder)
    assert "TICKET_NACK" in " ".join(ladder.right.said)


def test_a_man_in_the_middle_cannot_make_a_known_peer_anonymous() -> None:
    """Who has a proof shows it: no answer of IKE_SA_INIT makes it leave it out."""
    ladder = GCM.certificates({}, {"peer_auth": (Proof.CERTIFICATE, Proof.NULL)})
    ladder.connect()
    assert ladder.right.established[0].peer_id == Identity.parse(LEFT)
