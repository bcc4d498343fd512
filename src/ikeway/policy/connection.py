# SPDX-License-Identifier: Apache-2.0
"""A connection: with whom, proven how, for which traffic, with which algorithms."""

import math
from dataclasses import dataclass, field
from enum import Enum
from ipaddress import ip_address, ip_network
from typing import TypeAlias

from typing_extensions import override

from ikeway.model.address import Address, Network
from ikeway.model.esp import Mode
from ikeway.model.identity import Identity
from ikeway.model.outer import PLAIN_OUTER, OuterHeader
from ikeway.model.selectors import PORT_MAX, Selectors, TrafficSelector
from ikeway.model.time import Seconds
from ikeway.model.traffic_flow import OPEN, TrafficFlow
from ikeway.policy.credentials import IdPattern
from ikeway.policy.lifetimes import Lifetimes, Retransmission
from ikeway.policy.proposals import ProposalSpec
from ikeway.policy.revocation import Revocation
from ikeway.policy.suites import OFFERS, Suites
from ikeway.wire.registry import ProtocolId


class Role(Enum):
    """Who may start the IKE SA."""

    INITIATOR = "initiator"
    RESPONDER = "responder"
    BOTH = "both"


class Proof(Enum):
    """How an identity is proven."""

    PSK = "psk"
    CERTIFICATE = "certificate"
    PUBKEY = "pubkey"
    EAP_TLS = "eap-tls"
    EAP_TTLS = "eap-ttls"
    EAP_PEAP = "eap-peap"
    EAP_AKA_PRIME = "eap-aka-prime"
    EAP_AKA = "eap-aka"
    EAP_MSCHAPV2 = "eap-mschapv2"
    EAP_MD5 = "eap-md5"
    EAP_GTC = "eap-gtc"
    EAP_RADIUS = "eap-radius"
    NULL = "null"

    @property
    def eap_method(self) -> str:
        """Return the name of the EAP method that it is; empty if it is none."""
        return self.value.removeprefix("eap-") if self.value.startswith("eap-") else ""


@dataclass(frozen=True, slots=True)
class Twofold:
    """Two proofs, one after the other: first of a device, then of its user by EAP (RFC 4739)."""

    first: Proof
    then: Proof

    @override
    def __str__(self) -> str:
        return f"{self.first.value}+{self.then.value}"


class Start(Enum):
    """When an initiator connects: at once and again, when a packet wants to go, or when told to."""

    NOW = "now"
    DEMAND = "demand"
    WAIT = "wait"


class Encapsulate(Enum):
    """When ESP goes into UDP (RFC 3948): always, or only where a NAT was detected."""

    ALWAYS = "always"
    NAT = "nat"


class Redirects(Enum):
    """Whether we go where a gateway sends us (RFC 5685)."""

    ALLOW = "allow"
    DENY = "deny"


Gateway: TypeAlias = Address | str
"""A gateway by its address, or by its host name."""


class Childless(Enum):
    """Whether an IKE SA begins without a Child SA, which follows as one of its own (RFC 6023).

    Where the peer starts: whether it may, or must. Where we start: only `prefer` and `force` do.
    """

    ALLOW = "allow"
    NEVER = "never"
    PREFER = "prefer"
    FORCE = "force"


@dataclass(frozen=True, slots=True)
class PeerAddress:
    """Where the peer is: anywhere, within prefixes, or behind a host name."""

    networks: tuple[Network, ...] = ()
    host: str | None = None

    @classmethod
    def parse(cls, text: str) -> "PeerAddress":
        """Return what `any`, an address, a prefix or a host name means."""
        if text == "any":
            return cls()
        try:
            return cls((ip_network(text, strict=False),))
        except ValueError:
            return cls(host=text)

    @property
    def target(self) -> Address | str | None:
        """Return where to connect to: an address, a host name, or None if that is open."""
        if self.host is not None:
            return self.host
        single = len(self.networks) == 1 and self.networks[0].num_addresses == 1
        return ip_address(self.networks[0][0]) if single else None

    def matches(self, address: Address) -> bool:
        """Whether a message from `address` may belong here. A host name says nothing about that."""
        return not self.networks or any(address in network for network in self.networks)

    def exactness(self, address: Address) -> int:
        """Return how closely it fits an address that it matches.

        An address or a longer prefix is closer than a shorter one, then comes a host, then `any`.
        """
        lengths = (each.prefixlen for each in self.networks if address in each)
        return max((2 + length for length in lengths), default=0 if self.host is None else 1)


@dataclass(frozen=True, slots=True)
class SelectorTemplate:
    """A traffic selector; `network` None is `dynamic`: the virtual or outer address."""

    network: Network | None
    protocol: int = 0
    ports: tuple[int, int] = (0, PORT_MAX)
    _whole: Selectors = field(default=(), init=False, repr=False, compare=False)
    """What it means where it is not dynamic; addresses are slow to compute."""

    def __post_init__(self) -> None:
        if self.network is not None:
            whole = TrafficSelector.of(self.network, self.protocol, self.ports)
            object.__setattr__(self, "_whole", (whole,))

    def resolve(self, dynamic: tuple[Address, ...]) -> Selectors:
        """Return the selectors, with `dynamic` replaced by these addresses."""
        if self.network is not None:
            return self._whole
        return tuple(
            TrafficSelector(self.protocol, *self.ports, address, address) for address in dynamic
        )


@dataclass(frozen=True, slots=True)
class ChildPolicy:
    """A Child SA of a connection: for which traffic, wrapped how, with which algorithms.

    In transport mode `local_ts` and `peer_ts` are all dynamic: it is for the hosts themselves. One
    that `start`s on demand is closed after being `idle` for so long. The proposals of `esp` are all
    of ESP, or all of AH. `ipcomp` is whether compression is offered and taken (RFC 7296 §2.22).
    `per_cpu_children` is how many more like it there are, each for a CPU of its own (RFC 9611).
    `later_fragments` is whether they may follow a first one that has the right ports (RFC 4301 §7).
    """

    name: str
    local_ts: tuple[SelectorTemplate, ...]
    peer_ts: tuple[SelectorTemplate, ...]
    esp: tuple[ProposalSpec, ...]
    mode: Mode
    start: Start
    replay_window: int
    lifetimes: Lifetimes
    idle: Seconds
    traffic_flow: TrafficFlow = OPEN
    ipcomp: bool = False
    per_cpu_children: int = 0
    outer: OuterHeader = PLAIN_OUTER
    later_fragments: bool = True

    @property
    def protocol(self) -> ProtocolId:
        """Return the protocol of all its proposals: ESP, or AH."""
        return self.esp[0].protocol


class UsePpk(Enum):
    """Whether a postquantum preshared key is to be in the keys of an IKE SA (RFC 8784)."""

    OFF = "off"
    PREFER = "prefer"
    REQUIRE = "require"


@dataclass(frozen=True, slots=True)
class Connection:
    """One `[connections.NAME]` of the configuration.

    `virtual_ips` are the addresses that an initiator asks for (0.0.0.0 or :: is any); a responder
    hands them out of `pool`. `peer_auth` lists the proofs of which one is enough, `peer_twofold`
    those of which both have to come; then `device_id` is for the first, and `peer_id` for the
    second. `local_then` is how we prove ourselves once more after `local_auth`.
    `window` is how many requests may be under way at a time, each way (RFC 7296 §2.3). Messages
    that need a larger IP datagram than `fragment_size` are fragmented (RFC 7383); with 0 none are.
    Without `children` the connection has a single Child SA, which is as its own fields say.
    `protect` is whether its traffic never leaves in clear; None: it depends (`protected`).
    `revocation` is how much is to be known of whether the peer's certificate was taken back.
    `redirect` is whether we go where the peer sends us; clients are sent to `redirect_to` instead,
    and have `redirect_grace` to go if they are up.
    `resumption` is whether tickets are asked for and given, for `ticket_lifetime` (RFC 5723).
    `return_routability` is whether a peer that has moved must show that it gets our packets there.
    `announce_methods` is whether the peer is told how it may prove itself (RFC 9593).
    `traffic_flow` is how the shape of the traffic is hidden, where the peer can take that.
    `groups` are those of which a user that EAP has proven has to be in one, if there are any.
    `eap_identity` is who we say we are in EAP, `eap_server` who the server of its TLS has to be, by
    default the gateway, and `eap_inner` what we do inside EAP-TTLS. A responder that has to
    `ask_eap_identity` does not take IDi for it.
    """

    name: str
    local_id: Identity
    role: Role = Role.BOTH
    peer: PeerAddress = PeerAddress()
    local_auth: Proof = Proof.CERTIFICATE
    local_then: Proof | None = None
    peer_auth: tuple[Proof, ...] = (Proof.CERTIFICATE,)
    peer_twofold: tuple[Twofold, ...] = ()
    peer_id: IdPattern = field(default=IdPattern("*"))
    device_id: IdPattern = field(default=IdPattern("*"))
    eap_identity: str = ""
    eap_server: Identity | None = None
    eap_inner: str = "mschapv2"
    ask_eap_identity: bool = False
    local_ts: tuple[SelectorTemplate, ...] = (SelectorTemplate(None),)
    peer_ts: tuple[SelectorTemplate, ...] = (SelectorTemplate(None),)
    pool: str | None = None
    virtual_ips: tuple[Address, ...] = ()
    ike: tuple[ProposalSpec, ...] = OFFERS[Suites.MODERN].ike
    esp: tuple[ProposalSpec, ...] = OFFERS[Suites.MODERN].esp
    start: Start = Start.WAIT
    mode: Mode = Mode.TUNNEL
    encapsulate: Encapsulate = Encapsulate.ALWAYS
    replay_window: int = 1024
    lifetimes: Lifetimes = field(default=Lifetimes())
    retransmission: Retransmission = field(default=Retransmission())
    liveness: Seconds = 30.0
    keepalive: Seconds = 20.0
    window: int = 1
    fragment_size: int = 1280
    initial_contact: bool = False
    require_address_request: bool = False
    allow_sha1_signatures: bool = False
    mobike: bool = True
    return_routability: bool = True
    local_address: Address | None = None
    idle: Seconds = math.inf
    outer: OuterHeader = PLAIN_OUTER
    children: tuple[ChildPolicy, ...] = ()
    protect: bool | None = None
    childless: Childless = Childless.ALLOW
    revocation: Revocation = Revocation.LENIENT
    ppk: UsePpk = UsePpk.OFF
    ppk_id: str = ""
    resumption: bool = False
    ticket_lifetime: Seconds = 4 * 3600.0
    announce_methods: bool = False
    groups: tuple[str, ...] = ()
    traffic_flow: TrafficFlow = OPEN
    redirect: Redirects = Redirects.DENY
    redirect_to: Gateway | None = None
    redirect_grace: Seconds = 60.0
    ipcomp: bool = False
    per_cpu_children: int = 0
    later_fragments: bool = True
    child_policies: tuple[ChildPolicy, ...] = field(init=False, repr=False, compare=False)
    """The Child SAs that this connection may have, in the order of the file."""

    def __post_init__(self) -> None:
        single = ChildPolicy(
            self.name,
            self.local_ts,
            self.peer_ts,
            self.esp,
            self.mode,
            self.start,
            self.replay_window,
            self.lifetimes,
            self.idle,
            self.traffic_flow,
            self.ipcomp,
            self.per_cpu_children,
            self.outer,
            self.later_fragments,
        )
        object.__setattr__(self, "child_policies", self.children or (single,))

    def child(self, name: str) -> ChildPolicy:
        """Return the Child SA of that name; the first one where there is none."""
        policies = self.child_policies
        return next((policy for policy in policies if policy.name == name), policies[0])

    def wanted(self, named: str = "") -> tuple[ChildPolicy, ...]:
        """Return the Child SAs to ask for when we start: the one named, or all that start alike."""
        policies = self.child_policies
        chosen = tuple(policy for policy in policies if policy.name == named)
        alike = {Start.NOW, self.start} - {Start.DEMAND}
        return (
            chosen or tuple(policy for policy in policies if policy.start in alike) or policies[:1]
        )

    @property
    def protected(self) -> tuple[ChildPolicy, ...]:
        """Return the Child SAs whose traffic never leaves in clear, also while they are not there.

        By default those that start by themselves; but not where the peer's name has to be looked
        up first, maybe by what would be closed.
        """
        if self.protect is not None:
            return self.child_policies if self.protect else ()
        if self.peer.host is not None:
            return ()
        return tuple(one for one in self.child_policies if one.start is not Start.WAIT)

    @property
    def does_mobike(self) -> bool:
        """Whether it may move: in transport mode the addresses are the traffic (RFC 4555 §1.2)."""
        is_tunnel = all(policy.mode is Mode.TUNNEL for policy in self.child_policies)
        return self.mobike and is_tunnel

    @property
    def eap_methods(self) -> tuple[str, ...]:
        """Return the EAP methods that may prove the peer, the best first."""
        return tuple(proof.eap_method for proof in self.peer_auth if proof.eap_method)

    def eap_methods_after(self, first: Proof) -> tuple[str, ...]:
        """Return the EAP methods that may prove a peer's user once its device has proven itself."""
        return tuple(both.then.eap_method for both in self.peer_twofold if both.first is first)

    @property
    def peer_firsts(self) -> tuple[Proof, ...]:
        """Return what may be the first of two proofs of the peer."""
        return tuple(dict.fromkeys(both.first for both in self.peer_twofold))

    @property
    def eap_proof(self) -> Proof:
        """Return how we prove ourselves by EAP, if we do: in the end, or at once."""
        return self.local_then or self.local_auth

    @property
    def accepted(self) -> tuple[Proof, ...]:
        """Return all proofs that we may ask the peer for, first or after another one."""
        parts = [part for both in self.peer_twofold for part in (both.first, both.then)]
        return tuple(dict.fromkeys((*self.peer_auth, *parts)))

    def takes(self, groups: tuple[str, ...]) -> bool:
        """Whether it is for who is in these groups."""
        return not self.groups or not set(self.groups).isdisjoint(groups)

    @property
    def may_initiate(self) -> bool:
        """Whether we may start it, which also needs a place to connect to."""
        return self.role is not Role.RESPONDER and self.peer.target is not None

    @property
    def may_respond(self) -> bool:
        """Whether the peer may start it."""
        return self.role is not Role.INITIATOR


def resolve_selectors(
    templates: tuple[SelectorTemplate, ...], dynamic: tuple[Address, ...]
) -> Selectors:
    """Return the selectors of a side, with `dynamic` replaced by its addresses."""
    return tuple(selector for template in templates for selector in template.resolve(dynamic))
