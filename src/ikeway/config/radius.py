# SPDX-License-Identifier: Apache-2.0
"""From `[radius]` to the servers as the rest of the program has them."""

from typing import Final

from ikeway.config.positions import KeyPath
from ikeway.config.radius_tables import RadiusServerTable
from ikeway.config.schema import Document
from ikeway.config.secrets import SHORT_OCTETS, Sources
from ikeway.model.errors import ConfigError
from ikeway.model.secret import Secret
from ikeway.policy.connection import Connection, Proof
from ikeway.policy.radius import RadiusPlace, RadiusSettings, RadiusTls

_AT: Final = ("radius",)
_RADSEC: Final = Secret(b"radsec")
_PORTS: Final = {False: (1812, 1813), True: (2083, 2083)}


def build_radius(
    document: Document, connections: tuple[Connection, ...], sources: Sources
) -> RadiusSettings | None:
    """Return the RADIUS servers, or None where there are none."""
    table, findings = document.radius, sources.findings
    wanting = [one.name for one in connections if Proof.EAP_RADIUS in one.accepted]
    if not table.servers:
        for name in wanting:
            where = ("connections", name, "peer_auth")
            findings.error(where, "there is no RADIUS server; add [[radius.servers]]")
        return None
    if not wanting:
        findings.warn(_AT, "no connection has eap-radius in its peer_auth")
    identity = document.host.identity
    name = table.nas_identifier or ("ikeway" if identity is None else str(identity))
    servers = []
    for index, server in enumerate(table.servers):
        with findings.at((*_AT, "servers", index)):
            servers.append(_place(server, (*_AT, "servers", index), sources))
    orders = None if table.orders is None else (table.orders, table.orders_port)
    return RadiusSettings(name, tuple(servers), table.accounting, orders)


def _place(table: RadiusServerTable, path: KeyPath, sources: Sources) -> RadiusPlace:
    tls = _tls(table, path, sources)
    port, accounting_port = _PORTS[tls is not None]
    return RadiusPlace(
        table.host,
        table.port or port,
        table.accounting_port or accounting_port,
        _secret(table, path, sources, is_tls=tls is not None),
        tls,
    )


def _secret(table: RadiusServerTable, path: KeyPath, sources: Sources, *, is_tls: bool) -> Secret:
    if table.secret is None:
        if not is_tls:
            raise ConfigError("the secret with this server is missing; set secret")
        return _RADSEC
    secret = sources.secret(table.secret, (*path, "secret"))
    if not is_tls and len(secret) < SHORT_OCTETS:
        sources.findings.warn(
            (*path, "secret"), f"shorter than {SHORT_OCTETS} octets: RADIUS is only as good as it"
        )
    return secret


def _tls(table: RadiusServerTable, path: KeyPath, sources: Sources) -> RadiusTls | None:
    if not table.authorities:
        for key in ("server_name", "certificate", "key"):
            if getattr(table, key) is not None:
                raise ConfigError(f"{key} is for TLS only; set authorities too")
        return None
    if (table.certificate is None) != (table.key is None):
        raise ConfigError("certificate and key go together")
    pems = [
        sources.read(name, (*path, "authorities", index)).decode("ascii", "replace")
        for index, name in enumerate(table.authorities)
    ]
    own = None
    if table.certificate is not None and table.key is not None:
        own = str(sources.folder / table.certificate), str(sources.folder / table.key)
    return RadiusTls("\n".join(pems), table.server_name or table.host, own)
