# SPDX-License-Identifier: Apache-2.0
"""The data plane that is the Linux kernel: XFRM SAs, policies and an interface (RFC 4301, 3948).

Sequence numbers stay with the kernel. An SA whose addresses change is made anew from where it was
and jumps ahead, so that no number is used twice (I7).
"""

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from typing import Final, Self

from typing_extensions import override

from ikeway.dataplane.port import DataPlane, PlaneConfig, PlaneEvent
from ikeway.dataplane.sockets import bind, close
from ikeway.dataplane.xfrm import compression, interface, messages
from ikeway.dataplane.xfrm.channel import Channel, KernelRefusedError
from ikeway.dataplane.xfrm.compression import compressions
from ikeway.dataplane.xfrm.flows import Flow
from ikeway.dataplane.xfrm.governing import PlainPolicy, is_ours, plain_policies
from ikeway.dataplane.xfrm.messages import Direction, Found, FoundPolicy, Kind, Sa
from ikeway.dataplane.xfrm.policies import Claim, Generation, Policies
from ikeway.dataplane.xfrm.sas import sas
from ikeway.dataplane.xfrm.told import Told
from ikeway.model.address import Endpoint
from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa, Encapsulation, Usage
from ikeway.model.policies import TrafficPolicy
from ikeway.model.selectors import Selectors

_UDP_ENCAP: Final = 100
_ESP_IN_UDP: Final = 2
_JUMP: Final = 1 << 16
"""More packets than leave between the reading of an SA and its end."""
_LOOK_SECONDS: Final = 0.005
_LOOKS: Final = 1000
"""How many SAs are looked at in a second, but for the last of many."""


class XfrmDataPlane(DataPlane):
    """The pairs that we have given to the kernel."""

    def __init__(
        self, config: PlaneConfig, sockets: tuple[socket.socket, ...], channel: Channel
    ) -> None:
        self._config = config
        self._if_id = interface.number_of(config.tun)
        self._sockets = sockets
        self._channel = channel
        self._policies = Policies()
        self._told = Told(self._policies)
        self._installed: dict[Flow, Claim] = {}
        self._plain: tuple[PlainPolicy, ...] = ()
        self._looking: asyncio.Task[None] | None = None
        self._events: asyncio.Queue[PlaneEvent | None] = asyncio.Queue()
        self._is_closed = False

    @classmethod
    async def start(cls, config: PlaneConfig) -> Self:
        """Make the interface, and the IKE sockets with ESP in UDP for the kernel.

        Raises:
            HostError: the kernel has no IPsec, or not all of it that is asked for, or an address or
                port cannot be bound.
        """
        with ExitStack() as undo:
            sockets = bind(config)
            undo.callback(close, sockets)
            _encapsulate(sockets)
            channel = Channel()
            undo.callback(channel.close)
            plane = cls(config, sockets, channel)
            await plane.reset()
            if config.compresses:
                plane._try_to_compress()
            await asyncio.to_thread(interface.make, config.tun, config.mtu)
            channel.listen(plane._hear)
            undo.pop_all()
        return plane

    @property
    @override
    def interface(self) -> str | None:
        return self._config.tun

    @override
    def ike_sockets(self) -> tuple[socket.socket, ...]:
        return self._sockets

    @override
    async def install(self, child: ChildSa, *, standby: bool = False) -> None:
        if child.spi_in in self._policies.pairs:
            raise HostError(f"SPI {child.spi_in:#010x} is in use")
        pair = self._policies.add(child, is_standby=standby)
        made: list[Sa] = []
        try:
            for sa in (*self._sas(pair), *self._compressions(pair)):
                self._ask(Kind.NEWSA, sa.pack(), f"SPI {sa.spi:#010x}")
                made.append(sa)
            self._follow(pair.flows)
        except HostError:
            self._policies.drop(child.spi_in)
            for sa in made:
                self._forget(Kind.DELSA, sa.name)
            self._follow(pair.flows)
            raise
        if standby and (self._looking is None or self._looking.done()):
            self._looking = asyncio.create_task(self._watch())

    @override
    async def activate(self, spi_in: int) -> None:
        if self._pair(spi_in).is_standby:
            self._wake(spi_in)

    @override
    async def migrate(
        self,
        spi_in: int,
        local: Endpoint,
        peer: Endpoint,
        encapsulation: Encapsulation = Encapsulation.UDP,
    ) -> None:
        pair = self._pair(spi_in)
        before, inner = self._sas(pair), self._compressions(pair)
        moved = replace(pair.child, local=local, peer=peer, encapsulation=encapsulation)
        pair.child = moved
        into, out = zip(before, self._sas(pair), strict=True)
        self._move(*into)
        for old, new in zip(inner, self._compressions(pair), strict=True):
            self._move(old, new, is_kept=old.name != new.name)
        if out[0].name == out[1].name:
            self._move(*out, jump=_JUMP)
            self._follow(pair.flows)
        else:
            self._lead_over(pair, *out)
        for name in {old.name for old in inner} - {new.name for new in self._compressions(pair)}:
            self._forget(Kind.DELSA, name)

    @override
    async def remove(self, spi_in: int) -> Usage:
        usage = await self.usage(spi_in)
        pair = self._policies.drop(spi_in)
        self._follow(pair.flows)
        for sa in (*self._sas(pair), *self._compressions(pair)):
            self._forget(Kind.DELSA, sa.name)
            self._told.ended.pop(sa.name, None)
        self._told.forget(spi_in)
        return usage

    @override
    async def trap(self, number: int, local_ts: Selectors, peer_ts: Selectors) -> None:
        self._follow(self._policies.trap(number, local_ts, peer_ts))

    @override
    async def untrap(self, number: int) -> None:
        self._follow(self._policies.untrap(number))

    @override
    async def govern(self, policies: tuple[TrafficPolicy, ...]) -> None:
        before, self._plain = self._plain, plain_policies(policies, self._config.tun)
        for one in self._plain:
            self._ask(Kind.UPDPOLICY, one.pack(), f"a policy for {one.flow.peer}")
        kept = {one.place for one in self._plain}
        for one in before:
            if one.place not in kept:
                self._forget(Kind.DELPOLICY, one.name)

    @override
    async def usage(self, spi_in: int) -> Usage:
        pair = self._pair(spi_in)
        inbound, outbound = (self._find(sa) for sa in self._sas(pair))
        return pair.before + Usage(
            inbound.packets, inbound.octets, outbound.packets, outbound.octets
        )

    @override
    async def usages(self) -> Mapping[int, Usage]:
        return {spi_in: await self.usage(spi_in) for spi_in in self._policies.pairs}

    @override
    async def reset(self) -> None:
        self._policies = Policies()
        self._told = Told(self._policies)
        self._installed.clear()
        self._plain = ()
        for found in map(FoundPolicy.read, self._channel.all(Kind.GETPOLICY)):
            if found.if_id == self._if_id or is_ours(found, self._config.tun):
                self._forget(Kind.DELPOLICY, found.name)
        for sa in map(Found.read, self._channel.all(Kind.GETSA)):
            if sa.if_id == self._if_id:
                self._forget(Kind.DELSA, sa.name)

    @override
    async def events(self) -> AsyncIterator[PlaneEvent]:
        while (event := await self._events.get()) is not None:
            yield event

    @override
    async def close(self) -> None:
        if self._is_closed:
            return
        await self.reset()
        await asyncio.to_thread(interface.remove, self._config.tun)
        await self.detach()

    @override
    async def detach(self) -> None:
        if self._is_closed:
            return
        self._is_closed = True
        if self._looking is not None:
            self._looking.cancel()
        self._events.put_nowait(None)
        self._channel.close()
        close(self._sockets)

    # SAs ------------------------------------------------------------------------------------------

    def _pair(self, spi_in: int) -> Generation:
        pair = self._policies.pairs.get(spi_in)
        if pair is None:
            raise HostError(f"no SA has the inbound SPI {spi_in:#010x}")
        return pair

    def _sas(self, pair: Generation) -> tuple[Sa, Sa]:
        return sas(pair.child, pair.reqid, self._if_id)

    def _compressions(self, pair: Generation) -> tuple[Sa, ...]:
        return compressions(pair.child, self._sas(pair))

    def _try_to_compress(self) -> None:
        """Make an SA of compression for nobody, so that it is known now whether one can be made.

        Raises:
            HostError: the kernel has none.
        """
        trial = compression.trial(self._if_id)
        try:
            self._channel.ask(Kind.NEWSA, trial.pack())
        except KernelRefusedError as refusal:
            words = "modprobe ipcomp deflate, or take ipcomp out of the configuration, or use"
            raise HostError(
                f"this kernel has no IPComp with DEFLATE ({refusal}): {words} the engine"
            ) from refusal
        self._forget(Kind.DELSA, trial.name)

    def _find(self, sa: Sa) -> Found:
        """Return an SA as it is, or as it was when a hard limit ended it.

        A packet that missed one since then has made a larval one of its name, which has no numbers.
        """
        with suppress(KernelRefusedError):
            found = Found.read(self._channel.get(Kind.GETSA, sa.name))
            if found.sequence is not None or not sa.window:
                return found
        return self._told.ended.get(sa.name, Found.nothing(sa))

    def _living(self, sa: Sa) -> Found:
        """Return an SA that sends: only from its numbers may another one go on (I7).

        Raises:
            HostError: it is there no more.
        """
        found = self._find(sa)
        if found.sequence is None:
            raise HostError(f"SPI {sa.spi:#010x} is at its end, and cannot move")
        return found

    def _move(self, old: Sa, new: Sa, jump: int = 0, *, is_kept: bool = False) -> None:
        """Have an SA elsewhere, with its counts; one that sends is made anew so many numbers ahead.

        Another port is but a change. Where addresses change, the steps are one call, unless the old
        one `is_kept` for now. A packet that another processor sends meanwhile leaves a larval SA in
        the way of the new one, which the last step replaces.
        """
        if old.is_but_for_ports(new) and self._is_done(Kind.UPDSA, new.pack()):
            return
        before = self._living(old) if jump else self._find(old)
        made = new.pack(before, jump)
        steps = [(Kind.NEWSA, made)]
        if not is_kept:
            steps.insert(0, (Kind.DELSA, old.name))
        if jump:
            steps.append((Kind.UPDSA, made))
        refusal = self._channel.ask_together(*steps)[-1]
        if refusal is not None:
            raise _refused(refusal, f"SPI {new.spi:#010x}")

    def _lead_over(self, pair: Generation, old: Sa, new: Sa) -> None:
        """Have another SA send, and then only end the one that did: no packet meets none."""
        before = self._living(old)
        self._ask(Kind.NEWSA, new.pack(before, _JUMP), f"SPI {new.spi:#010x}")
        self._follow(pair.flows)
        last = self._find(old)
        self._forget(Kind.DELSA, old.name)
        since = Usage(
            packets_out=last.packets - before.packets, octets_out=last.octets - before.octets
        )
        pair.before = pair.before + since

    def _ask(self, kind: Kind, body: bytes, what: str) -> None:
        try:
            self._channel.ask(kind, body)
        except KernelRefusedError as refusal:
            raise _refused(refusal, what) from refusal

    def _is_done(self, kind: Kind, body: bytes) -> bool:
        with suppress(KernelRefusedError):
            self._channel.ask(kind, body)
            return True
        return False

    def _forget(self, kind: Kind, name: bytes) -> None:
        """Take something away that may be gone."""
        with suppress(KernelRefusedError):
            self._channel.ask(kind, name)

    # Policies -------------------------------------------------------------------------------------

    def _follow(self, flows: tuple[Flow, ...]) -> None:
        """Let the kernel's policies of these flows be what they are to be."""
        for flow in flows:
            before, wish = self._installed.get(flow), self._policies.wish(flow)
            if wish == before:
                continue
            for direction in Direction:
                self._set(flow, direction, before, wish)
            if wish is None:
                del self._installed[flow]
            else:
                self._installed[flow] = wish

    def _set(
        self, flow: Flow, direction: Direction, before: Claim | None, wish: Claim | None
    ) -> None:
        old = before.towards(direction) if before is not None else ()
        new = wish.towards(direction) if wish is not None else ()
        if wish is not None and new:
            body = messages.policy(flow, direction, wish.priority, new, self._if_id)
            self._ask(Kind.UPDPOLICY, body, f"a policy for {flow.peer}")
        elif old:
            self._forget(Kind.DELPOLICY, messages.policy_name(flow, direction, self._if_id))

    # What happens ---------------------------------------------------------------------------------

    async def _watch(self) -> None:
        """Let pairs on standby send once their peer has used them, until none is left.

        The kernel does not tell of an SA's first packet.
        """
        while waiting := self._policies.standing_by():
            for spi_in in waiting:
                if (await self.usage(spi_in)).packets_in:
                    self._wake(spi_in)
            await asyncio.sleep(max(_LOOK_SECONDS, len(waiting) / _LOOKS))

    def _wake(self, spi_in: int) -> None:
        """Let a pair send that was on standby."""
        self._policies.wake(spi_in)
        self._follow(self._policies.pairs[spi_in].flows)

    def _hear(self, kind: int, octets: bytes) -> None:
        event = self._told.hear(kind, octets)
        if event is not None:
            self._events.put_nowait(event)


def _refused(refusal: KernelRefusedError, what: str) -> HostError:
    if refusal.number == errno.EEXIST:
        return HostError(f"{what} is in use")
    name = errno.errorcode.get(refusal.number, str(refusal.number))
    return HostError(f"{what}: the kernel says {refusal} ({name})")


def _encapsulate(sockets: tuple[socket.socket, ...]) -> None:
    """Have the kernel take ESP out of UDP, and leave IKE to us (RFC 3948 §2)."""
    try:
        for each in sockets:
            each.setsockopt(socket.IPPROTO_UDP, _UDP_ENCAP, _ESP_IN_UDP)
    except OSError as error:
        raise HostError(f"this kernel has no ESP in UDP ({error.strerror}): use the engine") from (
            error
        )
