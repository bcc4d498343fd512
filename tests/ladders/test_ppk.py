# SPDX-License-Identifier: Apache-2.0
"""RFC 8784: postquantum preshared keys, required or preferred, by every row of its table."""

from dataclasses import replace

import pytest

from ikeway.ike.features import ppk as feature
from ikeway.policy.connection import UsePpk
from ikeway.policy.credentials import Ppk
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType
from support.agreement import agree
from support.crossing import rekey_child, rekey_ike
from support.forge import edited, rewritten, session_of
from support.hosts import GCM, Row
from support.ppk import GREEN, INSISTENT, KEY, OFF, OTHER, PREFER, REQUIRE, name_in, pair

AUTH = ExchangeType.IKE_AUTH
pytestmark = pytest.mark.usefixtures("rfc8784_alone")
WAYS = pytest.mark.parametrize("auth", ["psk", "certificates"])


@pytest.fixture
def rfc8784_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither side knows of RFC 9867."""
    announced = feature.announce
    monkeypatch.setattr(feature, "announce", lambda context: announced(context)[1:])


@pytest.mark.conformance("CF-W07")
@WAYS
@pytest.mark.parametrize("left", [PREFER, REQUIRE])
@pytest.mark.parametrize("right", [PREFER, REQUIRE])
def test_a_key_that_both_have_is_in_sk_d_and_in_both_proofs(
    row: Row, auth: str, left: UsePpk, right: UsePpk
) -> None:
    """§3: "SK_d = prf+ (PPK, SK_d')", and so SK_pi and SK_pr; "Use PPK" in table 1."""
    ladder = pair(row, auth, (left, (KEY,)), (right, (GREEN, KEY)))
    ladder.connect()
    agree(ladder)
    assert name_in(ladder.left) == name_in(ladder.right) == b"blue"
    assert ladder.left.said[1].count("NO_PPK_AUTH") == (left is PREFER)
    assert "PPK_IDENTITY" in ladder.right.said[1]


@pytest.mark.conformance("CF-W07")
def test_the_keys_are_those_of_the_rfc() -> None:
    ladder = pair(GCM, "psk", (REQUIRE, (KEY,)), (REQUIRE, (KEY,)))
    ladder.connect()
    keyring = session_of(ladder.left).keyring
    again, prf = keyring.with_ppk(KEY.secret).keys, keyring.prf
    assert again.sk_d.octets == prf.compute(KEY.secret.octets, keyring.keys.sk_d.octets + b"\1")
    assert again.sk_pi.octets == prf.compute(KEY.secret.octets, keyring.keys.sk_pi.octets + b"\1")
    assert (again.sk_ei, again.sk_ar) == (keyring.keys.sk_ei, keyring.keys.sk_ar)


@pytest.mark.conformance("CF-W07")
@WAYS
@pytest.mark.parametrize(
    ("left", "right"),
    [
        ((PREFER, (KEY,)), (OFF, ())),
        ((OFF, ()), (PREFER, (KEY,))),
        ((PREFER, (KEY,)), (PREFER, (GREEN,))),
        ((OFF, ()), (OFF, ())),
    ],
)
def test_where_nobody_insists_it_goes_without(
    row: Row,
    auth: str,
    left: tuple[UsePpk, tuple[Ppk, ...]],
    right: tuple[UsePpk, tuple[Ppk, ...]],
) -> None:
    """§3, table 1: "Standard IKEv2 protocol", with the AUTH of NO_PPK_AUTH."""
    ladder = pair(row, auth, left, right)
    ladder.connect()
    agree(ladder)
    assert name_in(ladder.left) is name_in(ladder.right) is None


@pytest.mark.conformance("CF-W07")
@WAYS
@pytest.mark.parametrize(("left", "right"), [*INSISTENT, ((PREFER, (KEY,)), (PREFER, (OTHER,)))])
def test_where_somebody_insists_or_the_keys_differ_nothing_comes_of_it(
    row: Row,
    auth: str,
    left: tuple[UsePpk, tuple[Ppk, ...]],
    right: tuple[UsePpk, tuple[Ppk, ...]],
) -> None:
    """§3, table 1: "Abort negotiation"."""
    ladder = pair(row, auth, left, right)
    ladder.connect()
    ladder.wait(120)
    assert ladder.left.states == ladder.right.states == []
    assert not ladder.left.installed
    assert not ladder.right.installed


@pytest.mark.conformance("CF-W07")
@pytest.mark.parametrize("begin", [rekey_ike, rekey_child])
def test_a_rekey_does_not_mix_it_in_again(row: Row, begin: object) -> None:
    """§3: "It MUST NOT be used when these subkeys are calculated as result of IKE SA rekey"."""
    ladder = pair(row, "psk", (REQUIRE, (KEY,)), (REQUIRE, (KEY,)))
    ladder.connect()
    for by in (ladder.left, ladder.right):
        begin(ladder, by)  # type: ignore[operator]
        ladder.wait(90)
        agree(ladder)
    assert name_in(ladder.left) == b"blue"


@pytest.mark.conformance("CF-W07")
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_man_in_the_middle_cannot_take_it_out(row: Row, side: str) -> None:
    """§6: without USE_PPK on the way AUTH fails, since it covers IKE_SA_INIT."""
    ladder = pair(row, "psk", (PREFER, (KEY,)), (PREFER, (KEY,)))

    def without(message: Message) -> Message:
        kept = (
            body
            for body in message.payloads
            if not (isinstance(body, Notify) and body.type is NotifyType.USE_PPK)
        )
        return replace(message, payloads=tuple(kept))

    rewritten(ladder, without, getattr(ladder, side))
    ladder.connect()
    ladder.wait(120)
    assert ladder.left.established == ladder.right.established == []


@pytest.mark.conformance("CF-W07")
@pytest.mark.parametrize("kept", [(), (NotifyType.NO_PPK_AUTH,)])
def test_who_promised_a_key_has_to_name_it(row: Row, kept: tuple[NotifyType, ...]) -> None:
    """§3: "If no PPK_IDENTITY notification is found ... AUTHENTICATION_FAILED"."""
    ladder = pair(row, "psk", (PREFER, (KEY,)), (PREFER, (KEY,)))
    gone = {NotifyType.PPK_IDENTITY, NotifyType.NO_PPK_AUTH} - set(kept)
    edited(
        ladder,
        lambda bodies: tuple(b for b in bodies if not (isinstance(b, Notify) and b.type in gone)),
        AUTH,
        ladder.left,
    )
    ladder.connect()
    assert "AUTHENTICATION_FAILED" in ladder.right.said[-1]


@pytest.mark.conformance("CF-W07")
def test_an_answer_that_leaves_it_out_fails_where_it_is_required(row: Row) -> None:
    """§3: "MUST ... fail the IKE SA negotiation" where the PPK was mandatory."""
    ladder = pair(row, "psk", (REQUIRE, (KEY,)), (PREFER, (KEY,)))
    kind = NotifyType.PPK_IDENTITY
    edited(
        ladder,
        lambda bodies: tuple(b for b in bodies if not (isinstance(b, Notify) and b.type is kind)),
        AUTH,
        ladder.right,
    )
    ladder.connect()
    ladder.wait(120)
    assert ladder.left.established == ladder.right.established == []


def test_keys_are_changed_one_side_after_the_other(row: Row) -> None:
    """A responder takes any key that it has, so the initiators follow one by one."""
    for name in ("blue", "green"):
        ladder = pair(row, "psk", (REQUIRE, (KEY, GREEN)), (REQUIRE, (KEY, GREEN)), name)
        ladder.connect()
        agree(ladder)
        assert name_in(ladder.right) == name.encode()
