# SPDX-License-Identifier: Apache-2.0
"""Connections of a configuration, and whether each has what it refers to and can work at all."""

import math
from dataclasses import dataclass, replace
from typing import Final

from ikeway.auth.certificates import identity_matches
from ikeway.auth.eap.identity import to_idi
from ikeway.config.child_table import ChildTable
from ikeway.config.children import build_children, check_children
from ikeway.config.complaints import suggestion
from ikeway.config.dataplane_table import Backend
from ikeway.config.eap import check_eap, check_radius
from ikeway.config.findings import Findings
from ikeway.config.null_auth import check_null
from ikeway.config.of_kernel import check_of_kernel
from ikeway.config.positions import KeyPath
from ikeway.config.proposals import legacy_words, unencrypted_words
from ikeway.config.schema import ConnectionTable, Document
from ikeway.config.traffic_flow import build_traffic_flow
from ikeway.config.twofold import check_twofold
from ikeway.model.identity import ANONYMOUS, Identity, IdType
from ikeway.policy.connection import (
    Connection,
    Encapsulate,
    Proof,
    Role,
    Start,
    Twofold,
    UsePpk,
)
from ikeway.policy.credentials import Credentials
from ikeway.policy.lifetimes import Lifetimes, Retransmission
from ikeway.policy.proposals import ProposalSpec
from ikeway.policy.suites import OFFERS

NOBODY: Final = Identity(IdType.NULL, b"")
"""Stands for an identity that is missing, in a configuration that is refused for that."""

PACKETS_LEAST: Final = 1000
"""Fewer would have a Child SA replaced all the time."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What connections may refer to."""

    document: Document
    credentials: Credentials
    findings: Findings
    has_store: bool = False


def build_connection(name: str, table: ConnectionTable, around: Surroundings) -> Connection:
    """Return the connection of a table; what is wrong goes to the findings."""
    path: KeyPath = ("connections", name)
    later_fragments = _later_fragments(path, table, around)
    connection = _connection(name, table, _local_id(path, table, around), later_fragments)
    _check_role(path, connection, around)
    _check_references(path, connection, around)
    _check_local_proof(path, connection, around)
    _check_peer_proof(path, connection, around)
    check_null(path, connection, around.findings)
    check_twofold(path, connection, around.findings)
    check_eap(path, connection, around.credentials, around.findings, has_store=around.has_store)
    check_radius(path, connection, around.findings)
    _check_protocols(path, table, around.findings)
    _check_proposals(path, table, around.findings)
    _check_ppk(path, connection, around)
    _check_numbers(path, connection, around.findings)
    check_children(path, connection, around.findings)
    if around.document.dataplane.backend is Backend.XFRM:
        check_of_kernel(path, connection, around.findings)
    return connection


def _connection(
    name: str, table: ConnectionTable, local_id: Identity, later_fragments: bool
) -> Connection:
    lifetimes, again = table.lifetimes, table.retransmission
    own, accepted = table.local_auth, dict.fromkeys(table.peer_auth)
    plain = Connection(
        name=name,
        local_id=local_id,
        role=table.role,
        peer=table.peer,
        local_auth=own.first if isinstance(own, Twofold) else own,
        local_then=own.then if isinstance(own, Twofold) else None,
        peer_auth=tuple(proof for proof in accepted if isinstance(proof, Proof)),
        peer_twofold=tuple(both for both in accepted if isinstance(both, Twofold)),
        peer_id=table.peer_id,
        device_id=table.device_id,
        eap_identity=table.eap_identity or "",
        eap_server=table.eap_server,
        eap_inner=table.eap_inner,
        ask_eap_identity=table.ask_eap_identity,
        local_ts=tuple(table.local_ts),
        peer_ts=tuple(table.peer_ts),
        pool=table.pool,
        virtual_ips=tuple(table.virtual_ips),
        ike=tuple(table.ike) if table.ike else OFFERS[table.suites].ike,
        esp=tuple(table.ah or table.esp or OFFERS[table.suites].esp),
        start=table.start,
        mode=table.mode,
        encapsulate=_encapsulate(table),
        replay_window=table.replay_window,
        ipcomp=table.ipcomp,
        per_cpu_children=table.per_cpu_children,
        outer=table.outer.value,
        later_fragments=later_fragments,
        lifetimes=Lifetimes(
            ike=lifetimes.ike,
            child=lifetimes.child,
            child_octets=lifetimes.child_bytes,
            child_packets=lifetimes.child_packets,
            reauth=lifetimes.reauth,
            jitter=lifetimes.jitter,
        ),
        retransmission=Retransmission(again.first, again.factor, again.longest, again.give_up),
        liveness=table.liveness,
        keepalive=table.keepalive,
        window=table.window,
        fragment_size=table.fragment_size if table.fragmentation else 0,
        initial_contact=table.initial_contact,
        require_address_request=table.require_address_request,
        allow_sha1_signatures=table.allows_legacy,
        protect=table.protect,
        mobike=table.mobike,
        return_routability=table.return_routability,
        local_address=table.local_address,
        idle=math.inf if table.idle is None else table.idle,
        childless=table.childless,
        revocation=table.revocation,
        resumption=table.resumption,
        redirect=table.redirect,
        redirect_to=table.redirect_to,
        redirect_grace=table.redirect_grace,
        ticket_lifetime=table.ticket_lifetime,
        announce_methods=table.announce_methods,
        groups=tuple(table.groups),
        traffic_flow=build_traffic_flow(table.traffic_flow),
        ppk=table.ppk,
        ppk_id=table.ppk_id or "",
    )
    return replace(plain, children=build_children(plain, table.children))


def _local_id(path: KeyPath, table: ConnectionTable, around: Surroundings) -> Identity:
    chosen = table.local_id or around.document.host.identity
    own = table.local_auth
    first = own.first if isinstance(own, Twofold) else own
    if first.eap_method and table.eap_identity and table.local_id is None:
        return to_idi(table.eap_identity)
    if first is Proof.NULL:
        return table.local_id or ANONYMOUS
    if chosen is not None:
        return chosen
    if first is Proof.CERTIFICATE:
        names = [name for own in around.credentials.certificates for name in own.leaf.sans]
        if names:
            return names[0]
    around.findings.error(
        (*path, "local_id"),
        "who are we? set local_id, or identity in [host], or use a certificate with a"
        " subjectAltName",
    )
    return NOBODY


def _check_role(path: KeyPath, connection: Connection, around: Surroundings) -> None:
    findings, role = around.findings, connection.role
    traps = any(child.start is Start.DEMAND for child in connection.child_policies)
    starts = role is Role.INITIATOR or connection.start is not Start.WAIT
    starts = starts or (traps and role is not Role.RESPONDER)
    if starts and connection.peer.target is None:
        findings.error(
            (*path, "peer"), "to start this connection, peer must be one address or a host name"
        )
    if connection.start is not Start.WAIT and role is Role.RESPONDER:
        findings.error((*path, "start"), 'a responder does not start; use role = "both"')
    if role is Role.RESPONDER and connection.virtual_ips:
        findings.error((*path, "virtual_ips"), "only an initiator asks for addresses; see pool")
    if role is Role.INITIATOR and connection.pool is not None:
        findings.error((*path, "pool"), "only a responder lends addresses; see virtual_ips")
    local, peer = connection.local_address, connection.peer.networks
    if local is not None and peer and peer[0].version != local.version:
        findings.error((*path, "local_address"), f"{local} cannot reach {peer[0]}: IPv4 and IPv6")


def _check_references(path: KeyPath, connection: Connection, around: Surroundings) -> None:
    pools = around.document.pools
    if connection.pool is not None and connection.pool not in pools:
        near = suggestion(connection.pool, tuple(pools)) if pools else "; add [pools.NAME]"
        around.findings.error((*path, "pool"), f"there is no pool {connection.pool!r}{near}")
    if connection.require_address_request and connection.pool is None:
        around.findings.error((*path, "require_address_request"), "there is no pool to lend from")


def _check_local_proof(path: KeyPath, connection: Connection, around: Surroundings) -> None:
    findings, credentials = around.findings, around.credentials
    if connection.local_auth is Proof.PSK:
        _check_secret((*path, "local_auth"), connection, around)
        return
    if connection.local_auth.eap_method or connection.local_auth is Proof.NULL:
        return
    declared = around.document.credentials
    if connection.local_auth is Proof.PUBKEY:
        if declared.key is None and not declared.certificates:
            findings.error((*path, "local_auth"), "we have no key; set key in [credentials]")
        return
    if declared.certificate is None and not declared.certificates:
        findings.error(
            (*path, "local_auth"),
            "we have no certificate; set certificate and key in [credentials]",
        )
    ours, local_id = credentials.certificates, connection.local_id
    if not ours or local_id is NOBODY or any(identity_matches(local_id, own.leaf) for own in ours):
        return
    sans = dict.fromkeys(str(name) for own in ours for name in own.leaf.sans)
    names = ", ".join(sans) or "none"
    findings.warn(
        path,
        f"our certificate is not for {local_id}, so that peers may refuse it; it is for: {names}",
    )


def _check_peer_proof(path: KeyPath, connection: Connection, around: Surroundings) -> None:
    accepted = connection.accepted
    if Proof.CERTIFICATE in accepted and not around.document.credentials.authorities:
        around.findings.error(
            (*path, "peer_auth"),
            "no peer's certificate can be checked; set authorities in [credentials]",
        )
    if Proof.PUBKEY in accepted:
        _check_public_keys((*path, "peer_auth"), connection, around)
    if Proof.PSK in accepted and connection.local_auth in {Proof.CERTIFICATE, Proof.PUBKEY}:
        _check_secret((*path, "peer_auth"), connection, around)


def _check_public_keys(path: KeyPath, connection: Connection, around: Surroundings) -> None:
    known = [entry.id for entry in around.document.credentials.public_keys]
    if not any(connection.peer_id.matches(one) for one in known):
        around.findings.error(
            path, f"no public key for {connection.peer_id}; add [[credentials.public_keys]]"
        )


def _check_secret(path: KeyPath, connection: Connection, around: Surroundings) -> None:
    if connection.local_id is NOBODY:
        return
    entries = [entry for entry in around.document.credentials.secrets if entry.psk]
    exact = connection.peer_id.exact
    fitting = [
        entry
        for entry in entries
        if entry.local.matches(connection.local_id) and (exact is None or entry.id.matches(exact))
    ]
    if not fitting:
        who = "any peer" if exact is None else str(exact)
        around.findings.error(
            path, f"no secret for {connection.local_id} with {who}; add [[credentials.secrets]]"
        )


def _encapsulate(table: ConnectionTable) -> Encapsulate:
    """Return when ESP goes in UDP. Where nothing says so, AH has it its way: it never does."""
    is_said = "encapsulation" in table.model_fields_set
    has_ah = table.ah or any(child.ah for child in table.children.values())
    return Encapsulate.NAT if has_ah and not is_said else table.encapsulation


def _check_ppk(path: KeyPath, connection: Connection, around: Surroundings) -> None:
    findings, names = around.findings, {each.name for each in around.credentials.ppks}
    if connection.ppk is UsePpk.OFF:
        return
    if connection.local_auth.eap_method:
        findings.error((*path, "ppk"), "where we prove ourselves by EAP there is no PPK")
    if connection.local_then or connection.peer_twofold:
        findings.error((*path, "ppk"), "a PPK goes with one proof, not with two")
    if not names:
        findings.error((*path, "ppk"), "there is no ppk in [[credentials.secrets]]")
    elif connection.role is not Role.RESPONDER and connection.ppk_id.encode() not in names:
        known = ", ".join(sorted(name.decode() for name in names))
        findings.error((*path, "ppk_id"), f"which ppk do we start with? there are: {known}")


def _later_fragments(path: KeyPath, table: ConnectionTable, around: Surroundings) -> bool:
    """Return what is said, or else what the data plane can do."""
    is_kernel = around.document.dataplane.backend is Backend.XFRM
    if is_kernel and table.later_fragments:
        words = 'the kernel\'s data plane does not follow fragments; use backend = "engine"'
        around.findings.error((*path, "later_fragments"), words)
    return not is_kernel if table.later_fragments is None else table.later_fragments


def _child_tables(
    path: KeyPath, table: ConnectionTable
) -> list[tuple[KeyPath, ConnectionTable | ChildTable]]:
    """Return where Child SAs are described."""
    children = (((*path, "children", name), one) for name, one in table.children.items())
    return [(path, table), *children]


def _check_protocols(path: KeyPath, table: ConnectionTable, findings: Findings) -> None:
    for where, one in _child_tables(path, table):
        if one.ah and one.esp:
            findings.error((*where, "ah"), "a Child SA is of AH or of ESP: leave out `ah` or `esp`")
        elif one.ah:
            findings.warn((*where, "ah"), "AH: nothing is encrypted")


def _check_proposals(path: KeyPath, table: ConnectionTable, findings: Findings) -> None:
    tables = _child_tables(path, table)
    settings: list[tuple[KeyPath, list[ProposalSpec]]] = [
        ((*path, "ike"), table.ike or []),
        *(((*where, "esp"), one.esp or []) for where, one in tables),
        *(((*where, "ah"), one.ah or []) for where, one in tables),
    ]
    for where, specs in settings:
        for index, spec in enumerate(specs):
            if bare := unencrypted_words(spec):
                findings.warn((*where, index), f"{', '.join(bare)}: nothing is encrypted")
    if table.allows_legacy:
        key = "legacy" if table.legacy else "suites"
        findings.warn((*path, key), "old and weak algorithms are allowed here")
        return
    for where, specs in settings:
        for index, spec in enumerate(specs):
            weak = legacy_words(spec)
            if weak:
                findings.error(
                    (*where, index),
                    f"{', '.join(weak)}: weak; only with `legacy = true` in this connection",
                )


def _check_numbers(path: KeyPath, connection: Connection, findings: Findings) -> None:
    if 0 < connection.replay_window < 32:
        findings.error((*path, "replay_window"), "allowed are 0 and 32 to 65536 (RFC 4303 §3.4.3)")
    if 0 < connection.lifetimes.child_packets < PACKETS_LEAST:
        findings.error(
            (*path, "lifetimes", "child_packets"), f"allowed are 0 and {PACKETS_LEAST} or more"
        )
    again = connection.retransmission
    if again.first > again.give_up:
        findings.error((*path, "retransmission"), "the first wait is longer than give_up")
