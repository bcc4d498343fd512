# SPDX-License-Identifier: Apache-2.0
"""Rules of faults: what they strike, what becomes of it, and how they stand in a file."""

from ipaddress import ip_address
from pathlib import Path

import pytest

from ikeway.ike.io import Answered, Datagram, Forget, InstallChild, Send
from ikeway.ike.questions import Installed, Leased, Refused, Ticket
from ikeway.model.address import Endpoint
from ikeway.model.errors import ConfigError
from ikeway.runtime.faults import Due, Effect, Fault, Faults, Kind, Place, load, parse
from ikeway.wire.message import Flags, Message
from ikeway.wire.payloads import Nonce
from ikeway.wire.registry import ExchangeType
from support.hosts import GCM

HERE, THERE = (Endpoint(ip_address(f"192.0.2.{last}"), 500) for last in (1, 2))


def octets(exchange: ExchangeType, flags: Flags = Flags.INITIATOR) -> bytes:
    return Message.build(bytes(8), bytes(8), exchange, flags, 0, (Nonce(bytes(32)),)).encode()


INIT = Send(HERE, THERE, octets(ExchangeType.IKE_SA_INIT))
AUTH = Send(HERE, THERE, octets(ExchangeType.IKE_AUTH))
ANSWER = Datagram(HERE, THERE, octets(ExchangeType.IKE_AUTH, Flags.RESPONSE))
LEASE = Answered(Ticket(b"sa", b"branch", "lease"), Leased(()))


def faults(*rules: Fault) -> tuple[Faults, list[str]]:
    said: list[str] = []
    return Faults(rules, said.append), said


def install() -> InstallChild:
    ladder = GCM.psk()
    ladder.connect()
    return ladder.left.installs[0]


def test_without_rules_everything_passes_at_once() -> None:
    clean, said = faults()
    things = (INIT, Forget(b"sa"))
    assert [clean.leaving(thing) for thing in things] == [(Due(0.0, thing),) for thing in things]
    assert [clean.entering(event) for event in (ANSWER, LEASE)] == [
        (Due(0.0, ANSWER),),
        (Due(0.0, LEASE),),
    ]
    assert not said


def test_the_nth_message_of_an_exchange_is_lost_and_the_log_says_so() -> None:
    struck, said = faults(Fault(Place.SENT, Effect.DROP, ExchangeType.IKE_AUTH, nth=2))
    sent = [AUTH, INIT, AUTH, AUTH]
    assert [len(struck.leaving(one)) for one in sent] == [1, 1, 0, 1]
    assert said == ["FAULT sent drop: Send"]


def test_a_rule_of_count_0_strikes_for_ever() -> None:
    struck, _ = faults(Fault(Place.SENT, Effect.DROP, nth=2, count=0))
    assert [len(struck.leaving(INIT)) for _ in range(5)] == [1, 0, 0, 0, 0]
    assert struck.rules


def test_requests_and_responses_are_told_apart() -> None:
    struck, _ = faults(Fault(Place.RECEIVED, Effect.DROP, kind=Kind.RESPONSE, count=0))
    request = Datagram(HERE, THERE, INIT.octets)
    assert [len(struck.entering(one)) for one in (request, ANSWER)] == [1, 0]


def test_a_message_is_delayed_doubled_or_corrupted() -> None:
    for effect, expected in (
        (Effect.DELAY, (Due(3.0, INIT),)),
        (Effect.DUPLICATE, (Due(0.0, INIT), Due(3.0, INIT))),
    ):
        struck, _ = faults(Fault(Place.SENT, effect, seconds=3.0))
        assert struck.leaving(INIT) == expected
    struck, _ = faults(Fault(Place.SENT, Effect.CORRUPT, octet=3))
    ((_, changed),) = [(due.wait, due.what) for due in struck.leaving(INIT)]
    assert isinstance(changed, Send)
    assert [a ^ b for a, b in zip(changed.octets, INIT.octets, strict=True)].count(1) == 1
    assert changed.octets[3] != INIT.octets[3]


def test_an_install_is_refused() -> None:
    struck, _ = faults(Fault(Place.INSTALL, Effect.REFUSE))
    action = install()
    ((_, answer),) = [(due.wait, due.what) for due in struck.leaving(action)]
    assert isinstance(answer, Answered)
    assert answer.ticket == action.ticket
    assert isinstance(answer.answer, Refused)
    assert struck.leaving(action) == (Due(0.0, action),)


def test_an_answer_to_a_question_of_one_kind_is_lost() -> None:
    struck, _ = faults(Fault(Place.ANSWER, Effect.DROP, purpose="lease"))
    installed = Answered(Ticket(b"sa", b"branch", "install-00000100"), Installed())
    assert struck.entering(installed) == (Due(0.0, installed),)
    assert struck.entering(LEASE) == ()


def test_octets_that_are_no_message_match_nothing() -> None:
    struck, said = faults(Fault(Place.RECEIVED, Effect.DROP, count=0))
    noise = Datagram(HERE, THERE, b"noise")
    assert struck.entering(noise) == (Due(0.0, noise),)
    assert not said


def test_rules_that_are_used_up_or_dropped_are_no_rules() -> None:
    struck, _ = faults()
    struck.add(Fault(Place.SENT, Effect.DROP))
    assert struck.rules
    struck.leaving(INIT)
    assert not struck.rules
    struck.add(Fault(Place.SENT, Effect.DROP))
    struck.clear()
    assert struck.leaving(INIT) == (Due(0.0, INIT),)


def test_rules_stand_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "faults.toml"
    path.write_text(
        '[[fault]]\nplace = "sent"\neffect = "drop"\nexchange = "IKE_AUTH"\nkind = "response"\n'
        '[[fault]]\nplace = "install"\neffect = "refuse"\nnth = 2\ncount = 0\n'
    )
    assert load(path) == (
        Fault(Place.SENT, Effect.DROP, ExchangeType.IKE_AUTH, Kind.RESPONSE),
        Fault(Place.INSTALL, Effect.REFUSE, nth=2, count=0),
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[fault", "faults: "),
        ('[[fault]]\nwhere = "sent"', "'where' is not known; allowed are place, effect"),
        ('[[fault]]\nplace = "sent"\neffect = "explode"', "explode"),
        ('[[fault]]\nplace = "sent"\neffect = "drop"\nexchange = "IKE_PARTY"', "IKE_PARTY"),
        ('[[fault]]\nplace = "sent"', "effect"),
    ],
)
def test_a_rule_that_cannot_be_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(text)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load(tmp_path / "faults.toml")
