# SPDX-License-Identifier: Apache-2.0
"""A loaded configuration as TOML: what is in force, defaults and all, and no secret."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from ikeway.config import outer_tables
from ikeway.config.limits_table import LimitsTable
from ikeway.config.load import Loaded
from ikeway.config.proposals import words
from ikeway.config.traffic_flow import shown
from ikeway.config.values import PROTOCOLS, span
from ikeway.crypto.names import name_text
from ikeway.model.identity import ANONYMOUS, Identity, IdType
from ikeway.model.policies import TrafficPolicy
from ikeway.model.selectors import PORT_MAX, Selectors
from ikeway.model.time import Seconds
from ikeway.policy.connection import (
    ChildPolicy,
    Connection,
    PeerAddress,
    SelectorTemplate,
    Twofold,
)
from ikeway.policy.credentials import Credentials
from ikeway.policy.lifetimes import Lifetimes, Retransmission
from ikeway.policy.limits import Limits
from ikeway.policy.pools import Pool
from ikeway.policy.proposals import ProposalSpec
from ikeway.policy.radius import RadiusSettings
from ikeway.policy.revocation import StatusSources

Value: TypeAlias = str | bool | int | float | Sequence[str] | Mapping[str, str | float] | None
Table: TypeAlias = Mapping[str, Value]
_ICMP = frozenset({1, 58})


def show(loaded: Loaded) -> str:
    """Return the configuration; comments stand where files and secrets were read."""
    host, plane = loaded.host, loaded.dataplane
    identity = None if host.identity is None else identity_text(host.identity)
    parts = [
        table(
            "host",
            {
                "identity": identity,
                "listen": list(map(str, host.listen)),
                "crash_detection": host.crash_detection,
                "crash_key": str(host.crash_key) if host.crash_key else None,
            },
        ),
        *_credentials(loaded.credentials),
        table("credentials.revocation", _sources(loaded.sources)),
        *(table(f"pools.{name}", _pool(pool)) for name, pool in loaded.pools.items()),
        *(part for each in loaded.connections for part in _connection_tables(each)),
        *(table(f"policies.{each.name}", _policy(each)) for each in loaded.policies),
        *_radius(loaded.radius),
        table("limits", _limits(loaded.limits)),
        table(
            "dataplane",
            {
                "backend": plane.backend,
                "interface": plane.interface,
                "mtu": plane.mtu,
                "queues": plane.queues,
                "busy_poll": plane.busy_poll,
                "hold": plane.hold,
            },
        ),
        table("store", {"url": f"sqlite://{loaded.store.file}", "key": str(loaded.store.key)}),
    ]
    return "\n".join(parts)


def _policy(policy: TrafficPolicy) -> Table:
    def texts(selectors: Selectors) -> list[str]:
        whole = ((each.networks()[0], each) for each in selectors)
        return [
            selector_text(SelectorTemplate(net, each.protocol, (each.port_start, each.port_end)))
            for net, each in whole
        ]

    sides = {"local_ts": texts(policy.local_ts), "peer_ts": texts(policy.peer_ts)}
    return {"action": policy.action.value, **sides}


def _limits(limits: Limits) -> Table:
    values = {key: getattr(limits, key) for key in LimitsTable.model_fields}
    return {**values, "guess_window": span(limits.guess_window)}


def table(title: str, values: Table) -> str:
    """Return a table in TOML, without what is not set."""
    lines = [f"{key} = {literal(each)}" for key, each in values.items() if each not in (None, [])]
    return "\n".join([f"[{title}]", *lines, ""])


def literal(value: Value) -> str:
    """Return a value in TOML; JSON writes strings, numbers and lists alike."""
    if isinstance(value, Mapping):
        return f"{{ {', '.join(f'{key} = {literal(each)}' for key, each in value.items())} }}"
    return json.dumps(value, ensure_ascii=False)


def _credentials(credentials: Credentials) -> Iterator[str]:
    lines = ["[credentials]"]
    certified = {own.key for own in credentials.certificates}
    lines += [f"key = {literal(own.key)}" for own in credentials.keys if own.key not in certified]
    lines += [f"# authority: {authority.subject}" for authority in credentials.authorities]
    yield "\n".join([*lines, ""])
    for own in credentials.certificates:
        names = ", ".join(map(str, own.leaf.sans)) or "no names"
        named = f"# our certificate: {own.leaf.subject} ({names})\nkey = {literal(own.key)}\n"
        at = f"url = {literal(own.url)}\n" if own.url else ""
        yield f"[[credentials.certificates]]\n{named}{at}"
    for known in credentials.public_keys:
        named = f"id = {literal(identity_text(known.peer))}"
        yield f"[[credentials.public_keys]]\n{named}\n# key: {known.public.algorithm.value}\n"
    for entry in credentials.secrets:
        pair = f"id = {literal(entry.peer.text)}\nlocal = {literal(entry.local.text)}"
        yield f"[[credentials.secrets]]\n{pair}\n# psk: {len(entry.secret)} octets\n"
    for each in credentials.ppks:
        named = f"id = {literal(each.name.decode())}"
        yield f"[[credentials.secrets]]\n{named}\n# ppk: {len(each.secret)} octets\n"
    for account in credentials.accounts:
        named = f"id = {literal(account.name)}"
        yield f"[[credentials.secrets]]\n{named}\n# password: {len(account.password)} octets\n"


def _radius(radius: RadiusSettings | None) -> Iterator[str]:
    if radius is None:
        return
    address, port = radius.orders or (None, None)
    values: Table = {
        "nas_identifier": radius.name,
        "accounting": radius.accounting,
        "orders": None if address is None else str(address),
        "orders_port": port,
    }
    yield table("radius", values)
    for server in radius.servers:
        lines = [
            "[[radius.servers]]",
            f"host = {literal(server.host)}",
            f"port = {server.port}",
            f"accounting_port = {server.accounting_port}",
            f"# secret: {len(server.secret)} octets{', TLS' if server.tls else ''}",
            "",
        ]
        yield "\n".join(lines)


def _sources(sources: StatusSources) -> Table:
    return {
        "crls": list(map(str, sources.crls)),
        "fetch": sources.fetch,
        "recheck": span(sources.recheck),
        "timeout": span(sources.timeout),
        "cache": str(sources.cache) if sources.cache else None,
    }


def _pool(pool: Pool) -> Table:
    return {
        "ranges": list(map(str, pool.ranges)),
        "dns": list(map(str, pool.dns)),
        "domains": list(pool.domains),
    }


def _connection_tables(connection: Connection) -> Iterator[str]:
    yield table(f"connections.{connection.name}", _connection(connection))
    for child in connection.children:
        yield table(f"connections.{connection.name}.children.{child.name}", _child(child))


def _child(child: ChildPolicy) -> Table:
    ages = _lifetimes(child.lifetimes)
    return {
        "local_ts": [selector_text(each) for each in child.local_ts],
        "peer_ts": [selector_text(each) for each in child.peer_ts],
        **_proposals(child.esp),
        "mode": child.mode.value,
        "start": child.start.value,
        "idle": _idle(child.idle),
        "replay_window": child.replay_window,
        "traffic_flow": shown(child.traffic_flow),
        "ipcomp": child.ipcomp,
        "per_cpu_children": child.per_cpu_children,
        "lifetimes": {key: ages[key] for key in ("child", "child_bytes")},
    }


def _proposals(specs: tuple[ProposalSpec, ...]) -> Table:
    """Return the proposals for Child SAs under the name of their protocol."""
    return {specs[0].protocol.name.lower(): [words(each) for each in specs]}


def _idle(idle: Seconds) -> str | None:
    return None if idle == math.inf else span(idle)


def _connection(connection: Connection) -> Table:
    local = connection.local_address
    return {
        "role": connection.role.value,
        "peer": _peer(connection.peer),
        "local_address": None if local is None else str(local),
        "local_id": _named(connection.local_id),
        "local_auth": _own(connection),
        "peer_id": connection.peer_id.text,
        "peer_auth": [
            *(proof.value for proof in connection.peer_auth),
            *map(str, connection.peer_twofold),
        ],
        "device_id": connection.device_id.text,
        "announce_methods": connection.announce_methods,
        "revocation": connection.revocation.value,
        "groups": list(connection.groups),
        "eap_identity": connection.eap_identity or None,
        "eap_server": None
        if connection.eap_server is None
        else identity_text(connection.eap_server),
        "eap_inner": connection.eap_inner,
        "ask_eap_identity": connection.ask_eap_identity,
        "local_ts": [selector_text(each) for each in connection.local_ts],
        "peer_ts": [selector_text(each) for each in connection.peer_ts],
        "pool": connection.pool,
        "require_address_request": connection.require_address_request,
        "virtual_ips": [str(address) for address in connection.virtual_ips],
        "ike": [words(each) for each in connection.ike],
        **_proposals(connection.esp),
        "legacy": connection.allow_sha1_signatures,
        "start": connection.start.value,
        "idle": _idle(connection.idle),
        "mode": connection.mode.value,
        "protect": connection.protect,
        "encapsulation": connection.encapsulate.value,
        "replay_window": connection.replay_window,
        "traffic_flow": shown(connection.traffic_flow),
        "ipcomp": connection.ipcomp,
        "per_cpu_children": connection.per_cpu_children,
        "outer": outer_tables.shown(connection.outer),
        "later_fragments": connection.later_fragments,
        "lifetimes": _lifetimes(connection.lifetimes),
        "liveness": span(connection.liveness),
        "keepalive": span(connection.keepalive),
        "window": connection.window,
        "fragmentation": connection.fragment_size > 0,
        "fragment_size": connection.fragment_size or None,
        "retransmission": _retransmission(connection.retransmission),
        "initial_contact": connection.initial_contact,
        "ppk": connection.ppk.value,
        "ppk_id": connection.ppk_id or None,
    }


def _named(identity: Identity) -> str | None:
    return None if identity == ANONYMOUS else identity_text(identity)


def _own(connection: Connection) -> str:
    first, then = connection.local_auth, connection.local_then
    return first.value if then is None else str(Twofold(first, then))


def _lifetimes(lifetimes: Lifetimes) -> Mapping[str, str | float]:
    octets = f"{lifetimes.child_octets}B" if lifetimes.child_octets else "none"
    return {
        "ike": span(lifetimes.ike),
        "child": span(lifetimes.child),
        "child_bytes": octets,
        "child_packets": lifetimes.child_packets,
        "reauth": span(lifetimes.reauth) if lifetimes.reauth else "none",
        "jitter": lifetimes.jitter,
    }


def _retransmission(again: Retransmission) -> Mapping[str, str | float]:
    return {
        "first": span(again.first),
        "factor": again.factor,
        "longest": span(again.longest),
        "give_up": span(again.give_up),
    }


def _peer(peer: PeerAddress) -> str:
    if peer.host is not None:
        return peer.host
    target = peer.target
    return str(target or (peer.networks[0] if peer.networks else "any"))


def identity_text(identity: Identity) -> str:
    """Return an identity as the configuration writes it."""
    is_name = identity.type is IdType.DER_ASN1_DN
    return name_text(identity.data) if is_name else str(identity)


def selector_text(template: SelectorTemplate) -> str:
    """Return a traffic selector as the configuration writes it."""
    where = "dynamic" if template.network is None else str(template.network)
    if template.protocol == 0:
        return where
    names = {number: word for word, number in PROTOCOLS.items()}
    protocol = names.get(template.protocol, str(template.protocol))
    ports = _ports(template.protocol, *template.ports)
    return f"{where}[{protocol}{ports and '/' + ports}]"


def _ports(protocol: int, first: int, last: int) -> str:
    if (first, last) == (0, PORT_MAX):
        return ""
    if first > last:
        return "opaque"
    if protocol in _ICMP:
        whole = (first & 255, last & 255) == (0, 255)
        return f"{first >> 8}" if whole else f"{first >> 8}.{first & 255}"
    return f"{first}" if first == last else f"{first}-{last}"
