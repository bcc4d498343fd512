# SPDX-License-Identifier: Apache-2.0
"""The configuration file as a whole, the host, and the keys of a connection."""

from typing import Annotated, Literal

from pydantic import Field

from ikeway.config.child_table import ChildTable
from ikeway.config.credential_tables import CredentialsTable
from ikeway.config.dataplane_table import DataPlaneTable
from ikeway.config.lifetime_tables import LifetimesTable, RetransmissionTable
from ikeway.config.limits_table import LimitsTable
from ikeway.config.outer_tables import OuterTable
from ikeway.config.parsed import choice, written
from ikeway.config.policy_tables import PolicyTable
from ikeway.config.pool_table import PoolTable
from ikeway.config.radius_tables import RadiusTable
from ikeway.config.store import StoreTable
from ikeway.config.terms import (
    Address,
    AhProposal,
    Duration,
    EspProposal,
    GatewayName,
    Id,
    IkeProposal,
    Keepalive,
    ModeWord,
    Name,
    Pattern,
    Peer,
    Proofs,
    Selector,
    StartWord,
    Table,
    Text,
)
from ikeway.config.traffic_flow import TrafficFlowTable
from ikeway.policy.connection import (
    Childless,
    Encapsulate,
    Redirects,
    Role,
    UsePpk,
)
from ikeway.policy.revocation import Revocation
from ikeway.policy.suites import Suites


class Host(Table):
    """This machine."""

    identity: Id | None = None
    """Our ID, for connections without a `local_id`: a domain name, `user@domain`, an address, a
    certificate's subject (`C=CH, O=Example, CN=gateway`) or the octets of a key ID (`@#6b6579`)."""

    listen: list[Address] = written(["0.0.0.0", "::"], min_length=1)  # noqa: S104 - a gateway
    """Addresses on which UDP ports 500 and 4500 are opened."""

    workers: int = Field(default=1, ge=1, le=16)
    """How many processes share the work of IKE, each with whole IKE SAs; about one for a core."""

    crash_detection: bool = True
    """Give peers a token by which they know at once that we have restarted (RFC 6290)."""

    crash_key: Text | None = None
    """The file with the secret of these tokens, made if it is not there; by default `crash.key` in
    the run directory. Name one on a disk if peers are to know of a reboot, too; never one that
    another gateway uses."""


class ConnectionTable(Table):
    """`[connections.NAME]`: with whom, proven how, for which traffic, with which algorithms."""

    role: Annotated[Role, choice(Role)] = written("both")
    """Who may start it: `initiator` is us, `responder` the peer."""

    peer: Peer = written("any")
    """Where the peer is: `any`, an address, a prefix or a host name. To start it from here, it must
    be one address or a name."""

    local_address: Address | None = None
    """The address that we send from; by default the one that the host would use."""

    local_id: Id | None = None
    """Our ID; by default `[host] identity`, else the first name in our certificate."""

    local_auth: Proofs = written("certificate")
    """How we prove it: `psk`, `certificate`, `pubkey` (our key alone, which the peer has to know),
    or by EAP. That is for initiators: with a password `eap-mschapv2`
    and the weaker `eap-md5` and `eap-gtc`, or `eap-ttls` with the password inside
    TLS, with a certificate `eap-tls`. A responder may use the last two as well (RFC 5998). An
    initiator may have two proofs (RFC 4739), as in `certificate+eap-mschapv2`: of the device, then
    of its user, who is `eap_identity`. With `null` we do not prove it at all (RFC 7619), and say
    none unless `local_id` is set."""

    peer_id: Pattern = written("*")
    """Who the peer must be: an identity, or a pattern: `*`, `*.example.com`, `*@example.com`."""

    peer_auth: list[Proofs] = written(["certificate"], min_length=1)
    """What we accept as proof of that, the methods of EAP in the order in which to offer them. A
    responder proves itself by `certificate` or `pubkey` before EAP; for that one its key stands in
    `[[credentials.public_keys]]`. Of `certificate+eap-mschapv2` both have to
    come: `device_id` is for the first, `peer_id` for the user whom the second one proves. With
    `null`, alone, anybody may use the connection."""

    device_id: Pattern = written("*")
    """Which devices a peer with two proofs may use: whom the first one has to prove."""

    announce_methods: bool = False
    """Tell the peer by which methods and signature algorithms it may prove itself (RFC 9593), so
    that one with several keys shows the right one. What a peer announces is heeded in any case."""

    eap_identity: Text | None = None
    """Who we say we are in EAP: the name of one of `[[credentials.secrets]]`, by default what
    `local_id` says. It is our `local_id` where nothing else is set for this connection."""

    eap_server: Id | None = None
    """Who the server of EAP-TLS or TTLS has to be, by its certificate; by default the gateway."""

    eap_inner: Literal["mschapv2", "pap", "eap-mschapv2", "eap-md5", "eap-gtc"] = "mschapv2"
    """How we prove our password inside EAP-TTLS."""

    ask_eap_identity: bool = False
    """Ask a peer for its user's name in EAP, also where its ID looks like one. One whose ID is an
    address, a subject or a domain name with dots is asked in any case."""

    revocation: Annotated[Revocation, choice(Revocation)] = written("lenient")
    """Whether the peer's certificate, and those above it, may have been revoked: `strict` believes
    it only where its status is known to be good, `lenient` where it is not known to be revoked,
    `off` never asks. A certificate that is revoked later ends the IKE SA."""

    local_ts: list[Selector] = written(["dynamic"], min_length=1)
    """Our side of the traffic: prefixes, or `dynamic`, which is our virtual address, else our outer
    one. A suffix selects protocol and ports: `[tcp/443]`, `[udp/1000-2000]`, `[icmp/8]`, `[47]`."""

    peer_ts: list[Selector] = written(["dynamic"], min_length=1)
    """The peer's side; `dynamic` is the virtual address that we lend it, else its outer one."""

    pool: Name | None = None
    """The pool that the peer's virtual addresses come from."""

    groups: list[Text] = []
    """Only for users that are in one of these groups: with `eap-radius` the server says so by
    Class or Filter-Id, with other methods `ikeway user`."""

    require_address_request: bool = False
    """Refuse peers that do not ask for a virtual address (FAILED_CP_REQUIRED)."""

    virtual_ips: list[Address] = []
    """Addresses that we ask the peer for: `0.0.0.0` and `::` ask for any."""

    suites: Annotated[Suites, choice(Suites)] = written("modern")
    """Which proposals there are where `ike` and `esp` do not say: `modern` has AEAD ciphers and
    strong groups only, `compatible` also what built-in clients and routers need, `legacy` also what
    nobody should use any more. They are listed below."""

    ike: list[IkeProposal] | None = Field(default=None, min_length=1)
    """Proposals for the IKE SA, best first: `aes256gcm16-prfsha384-x25519`. By default, those of
    `suites`."""

    esp: list[EspProposal] | None = Field(default=None, min_length=1)
    """Proposals for Child SAs, best first: `aes256gcm16-esn`. By default, those of `suites`."""

    ah: list[AhProposal] | None = Field(default=None, min_length=1)
    """Proposals for AH in place of `esp`, best first: `sha256-esn`. Packets are protected with the
    addresses before them, but everybody can read them, and they do not pass a NAT."""

    legacy: bool = False
    """Allow what old peers need and nobody should use: 3DES, SHA-1, MODP 1024 and 1536 in
    proposals, and SHA-1 in the peer's signature."""

    start: StartWord = written("wait")
    """`now`: start with the daemon and keep it up, until `ikeway disconnect`; `demand`: when a
    packet wants to go through; it waits until it can; `wait`: when told to, or by the peer."""

    idle: Duration | None = None
    """On demand: close after so long without traffic; by default never."""

    mode: ModeWord = written("tunnel")
    """How packets are wrapped: `tunnel`, or `transport`, for traffic of the two hosts themselves;
    then the selectors are `dynamic`, and a peer that wants a tunnel instead gets none."""

    children: dict[Name, ChildTable] = {}
    """Several Child SAs instead of one: `[connections.NAME.children.CHILD]`."""

    encapsulation: Annotated[Encapsulate, choice(Encapsulate)] = written("always")
    """When ESP goes in UDP (RFC 3948): `always`, which passes more firewalls and is faster with our
    engine, or only behind a `nat`: elsewhere it is IP protocol 50, eight octets shorter."""

    traffic_flow: TrafficFlowTable = TrafficFlowTable()
    """How the shape of its traffic is hidden: see below."""

    protect: bool | None = None
    """Let nothing of its traffic out in clear, nor in, also while no Child SA is there, and after a
    crash. By default so where `start` is `now` or `demand`, but not where `peer` is a host name: it
    has to be looked up first. `false` leaves that to the host's routes."""

    mobike: bool = True
    """Offer and accept MOBIKE (RFC 4555): the IKE SA and its traffic follow when either side gets
    other addresses. Without it, only a peer behind a NAT is followed (RFC 7296 §2.23)."""

    return_routability: bool = True
    """Send traffic to a peer's new address only once it has shown that our packets reach it there
    (RFC 4555 §3.7): nobody can turn the tunnel on a third party. Costs one round trip a move."""

    replay_window: int = Field(default=1024, ge=0, le=65536)
    """How many packets may overtake one another, at least 32; 0 switches the replay check off."""

    ipcomp: bool = False
    """Compress packets before they are encrypted, if the peer agrees (IPComp, RFC 3173). Their
    lengths then tell something of what is in them: leave it off where somebody else can put data
    beside secrets of yours, as any web page can."""
    per_cpu_children: int = Field(default=0, ge=0, le=16)
    """How many more Child SAs carry the same traffic, each for a CPU of its own (RFC 9611), if the
    peer wants them as well; best as many as `dataplane.queues`. For gateways that trust each other:
    up to twice as many are let in."""

    outer: OuterTable = OuterTable()
    """How the headers are made that carry its packets."""

    later_fragments: bool | None = None
    """Where a Child SA is for certain ports: whether fragments, of which only the first has ports,
    are carried too, if the peer agrees (RFC 4301 §7.3). By default they are, by our engine; the
    kernel's data plane cannot."""

    lifetimes: LifetimesTable = LifetimesTable()
    """When SAs are replaced."""

    liveness: Duration = written("30s")
    """A peer that died is noticed within this time. It is asked whether it is alive only where that
    is in doubt: when we send and nothing comes back, or when all was silent for half of it."""

    keepalive: Keepalive = written("20s")
    """How often the NAT before us is sent a packet that keeps its mapping (RFC 3948 §4). Longer
    spares a battery, if that NAT remembers so long: many forget after 30 s, nobody tells."""

    retransmission: RetransmissionTable = RetransmissionTable()
    """When an unanswered request is sent again."""

    window: int = Field(default=1, ge=1, le=64)
    """How many requests may be under way at a time, each way, where the peer allows as many (RFC
    7296 §2.3)."""

    fragmentation: bool = True
    """Send long IKE messages in fragments of their own (RFC 7383), which pass where fragments of IP
    are lost, if the peer can do so too."""

    fragment_size: int = Field(default=1280, ge=576, le=65535)
    """The largest IP datagram for IKE. Without an answer smaller ones are tried, down to 576, or
    1280 with IPv6."""

    initial_contact: bool = False
    """Tell the peer that we have no other IKE SA with it, while that is so: it drops old ones
    (RFC 7296 §2.4)."""

    childless: Annotated[Childless, choice(Childless)] = written("allow")
    """Whether the IKE SA begins without a Child SA, which follows at once (RFC 6023). A peer that
    starts may do so with `allow` and `prefer`, may not with `never`, must with `force`. Where we
    start, `prefer` does so if the peer can, `force` always, the others never."""

    resumption: bool = False
    """Ask the peer for a ticket and give it one (RFC 5723). After the connection was lost it is up
    again without certificates, passwords or a key exchange; so who learns its keys can read on."""

    redirect: Annotated[Redirects, choice(Redirects)] = written("deny")
    """Whether to go where the gateway sends us (RFC 5685). Who is there has to prove the same
    `peer_id`."""

    redirect_to: GatewayName | None = None
    """An address or a host name: clients that follow redirects are sent there, others served."""

    redirect_grace: Duration = written("60s")
    """How long a client that was sent elsewhere may stay until it is up there."""

    ticket_lifetime: Duration = written("4h")
    """How long a ticket of ours holds, at most as long as the IKE SA would, and a day."""

    ppk: Annotated[UsePpk, choice(UsePpk)] = written("off")
    """Mix a postquantum preshared key (RFC 8784) into the keys: `prefer` where the peer has it too,
    `require` always. Keys are in `[[credentials.secrets]]`; who starts names one by `ppk_id`, who
    answers takes any that it has."""

    ppk_id: Text | None = None
    """Which of the `ppk` secrets to use where we start: its `id`."""

    @property
    def allows_legacy(self) -> bool:
        """Whether weak algorithms were opted into, one way or the other."""
        return self.legacy or self.suites is Suites.LEGACY


class Document(Table):
    """The whole file."""

    host: Host = Host()
    credentials: CredentialsTable = CredentialsTable()
    pools: dict[Name, PoolTable] = {}
    connections: dict[Name, ConnectionTable] = {}
    policies: dict[Name, PolicyTable] = {}
    limits: LimitsTable = LimitsTable()
    radius: RadiusTable = RadiusTable()
    dataplane: DataPlaneTable = DataPlaneTable()
    store: StoreTable = StoreTable()
