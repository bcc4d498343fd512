# SPDX-License-Identifier: Apache-2.0
"""Every stage of a handshake, ready for the message that comes next, or for another one instead."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random

from ikeway.ike.io import Action, Datagram, Send
from ikeway.ike.sa import IkeSa
from ikeway.ike.states import AwaitAuthRequest, AwaitInitResponse, Candidates, State
from ikeway.model.esp import ChildSa
from ikeway.runtime.leases import Leases
from ikeway.wire.registry import ExchangeType
from support.hosts import CLIENT, GATEWAY, POOL, Row
from support.ladder import Ladder
from support.shell import Host

STAGES = (
    "IKE_SA_INIT request",
    "IKE_SA_INIT response",
    "IKE_AUTH request",
    "IKE_AUTH response",
    "INFORMATIONAL request",
    "INFORMATIONAL response",
)
HEADS = {
    "IKE_AUTH request": (ExchangeType.IKE_AUTH, False),
    "IKE_AUTH response": (ExchangeType.IKE_AUTH, True),
    "INFORMATIONAL request": (ExchangeType.INFORMATIONAL, False),
    "INFORMATIONAL response": (ExchangeType.INFORMATIONAL, True),
}
"""Exchange, and whether it is a response, of the stages that keys protect."""

WAYS: dict[str, Callable[[Row], Ladder]] = {
    "psk": lambda row: row.psk(CLIENT, GATEWAY, pools={"staff": POOL}),
    "certificate": lambda row: row.certificates(CLIENT, GATEWAY, pools={"staff": POOL}),
}


@dataclass(frozen=True)
class Stage:
    """A host, the message that it waits for, and everything that the message could change."""

    name: str
    ladder: Ladder
    host: Host
    genuine: Datagram
    sas: dict[bytes, IkeSa]
    states: dict[bytes, State]
    installed: dict[int, ChildSa]
    timers: dict[bytes, float]

    def receive(self, octets: bytes) -> tuple[Action, ...]:
        """Give the host other octets from the same source; no action is performed."""
        return self.host.endpoint.receive(replace(self.genuine, octets=octets), self.ladder.now)

    @property
    def changes(self) -> dict[bytes, State]:
        """The states of IKE SAs that are not what they were, by our SPI."""
        return {
            spi: sa.state
            for spi, sa in self.host.endpoint._sas.items()
            if spi not in self.states or not _same(sa.state, self.states[spi])
        }

    @property
    def is_unchanged(self) -> bool:
        """Whether every IKE SA is there, as it was, and no other."""
        return self.host.endpoint._sas.keys() == self.states.keys() and not self.changes

    def restore(self) -> None:
        """Bring everything back to where it was."""
        endpoint = self.host.endpoint
        for spi in endpoint._sas.keys() - self.states.keys():
            endpoint._half_open.forget(spi)
        endpoint._sas = dict(self.sas)
        for spi, state in self.states.items():
            endpoint._sas[spi]._state = state
        self.host.installed, self.host.timers = dict(self.installed), dict(self.timers)
        self.host.leases = Leases({"staff": POOL})
        for record in (self.host.events, self.host.asked, self.host.installs, self.host.forgotten):
            record.clear()
        del self.ladder.sent[10:]


def _same(one: State, two: State) -> bool:
    return one is two or one == two


def stage(row: Row, way: str, name: str) -> Stage:
    """Return a stage: all messages before `name` have been delivered."""
    ladder = WAYS[way](row)
    ladder.initiate()
    for _ in range(min(STAGES.index(name), 4)):
        ladder.deliver(*ladder.wire.popleft())
    if STAGES.index(name) >= 4:
        ladder.check_liveness(ladder.left)
    if STAGES.index(name) == 5:
        ladder.deliver(*ladder.wire.popleft())
    host, genuine = ladder.wire.popleft()
    sas = dict(host.endpoint._sas)
    states = {spi: sa.state for spi, sa in sas.items()}
    return Stage(name, ladder, host, genuine, sas, states, dict(host.installed), dict(host.timers))


def sent_octets(actions: tuple[Action, ...]) -> int:
    """Return how much the actions would put on the wire."""
    return sum(len(action.octets) for action in actions if isinstance(action, Send))


# Other octets -------------------------------------------------------------------------------------


def prefixes(octets: bytes) -> Iterator[bytes]:
    """Every prefix as it is, and with the length in its header made to fit."""
    for end in range(len(octets)):
        yield octets[:end]
        if end >= 28:
            yield fitted(octets[:end])


def fitted(octets: bytes) -> bytes:
    """Return octets with a header that tells their true length."""
    return octets[:24] + len(octets).to_bytes(4) + octets[28:]


def flips(octets: bytes) -> Iterator[bytes]:
    """Every single bit the other way round."""
    for at in range(len(octets)):
        for bit in range(8):
            yield octets[:at] + bytes([octets[at] ^ 1 << bit]) + octets[at + 1 :]


def mutations(octets: bytes, count: int, seed: int) -> Iterator[bytes]:
    """Random mutations; the same seed gives the same ones."""
    random = Random(seed)
    for _ in range(count):
        made = bytearray(octets)
        for _ in range(random.choice((1, 1, 2, 4, 16))):
            _mutate(made, random)
        yield fitted(bytes(made)) if random.random() < 0.8 and len(made) >= 28 else bytes(made)


def _mutate(made: bytearray, random: Random) -> None:
    at = random.randrange(len(made) or 1)
    match random.randrange(6):
        case 0 if made:
            made[at % len(made)] = random.choice((0, 1, 0x7F, 0x80, 0xFF))
        case 1 if made:
            made[at % len(made)] = random.randrange(256)
        case 2:
            made[at:at] = random.randbytes(random.randrange(1, 40))
        case 3:
            del made[at : at + random.randrange(1, 40)]
        case 4:
            made[at : at + 2] = random.choice((b"\0\0", b"\0\4", b"\0\7", b"\xff\xff"))
        case _:
            here = random.randrange(len(made) or 1)
            made[at:at] = made[here : here + random.randrange(1, 60)]


# What strangers may cause -------------------------------------------------------------------------


def attack(at: Stage, attempts: Iterator[bytes]) -> None:
    """Check what each of the octets does, and undo it."""
    for octets in attempts:
        if octets == at.genuine.octets:
            continue
        check(at, octets, at.receive(octets))


def check(at: Stage, octets: bytes, actions: tuple[Action, ...]) -> None:
    """Check that octets of a stranger changed no more than the protocol needs."""
    if at.name == "IKE_SA_INIT request":
        assert set(at.host.endpoint._sas) >= set(at.states)
        assert all(isinstance(state, AwaitAuthRequest) for state in at.changes.values())
        assert sent_octets(actions) <= 2 * len(octets)
    elif at.name == "IKE_SA_INIT response":
        assert set(at.host.endpoint._sas) >= set(at.states)
        assert all(is_still_asking(state) for state in at.changes.values())
    else:
        assert sent_octets(actions) <= len(octets)
        new = at.changes.keys() - at.states.keys()
        assert at.changes.keys() == new, "no SA that was there may change"
    at.restore()
    assert at.is_unchanged


def is_still_asking(state: object) -> bool:
    """Whether the answer of the real peer can still come."""
    return isinstance(state, AwaitInitResponse | Candidates | AwaitAuthRequest)
