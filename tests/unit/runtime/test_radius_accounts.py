# SPDX-License-Identifier: Apache-2.0
"""Accounts of sessions that RADIUS has let in (RFC 2866), their limits, and orders (RFC 5176)."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from ipaddress import ip_address

import pytest

from ikeway.auth.radius.access import Grant
from ikeway.auth.radius.orders import Change, Disconnect, Which
from ikeway.auth.radius.packet import Attribute, Packet
from ikeway.auth.radius.registry import AcctStatus, AttributeType, Code, TerminateCause
from ikeway.auth.radius.visit import Visit
from ikeway.ike.io import Report
from ikeway.ike.reports import ChildEstablished, Closed, Established, Rekeyed
from ikeway.model.address import Endpoint
from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa, Encapsulation, EspKeys, EspSuite, Mode, Usage
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.runtime.radius import RadiusSilenceError
from ikeway.runtime.radius_accounts import RadiusAccounts
from ikeway.runtime.radius_teller import RadiusTeller

SA, NEXT = b"11111111", b"22222222"
PEER = Endpoint(ip_address("198.51.100.7"), 4500)
VISIT = Visit("vpn", "session", "staff", ip_address("192.0.2.1"), PEER.address, PEER.port)
ID = Identity.parse("alice")
PLAIN = Grant(b"", None)
UP = Established("staff", ID, ID, PEER, "suite", (ip_address("10.66.0.9"),), False)


CHILD = ChildSa(
    spi_in=0,
    spi_out=1,
    local=Endpoint(VISIT.local, 4500),
    peer=PEER,
    mode=Mode.TUNNEL,
    encapsulation=Encapsulation.UDP,
    suite=EspSuite(20, 128, 0, esn=False),
    keys_in=EspKeys(Secret(bytes(20)), Secret(b"")),
    keys_out=EspKeys(Secret(bytes(20)), Secret(b"")),
    local_ts=(),
    peer_ts=(),
)


@dataclass
class Plane:
    """Counts what a test says that went through each Child SA."""

    usages: dict[int, Usage] = field(default_factory=dict)

    async def usage(self, spi_in: int) -> Usage:
        if spi_in not in self.usages:
            raise HostError("no such pair")
        return self.usages[spi_in]


class Teller:
    """Keeps what would be told."""

    def __init__(self) -> None:
        self.told: list[Packet] = []

    def say(self, attributes: tuple[Attribute, ...]) -> None:
        self.told.append(Packet(Code.ACCOUNTING_REQUEST, 0, bytes(16), attributes))

    def status(self) -> list[int | None]:
        return [one.number(AttributeType.ACCT_STATUS_TYPE) for one in self.told]


@dataclass
class Office:
    """Accounts, and which IKE SAs they ended."""

    ended: list[tuple[bytes, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.plane, self.teller = Plane(), Teller()
        self.over = asyncio.Event()
        self.accounts = RadiusAccounts(self.teller, self.plane, self.end)  # type: ignore[arg-type]

    def end(self, sa: bytes, reason: str) -> None:
        self.ended.append((sa, reason))
        self.over.set()

    def open(self, grant: Grant = PLAIN) -> None:
        self.accounts.granted(SA, VISIT, b"alice", grant)
        self.accounts.heard(Report(SA, UP))

    def child(self, spi_in: int, usage: Usage, sa: bytes = SA) -> None:
        self.plane.usages[spi_in] = usage
        child = replace(CHILD, spi_in=spi_in)
        self.accounts.heard(Report(sa, ChildEstablished("staff", child, "suite")))

    async def settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)


def run(work: Callable[[Office], Awaitable[None]]) -> Office:
    async def whole() -> Office:
        office = Office()
        await work(office)
        await office.settle()
        return office

    return asyncio.run(whole())


def test_an_account_closes_with_what_went_through_every_child_sa() -> None:
    """Of those that were rekeyed too; the last one is removed after the IKE SA is closed."""

    async def work(office: Office) -> None:
        office.open()
        office.child(1, Usage(1, 10, 2, 20))
        office.child(2, Usage(100, 1000, 200, 2000))
        await office.accounts.leaving(1)
        office.accounts.heard(Report(SA, Rekeyed("staff", NEXT, "suite")))
        office.child(3, Usage(1, 1, 1, 1), NEXT)
        office.accounts.heard(Report(NEXT, Closed("staff", "bye", is_failure=False)))
        await office.settle()
        assert office.teller.status() == [AcctStatus.START]
        await office.accounts.leaving(2)
        await office.accounts.leaving(3)

    office = run(work)
    start, stop = office.teller.told
    assert office.teller.status() == [AcctStatus.START, AcctStatus.STOP]
    assert start.address(AttributeType.FRAMED_IP_ADDRESS) == ip_address("10.66.0.9")
    assert stop.number(AttributeType.ACCT_INPUT_OCTETS) == 1011
    assert stop.number(AttributeType.ACCT_OUTPUT_PACKETS) == 203
    assert stop.number(AttributeType.ACCT_TERMINATE_CAUSE) == TerminateCause.USER_REQUEST
    assert len(office.accounts) == 0


def test_who_is_let_in_but_never_established_has_no_account() -> None:
    async def work(office: Office) -> None:
        office.accounts.granted(SA, VISIT, b"alice", Grant(b"", None))
        office.accounts.heard(Report(SA, Closed("staff", "no AUTH", is_failure=True)))

    office = run(work)
    assert not office.teller.told
    assert len(office.accounts) == 0


def test_sas_that_radius_has_nothing_to_do_with_are_nobodys_account() -> None:
    async def work(office: Office) -> None:
        office.accounts.heard(Report(SA, UP))
        office.child(1, Usage())
        await office.accounts.leaving(1)

    assert not run(work).teller.told


@pytest.mark.parametrize(
    ("which", "found"),
    [
        (Which(user=b"alice"), 1),
        (Which(user=b"bob"), 0),
        (Which(session="session", address=ip_address("10.66.0.9")), 1),
        (Which(session="session", address=ip_address("10.66.0.8")), 0),
        (Which(calling_station="198.51.100.7[4500]"), 1),
        (Which(connection="other"), 0),
    ],
)
def test_an_order_ends_the_sessions_that_it_names(which: Which, found: int) -> None:
    async def work(office: Office) -> None:
        office.open()
        assert office.accounts.obey(Disconnect(which)) == found

    office = run(work)
    assert office.ended == [(SA, "RADIUS has ordered so")] * found


def test_a_session_ends_when_its_time_is_over_or_it_is_idle(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("ikeway.runtime.radius_accounts._IDLE_LOOKS", 100)

    async def work(office: Office) -> None:
        office.open(Grant(b"", None, idle_timeout=1))
        office.child(1, Usage(1, 1, 1, 1))
        loop = asyncio.get_running_loop()
        begun = loop.time()
        await office.over.wait()
        assert loop.time() - begun >= 1.0
        office.ended.clear()
        office.accounts.obey(Change(Which(user=b"alice"), session_timeout=0, idle_timeout=None))
        await asyncio.sleep(0.01)
        await office.accounts.close()

    office = run(work)
    assert office.ended[0] == (SA, "its time is over (RADIUS)")


def test_the_end_of_the_daemon_closes_every_account() -> None:
    async def work(office: Office) -> None:
        office.open()
        await office.accounts.close()

    stop = run(work).teller.told[-1]
    assert stop.number(AttributeType.ACCT_TERMINATE_CAUSE) == TerminateCause.NAS_REQUEST


def test_what_no_server_has_taken_is_told_again_with_its_delay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 2866 §5.2."""
    monkeypatch.setattr("ikeway.runtime.radius_teller.RETRY", 1.0)
    told: list[Packet] = []
    lines: list[str] = []
    heard = asyncio.Event()

    class Client:
        async def ask(self, _: Code, attributes: tuple[Attribute, ...]) -> None:
            told.append(Packet(Code.ACCOUNTING_REQUEST, 0, bytes(16), attributes))
            if len(told) == 2:
                heard.set()
            if len(told) == 1:
                raise RadiusSilenceError("no RADIUS server answers")

        def close(self) -> None:
            pass

    async def work() -> None:
        teller = RadiusTeller(Client(), "vpn", "boot", lines.append)  # type: ignore[arg-type]
        teller.begin()
        await heard.wait()
        await teller.close()

    asyncio.run(work())
    assert told[0].number(AttributeType.ACCT_DELAY_TIME) is None
    assert told[1].number(AttributeType.ACCT_DELAY_TIME) == 1
    assert told[2].number(AttributeType.ACCT_STATUS_TYPE) == AcctStatus.ACCOUNTING_OFF
    assert lines == ["no RADIUS server answers; accounting is told again in 1 s"]
