# SPDX-License-Identifier: Apache-2.0
"""RFC 9867: postquantum preshared keys in IKE_INTERMEDIATE, before any identity is said."""

from dataclasses import replace

import pytest

from ikeway.ike import ppk_intermediate
from ikeway.ike.features import ppk as feature
from ikeway.ike.features.ppk import PpkUse
from ikeway.policy.connection import UsePpk
from ikeway.policy.credentials import Ppk
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import KeyExchange, Notify
from ikeway.wire.registry import ExchangeType, KeMethod, NotifyType
from support.agreement import agree
from support.crossing import rekey_child, rekey_ike
from support.forge import edited, rewritten, session_of
from support.hosts import GCM, Row
from support.hybrid import KEM, TWO, exchanges
from support.ladder import Ladder
from support.ppk import GREEN, INSISTENT, KEY, OTHER, PREFER, REQUIRE, name_in, pair

INTERMEDIATE = ExchangeType.IKE_INTERMEDIATE
WAYS = pytest.mark.parametrize("auth", ["psk", "certificates"])


@pytest.mark.conformance("CF-W07")
@WAYS
@pytest.mark.parametrize("left", [PREFER, REQUIRE])
@pytest.mark.parametrize("right", [PREFER, REQUIRE])
def test_it_gets_an_exchange_of_its_own_where_there_is_none(
    row: Row, auth: str, left: UsePpk, right: UsePpk
) -> None:
    """§3.1: the last IKE_INTERMEDIATE carries it, if need be one made for it."""
    ladder = pair(row, auth, (left, (KEY,)), (right, (GREEN, KEY)))
    ladder.connect()
    agree(ladder)
    assert name_in(ladder.left) == name_in(ladder.right) == b"blue"
    expected = [("IKE_SA_INIT", 0), ("IKE_INTERMEDIATE", 1), ("IKE_AUTH", 2)]
    assert exchanges(ladder, ladder.left) == expected
    assert "USE_PPK_INT" in ladder.left.said[0]
    assert "N(USE_PPK)" in ladder.left.said[0]
    assert "USE_PPK_INT" in ladder.right.said[0]
    assert "N(USE_PPK)" not in ladder.right.said[0]
    assert "PPK" not in ladder.left.said[2] + ladder.right.said[2]


@pytest.mark.conformance("CF-W07")
@pytest.mark.parametrize(("extra", "last"), [(KEM, 1), (TWO, 2)])
def test_it_goes_along_with_the_last_key_exchange(row: Row, extra: str, last: int) -> None:
    """§3.1: it is mixed in after the keys of that exchange."""
    hybrid = replace(row, ike=f"{row.ike}-{extra}")
    ladder = pair(hybrid, "psk", (REQUIRE, (KEY,)), (REQUIRE, (KEY,)))
    ladder.connect()
    agree(ladder)
    assert name_in(ladder.right) == b"blue"
    assert len(exchanges(ladder, ladder.left)) == last + 2
    named = ["PPK_IDENTITY" in said for said in ladder.left.said[1 : last + 1]]
    assert named == [False] * (last - 1) + [True]


@pytest.mark.conformance("CF-W07")
def test_all_keys_are_those_of_the_rfc() -> None:
    """§3.2: "SKEYSEED' = prf+(PPK, SK_d)", and all keys from it, with the nonces and SPIs."""
    ladder = pair(GCM, "psk", (REQUIRE, (KEY,)), (REQUIRE, (KEY,)))
    ladder.connect()
    keyring = session_of(ladder.left).keyring
    seed = b"nonces and SPIs"
    again, prf = keyring.with_ppk_in_all(KEY.secret, seed).keys, keyring.prf
    skeyseed = prf.prf_plus(KEY.secret.octets, keyring.keys.sk_d.octets, prf.key_octets)
    order = ("sk_d", "sk_ai", "sk_ar", "sk_ei", "sk_er", "sk_pi", "sk_pr")
    keys = b"".join(getattr(again, name).octets for name in order)
    assert keys == prf.prf_plus(skeyseed, seed, len(keys))


@pytest.mark.conformance("CF-W07")
def test_a_peer_of_rfc_8784_alone_gets_it_in_ike_auth(
    row: Row, monkeypatch: pytest.MonkeyPatch
) -> None:
    """§3.1: an initiator says USE_PPK too, for peers that know nothing else."""
    announced = feature.announce

    def of_the_responder_only_the_old_one(context: object) -> tuple[Notify, ...]:
        notifies = announced(context)  # type: ignore[arg-type]
        return notifies if getattr(context, "is_request") else notifies[1:]  # noqa: B009

    monkeypatch.setattr(feature, "announce", of_the_responder_only_the_old_one)
    monkeypatch.setattr(feature, "one_of", lambda answer: answer)
    learned = feature.learn

    def what_it_knows(message: Message, context: object) -> PpkUse:
        if message.header.is_request:
            return PpkUse.IN_AUTH
        return learned(message, context)  # type: ignore[arg-type]

    monkeypatch.setattr(feature, "learn", what_it_knows)
    ladder = pair(row, "psk", (REQUIRE, (KEY,)), (REQUIRE, (KEY,)))
    ladder.connect()
    agree(ladder)
    assert session_of(ladder.left).agreed.ppk is PpkUse.IN_AUTH
    assert name_in(ladder.left) == b"blue"


@pytest.mark.conformance("CF-W07")
@WAYS
@pytest.mark.parametrize("other", [(), (GREEN,), (OTHER,)])
def test_where_nobody_insists_it_goes_without(row: Row, auth: str, other: tuple[Ppk, ...]) -> None:
    """§3.1: a responder that has none of the keys goes on without; a wrong key is none."""
    ladder = pair(row, auth, (PREFER, (KEY,)), (PREFER, other))
    ladder.connect()
    agree(ladder)
    assert name_in(ladder.left) is name_in(ladder.right) is None


@pytest.mark.conformance("CF-W07")
@WAYS
@pytest.mark.parametrize(("left", "right"), INSISTENT)
def test_where_somebody_insists_nothing_comes_of_it(
    row: Row,
    auth: str,
    left: tuple[UsePpk, tuple[Ppk, ...]],
    right: tuple[UsePpk, tuple[Ppk, ...]],
) -> None:
    ladder = pair(row, auth, left, right)
    ladder.connect()
    ladder.wait(120)
    assert ladder.left.states == ladder.right.states == []
    for host in (ladder.left, ladder.right):
        assert not host.established
        assert not host.installed


@pytest.mark.conformance("CF-W07")
def test_a_key_that_none_of_the_connections_can_do_without_is_refused_at_once(row: Row) -> None:
    """§3.1: AUTHENTICATION_FAILED, before the initiator says who it is."""
    ladder = pair(row, "psk", (PREFER, (KEY,)), (REQUIRE, (GREEN,)))
    ladder.connect()
    assert "IKE_INTERMEDIATE" in ladder.right.said[1]
    assert "AUTHENTICATION_FAILED" in ladder.right.said[1]
    assert not [said for said in ladder.left.said if "IDi" in said]


@pytest.mark.conformance("CF-W07")
@pytest.mark.parametrize("kind", [NotifyType.USE_PPK_INT, NotifyType.USE_PPK])
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_man_in_the_middle_cannot_take_it_out(row: Row, side: str, kind: NotifyType) -> None:
    """AUTH covers IKE_SA_INIT, so neither the key nor its better way can be argued away."""
    ladder = pair(row, "psk", (PREFER, (KEY,)), (PREFER, (KEY,)))

    def without(message: Message) -> Message:
        kept = (
            body
            for body in message.payloads
            if not (isinstance(body, Notify) and body.type is kind)
        )
        return replace(message, payloads=tuple(kept))

    rewritten(ladder, without, getattr(ladder, side))
    ladder.connect()
    ladder.wait(120)
    if side == "right" and kind is NotifyType.USE_PPK:
        agree(ladder)  # It was not in there.
    else:
        assert ladder.left.established == ladder.right.established == []


def swapped(ladder: Ladder, kind: NotifyType, data: bytes) -> None:
    """Let a notify of the responder's IKE_INTERMEDIATE have other data."""

    def edit(bodies: tuple[Body, ...]) -> tuple[Body, ...]:
        return tuple(
            replace(body, data=data) if isinstance(body, Notify) and body.type is kind else body
            for body in bodies
        )

    edited(ladder, edit, INTERMEDIATE, ladder.right)


@pytest.mark.conformance("CF-W07")
def test_a_key_that_was_not_offered_is_not_used(row: Row) -> None:
    ladder = pair(row, "psk", (PREFER, (KEY, GREEN)), (PREFER, (KEY, GREEN)))
    swapped(ladder, NotifyType.PPK_IDENTITY, b"\2green")
    ladder.connect()
    ladder.wait(120)
    assert ladder.left.established == ladder.right.established == []


@pytest.mark.conformance("CF-W07")
def test_a_key_exchange_that_was_not_agreed_on_is_refused(row: Row) -> None:
    """RFC 9242 §5: no exchange at the initiator's discretion."""
    ladder = pair(row, "psk", (PREFER, (KEY,)), (PREFER, (KEY,)))
    more = KeyExchange(KeMethod.ML_KEM_768, bytes(1184))
    edited(ladder, lambda bodies: (more, *bodies), INTERMEDIATE, ladder.left)
    ladder.connect()
    assert "INVALID_SYNTAX" in ladder.right.said[-1]


@pytest.mark.conformance("CF-W07")
def test_names_are_tried_up_to_a_limit(row: Row) -> None:
    """Each costs a computation for somebody who has proven nothing (I5)."""
    ladder = pair(row, "psk", (PREFER, (KEY,)), (PREFER, (KEY,)))
    wrong = Notify(NotifyType.PPK_IDENTITY_KEY, b"\2blue" + bytes(8))
    many = (wrong,) * ppk_intermediate.NAMES_MOST
    edited(ladder, lambda bodies: (*many, *bodies), INTERMEDIATE, ladder.left)
    ladder.connect()
    assert "PPK_IDENTITY" not in ladder.right.said[1]


@pytest.mark.conformance("CF-W07")
@pytest.mark.parametrize("data", [b"", b"\2", b"\2short", b"\1blue" + bytes(8)])
def test_names_that_cannot_be_read_name_nothing(row: Row, data: bytes) -> None:
    ladder = pair(row, "psk", (PREFER, (KEY,)), (PREFER, (KEY,)))
    bad = Notify(NotifyType.PPK_IDENTITY_KEY, data)
    edited(ladder, lambda _: (bad,), INTERMEDIATE, ladder.left)
    ladder.connect()
    assert "PPK_IDENTITY" not in ladder.right.said[1]


@pytest.mark.conformance("CF-W07")
@pytest.mark.parametrize("begin", [rekey_ike, rekey_child])
def test_rekeys_go_on_from_there(row: Row, begin: object) -> None:
    ladder = pair(row, "psk", (REQUIRE, (KEY,)), (REQUIRE, (KEY,)))
    ladder.connect()
    for by in (ladder.left, ladder.right):
        begin(ladder, by)  # type: ignore[operator]
        ladder.wait(90)
        agree(ladder)
    assert name_in(ladder.left) == b"blue"
