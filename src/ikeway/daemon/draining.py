# SPDX-License-Identifier: Apache-2.0
"""Sends the clients of this gateway to another one, those that are up and those that come.

RFC 5685. It holds until it is stopped, and no longer than this process lives.
"""

import asyncio
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field, replace

from ikeway.config.values import gateway
from ikeway.control.schema import Drain, Drained, DrainedSa, DrainStatus, Outcome
from ikeway.ike.io import Disconnect, SendAway
from ikeway.ike.redirection import can_leave
from ikeway.ike.states import Established
from ikeway.model.address import Address
from ikeway.model.errors import ConfigError, UsageError
from ikeway.model.time import Seconds
from ikeway.policy.connection import Connection, Gateway, Start
from ikeway.runtime.driver import Driver


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the clients of a connection go, in which time, and whether others are cut off."""

    gateway: Gateway
    grace: Seconds | None
    disconnect: bool


class Orders:
    """What was ordered and holds, for processes that begin later."""

    def __init__(self) -> None:
        self._orders: tuple[Drain, ...] = ()

    def __iter__(self) -> Iterator[Drain]:
        return iter(self._orders)

    def note(self, order: Drain) -> None:
        """Take an order, which is instead of those before it for the same connections."""
        is_all = order.connection is None
        others = () if is_all else (o for o in self._orders if o.connection != order.connection)
        is_over = is_all and order.to is None
        self._orders = (*others, *(() if is_over else (order,)))


@dataclass
class Draining:
    """Which connections are being drained, by their names. `listen` are our addresses."""

    driver: Driver
    connections: tuple[Connection, ...]
    listen: tuple[Address, ...]
    _plans: dict[str, Plan] = field(default_factory=dict)

    @property
    def status(self) -> list[DrainStatus]:
        """Where the clients of which connections are sent."""
        return [
            DrainStatus(connection=name, to=str(plan.gateway)) for name, plan in self._plans.items()
        ]

    def reload(self, connections: tuple[Connection, ...]) -> None:
        """Know these connections instead of those before; what is drained stays so."""
        self.connections = connections
        known = {one.name for one in connections if one.may_respond}
        self._plans = {name: plan for name, plan in self._plans.items() if name in known}
        self._change()

    def order(self, order: Drain) -> Drained:
        """Begin to drain, with `to`, or stop.

        Raises:
            UsageError: there is no such connection, or nowhere to go.
        """
        names = self._names(order.connection)
        if order.to is None:
            return self._stop(names)
        plan = Plan(self._target(order.to), order.grace, order.disconnect)
        self._plans |= dict.fromkeys(names, plan)
        self._change()
        return Drained(ike_sas=[self._send(up, plan) for up in self._up(names)])

    def established(self, name: str, spi: bytes) -> None:
        """Send a client away that was on its way here when draining began."""
        plan = self._plans.get(name)
        if plan is not None:
            away = SendAway(plan.gateway, plan.grace)
            asyncio.get_running_loop().call_soon(self.driver.command, spi, away)

    # Within --------------------------------------------------------------------------------------

    def _names(self, wanted: str | None) -> tuple[str, ...]:
        known = tuple(one.name for one in self.connections if one.may_respond)
        if wanted is None:
            return known
        if wanted not in known:
            named = ", ".join(known) or "none"
            raise UsageError(f"no clients come by a connection {wanted!r}; they come by: {named}")
        return (wanted,)

    def _target(self, to: str) -> Gateway:
        try:
            target = gateway(to)
        except ConfigError as error:
            raise UsageError(str(error)) from None
        if target in self.listen:
            raise UsageError(f"{to} is this gateway: clients are sent to another one")
        return target

    def _stop(self, names: Iterable[str]) -> Drained:
        stopped = {name for name in names if self._plans.pop(name, None) is not None}
        self._change()
        staying = [up for up in self._up(stopped) if up.state.parting.to]
        for up in staying:
            self.driver.command(up.spi, SendAway(None))
        return Drained(
            ike_sas=[up.outcome("stays", "it was told to go, and may stay") for up in staying]
        )

    def _change(self) -> None:
        """Let those who come from now on be sent where the plans say."""
        endpoint = self.driver.endpoint
        planned = tuple(map(self._planned, self.connections))
        endpoint.env = replace(endpoint.env, connections=planned)

    def _planned(self, connection: Connection) -> Connection:
        plan = self._plans.get(connection.name)
        if plan is None:
            return connection
        grace = connection.redirect_grace if plan.grace is None else plan.grace
        return replace(connection, redirect_to=plan.gateway, redirect_grace=grace)

    def _up(self, names: Container[str]) -> list["_Up"]:
        """Return the IKE SAs of these connections that are up."""
        return [
            _Up(sa.spi, sa.state)
            for sa in self.driver.endpoint.sas
            if isinstance(sa.state, Established) and sa.state.connection.name in names
        ]

    def _send(self, up: "_Up", plan: Plan) -> DrainedSa:
        """Send a client away, or say why it stays."""
        if up.state.connection.start is Start.NOW:
            return up.outcome("stays", "it is kept up from here")
        if up.state.session.link.local.address == plan.gateway:
            return up.outcome("stays", "it is there already")
        if can_leave(up.state):
            self.driver.command(up.spi, SendAway(plan.gateway, plan.grace))
            return up.outcome("sent")
        reason = "it does not follow redirects"
        if not plan.disconnect:
            return up.outcome("stays", reason)
        self.driver.command(up.spi, Disconnect(f"the gateway is drained, and {reason}"))
        return up.outcome("disconnected", reason)


@dataclass(frozen=True, slots=True)
class _Up:
    """An IKE SA that is up."""

    spi: bytes
    state: Established

    def outcome(self, outcome: Outcome, reason: str | None = None) -> DrainedSa:
        """Return what became of it."""
        state = self.state
        return DrainedSa(
            id=self.spi.hex(),
            connection=state.connection.name,
            peer=f"{state.peer_id} at {state.session.link.peer.address}",
            outcome=outcome,
            reason=reason,
        )
