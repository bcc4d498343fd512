# SPDX-License-Identifier: Apache-2.0
"""A journal of inputs replays to the same octets, also after it was written down."""

from collections.abc import Callable

import pytest

from ikeway.ike.io import Action, Ask, InstallChild, Send, SendAway, Spent
from ikeway.ike.journal import Entry, Journal, RecordingEndpoint, replay
from ikeway.ike.journal_lines import entry_line, read, seed_line
from ikeway.ike.questions import Refused
from ikeway.model.errors import UsageError
from ikeway.model.esp import Usage
from ikeway.model.secret import Secret
from ikeway.policy.connection import Proof
from support.eap_hosts import eap
from support.hosts import CBC, GCM, Row
from support.ladder import Ladder
from support.stages import WAYS

SEED = Secret(bytes(range(32)))
Story = Callable[[Ladder], None]


def record(ladder: Ladder, side: str) -> tuple[list[Entry], list[Action]]:
    """Let one host keep a journal, and return it with what the host does."""
    host = getattr(ladder, side)
    entries: list[Entry] = []
    performed: list[Action] = []
    host.endpoint = RecordingEndpoint(host.endpoint.env, SEED, entries.append)
    perform = ladder.perform

    def watch(who: object, actions: tuple[Action, ...]) -> None:
        if who is host:
            performed.extend(actions)
        perform(who, actions)  # type: ignore[arg-type]

    ladder.perform = watch  # type: ignore[method-assign]
    return entries, performed


def a_day(ladder: Ladder) -> None:
    """Set up, live, lose datagrams, be asked, and end."""
    ladder.connect()
    ladder.left.usage = Usage(packets_in=3)
    ladder.wait(100)
    ladder.check_liveness(ladder.right)
    ladder.settle()
    for away in (SendAway("vpn2.example.com", 50.0), SendAway(None)):
        for host in (ladder.left, ladder.right):
            (sa,) = host.endpoint.sas
            ladder.perform(host, host.endpoint.handle(sa.spi, away, ladder.now))
            ladder.settle()
    for host in (ladder.left, ladder.right):
        spent = Spent(host.child.spi_in, is_over=False)
        ladder.perform(host, host.endpoint.of_child(spent, ladder.now))
        ladder.settle()
    ladder.fate = lambda _host, _datagram: []
    ladder.check_liveness(ladder.left)
    ladder.wait(3)
    ladder.fate = lambda _host, datagram: [datagram] * 2
    ladder.wait(10)
    ladder.disconnect(ladder.left)
    ladder.wait(60)


def a_refusal(ladder: Ladder) -> None:
    """A data plane that refuses, and a peer that goes away."""
    ladder.left.refuse_install = "no room"
    ladder.connect()
    ladder.disconnect(ladder.right)
    ladder.wait(60)


def rubbish(ladder: Ladder) -> None:
    """Datagrams of strangers."""
    ladder.initiate()
    for octets in (b"", bytes(28), bytes(2000), ladder.sent[0][1].octets[:-1]):
        ladder.arrive(ladder.left, octets)
        ladder.arrive(ladder.right, octets)
    ladder.wait(60)


@pytest.mark.parametrize("story", [a_day, a_refusal, rubbish])
@pytest.mark.parametrize("way", [*WAYS, "eap"])
@pytest.mark.parametrize("row", [GCM, CBC], ids=str)
@pytest.mark.parametrize("side", ["left", "right"])
def test_a_journal_replays_to_the_same_octets(row: Row, way: str, story: Story, side: str) -> None:
    ladder = WAYS.get(way, eap)(row)
    entries, performed = record(ladder, side)
    story(ladder)
    env = getattr(ladder, side).endpoint.env
    connections = {one.name: one for one in env.connections}
    lines = [seed_line(SEED), *map(entry_line, entries)]
    for journal in (Journal(SEED, tuple(entries)), read(lines, connections)):
        again = [action for _, actions in replay(journal, env) for action in actions]
        assert [one for one in again if isinstance(one, Send)] == [
            one for one in performed if isinstance(one, Send)
        ]
        assert sorted(map(repr, again)) == sorted(map(repr, performed))
    assert any(isinstance(one, Send) for one in performed)


@pytest.mark.parametrize("is_right", [True, False])
def test_every_kind_of_input_survives_being_written_down(is_right: bool) -> None:
    proof = Proof.EAP_MSCHAPV2 if is_right else Proof.EAP_MD5
    ladder = eap(GCM, proof, password="correct horse" if is_right else "wrong")
    left, _ = record(ladder, "left")
    right, _ = record(ladder, "right")
    if is_right:
        a_day(ladder)
        asked = next(one for one in ladder.left.installs if isinstance(one, Ask | InstallChild))
        ladder.give(ladder.left, asked, Refused("whatever"))
    else:
        ladder.connect()
        ladder.wait(60)
    connections = {
        one.name: one
        for host in (ladder.left, ladder.right)
        for one in host.endpoint.env.connections
    }
    for entries in (left, right):
        lines = [seed_line(SEED), "", *map(entry_line, entries)]
        assert read(lines, connections) == Journal(SEED, tuple(entries))


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["{}"],
        ['{"seed": "no hex"}'],
        ['{"seed": ""}', '{"at": 1}'],
        ['{"seed": ""}', '{"at": 1, "initiate": "nobody", "local": ["::", 1], "peer": ["::", 1]}'],
        ['{"seed": ""}', "[]"],
        ["not even JSON"],
    ],
)
def test_what_is_no_journal_is_refused(lines: list[str]) -> None:
    with pytest.raises(UsageError):
        read(lines, {})


def test_a_journal_shows_its_seed_only_where_it_is_written_down() -> None:
    assert SEED.octets.hex() not in repr(Journal(SEED, ()))
    assert SEED.octets.hex() in seed_line(SEED)
