# SPDX-License-Identifier: Apache-2.0
"""All that a daemon does with RADIUS servers: lets users in, keeps accounts, takes orders."""

import ssl
from collections.abc import Callable

from ikeway.auth.radius.orders import Order
from ikeway.config.load import Loaded
from ikeway.dataplane.port import DataPlane
from ikeway.ike.io import Report
from ikeway.model.errors import HostError
from ikeway.policy.radius import RadiusPlace, RadiusSettings, RadiusTls
from ikeway.runtime.entropy import SystemRandom
from ikeway.runtime.radius import RadiusClient, RadiusServer
from ikeway.runtime.radius_accounts import End, RadiusAccounts
from ikeway.runtime.radius_orders import Obey, OrderDesk
from ikeway.runtime.radius_relay import SESSION_OCTETS, RadiusRelay
from ikeway.runtime.radius_teller import RadiusTeller

Tell = Callable[[str], None]


class RadiusOffice:
    """Makes the parts fit together. `is_first` is whether it speaks for the whole daemon."""

    def __init__(
        self, loaded: Loaded, settings: RadiusSettings, plane: DataPlane, end: End, tell: Tell
    ) -> None:
        """Make everything; nothing is asked or told yet.

        Raises:
            HostError: the papers for TLS cannot be used.
        """
        random = SystemRandom()
        self._teller = None
        if settings.accounting:
            servers = [_server(one, one.accounting_port) for one in settings.servers]
            boot = random.octets(SESSION_OCTETS).hex()
            client = RadiusClient(servers, random, tell)
            self._teller = RadiusTeller(client, settings.name, boot, tell)
        self._accounts = RadiusAccounts(self._teller, plane, end)
        access = RadiusClient([_server(one, one.port) for one in settings.servers], random, tell)
        rounds = loaded.limits.eap_rounds
        self.relay = RadiusRelay(access, settings.name, random, rounds, self._accounts.granted)

    def heard(self, report: Report) -> None:
        """Take a report of an IKE SA."""
        self._accounts.heard(report)

    async def leaving(self, spi_in: int) -> None:
        """Take what went through a Child SA before it is removed."""
        await self._accounts.leaving(spi_in)

    def obey(self, order: Order) -> int:
        """Carry an order out; return how many sessions of ours it was about."""
        return self._accounts.obey(order)

    def begin(self, *, is_first: bool) -> None:
        """Tell that we have started; `is_first` speaks for all workers."""
        if self._teller is not None and is_first:
            self._teller.begin()

    async def close(self) -> None:
        """Close all accounts and all sockets."""
        self.relay.close()
        await self._accounts.close()
        if self._teller is not None:
            await self._teller.close()


async def take_orders(settings: RadiusSettings | None, obey: Obey, tell: Tell) -> OrderDesk | None:
    """Listen for orders, for all workers, if they are to be taken.

    Raises:
        HostError: the port cannot be had.
    """
    if settings is None or settings.orders is None:
        return None
    address, port = settings.orders
    secrets = {one.host: one.secret for one in settings.servers}
    desk = OrderDesk(settings.name, secrets, obey, tell)
    try:
        return await OrderDesk.open(desk, str(address), port)
    except OSError as error:
        raise HostError(
            f"cannot listen for RADIUS orders on {address} port {port}: {error.strerror}"
        ) from error


def _server(place: RadiusPlace, port: int) -> RadiusServer:
    context = None if place.tls is None else _context(place, place.tls)
    name = None if place.tls is None else place.tls.name
    return RadiusServer(place.host, port, place.secret, context, name)


def _context(place: RadiusPlace, tls: RadiusTls) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cadata=tls.authorities)
        if tls.own is not None:
            context.load_cert_chain(*tls.own)
    except (ssl.SSLError, OSError) as error:
        raise HostError(f"RADIUS server {place.host}: {error}; look at its TLS files") from error
    return context
