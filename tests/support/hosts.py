# SPDX-License-Identifier: Apache-2.0
"""Hosts to put on a ladder: with shared keys or certificates, over rows of suites and addresses."""

from dataclasses import dataclass, replace
from functools import cache
from ipaddress import ip_address, ip_network

from ikeway.auth.eap.accounts import Accounts
from ikeway.auth.eap.means import Means
from ikeway.crypto.authority import Authority, create_authority, issue
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.crypto.profile import Purpose
from ikeway.crypto.random import SeededRandom
from ikeway.ike.endpoint import Endpoint as IkeEndpoint
from ikeway.ike.environment import Environment
from ikeway.model.address import Address
from ikeway.model.identity import Identity
from ikeway.model.secret import Secret
from ikeway.policy.connection import Connection, Encapsulate, Proof, SelectorTemplate
from ikeway.policy.credentials import Credentials, IdPattern, LocalCertificate, PreSharedKey
from ikeway.policy.pools import Pool
from ikeway.policy.proposals import parse_esp, parse_ike
from ikeway.runtime.eap import Conversations, sequence
from ikeway.runtime.leases import Leases
from ikeway.runtime.pki import Pki
from support.ladder import Ladder, Nat
from support.pki import private_key
from support.shell import TODAY, Host

PSK = Secret(b"correct horse battery staple")
LEFT, RIGHT = "left.example", "right.example"
Changes = dict[str, object]


@dataclass(frozen=True)
class Row:
    """The circumstances of a ladder."""

    ike: str
    esp: str
    version: int
    behind_nat: bool = False

    def __str__(self) -> str:
        nat = "-nat" if self.behind_nat else ""
        return f"{self.ike.split('-')[0]}-ipv{self.version}{nat}"

    @property
    def addresses(self) -> tuple[Address, Address]:
        texts = (
            ("192.0.2.1", "198.51.100.2") if self.version == 4 else ("2001:db8::1", "2001:db8:1::2")
        )
        return ip_address(texts[0]), ip_address(texts[1])

    @property
    def nat(self) -> Nat | None:
        public = ip_address("203.0.113.9" if self.version == 4 else "2001:db8:2::9")
        return Nat(self.addresses[0], public) if self.behind_nat else None

    def connection(self, local: str, peer: str, /, **changes: object) -> Connection:
        """Return a plain connection by pre-shared key; `changes` are fields of `Connection`."""
        here, there = ("10.1.0.0/16", "10.2.0.0/16")
        here6, there6 = ("fd01::/32", "fd02::/32")
        if local != LEFT:
            here, there, here6, there6 = there, here, there6, here6
        plain = Connection(
            name=f"to-{peer}",
            local_id=Identity.parse(local),
            local_auth=Proof.PSK,
            peer_auth=(Proof.PSK,),
            peer_id=IdPattern(peer),
            local_ts=(template(here), template(here6)),
            peer_ts=(template(there), template(there6)),
            ike=(parse_ike(self.ike),),
            esp=(parse_esp(self.esp),),
            encapsulate=Encapsulate.NAT,
            mobike=False,
        )
        return replace(plain, **changes)  # type: ignore[arg-type]

    def psk(
        self,
        left: Changes | None = None,
        right: Changes | None = None,
        pools: dict[str, Pool] | None = None,
    ) -> Ladder:
        """Return two hosts that share a key; the arguments change their connections."""
        secrets = Credentials(secrets=(PreSharedKey(IdPattern("*"), PSK),))
        one = host("left", (self.connection(LEFT, RIGHT, **(left or {})),), secrets)
        two = host("right", (self.connection(RIGHT, LEFT, **(right or {})),), secrets, pools)
        return Ladder(one, two, self.addresses, self.nat)

    def certificates(
        self,
        left: Changes | None = None,
        right: Changes | None = None,
        key: KeyAlgorithm = KeyAlgorithm.ECDSA_256,
        pools: dict[str, Pool] | None = None,
    ) -> Ladder:
        """Return two hosts with certificates of one authority."""
        proof: Changes = {"local_auth": Proof.CERTIFICATE, "peer_auth": (Proof.CERTIFICATE,)}
        one = self.connection(LEFT, RIGHT, **proof | (left or {}))
        two = self.connection(RIGHT, LEFT, **proof | (right or {}))
        return Ladder(
            host("left", (one,), credentials(LEFT, key), pools, key),
            host("right", (two,), credentials(RIGHT, key), pools, key),
            self.addresses,
            self.nat,
        )


GCM = Row("aes256gcm16-prfsha384-x25519", "aes256gcm16", 4)
CBC = Row("aes256-sha256-x25519", "aes256-sha256", 6)
ROWS = (
    GCM,
    CBC,
    replace(GCM, version=6, behind_nat=True),
    replace(CBC, version=4, behind_nat=True),
)


def host(
    name: str,
    connections: tuple[Connection, ...],
    credentials: Credentials,
    pools: dict[str, Pool] | None = None,
    key: KeyAlgorithm = KeyAlgorithm.ECDSA_256,
) -> Host:
    """Return a host whose randomness depends on its name alone."""
    random = SeededRandom(Secret(name.encode().ljust(32, b".")))
    env = Environment(random, connections, credentials)
    pki = pki_of(credentials, key)
    tls = pki.tls(credentials.certificates)
    means = Means(Accounts(credentials.accounts), random, name.encode(), tls, sequence=sequence)
    eap = Conversations(means, env.limits.eap_rounds)
    return Host(name, IkeEndpoint(env), pki, Leases(pools or {}), eap)


def pki_of(credentials: Credentials, key: KeyAlgorithm = KeyAlgorithm.ECDSA_256) -> Pki:
    """Return the keys that belong to credentials, and the authorities in them."""
    names = {own.key for own in credentials.certificates}
    keys = {own: private_key(key, which(own)) for own in names}
    return Pki(keys, credentials.authorities, lambda: TODAY)


def which(name: str) -> int:
    """Return the number of a host's key among the cached ones."""
    return 1 + sum(name.encode()) % 97


CA = "Ladder CA"


@cache
def authority(name: str) -> Authority:
    """An authority of the session."""
    return create_authority(name, KeyAlgorithm.ECDSA_256, TODAY, 365)


@cache
def leaf(name: str, key: KeyAlgorithm, issuer: str, days: int = 30) -> LocalCertificate:
    """A certificate for `name`; that of the right host is a server's."""
    purpose: Purpose = "server" if name == RIGHT else "client"
    public = private_key(key, which(name)).public
    made = issue(authority(issuer), public, (Identity.parse(name),), purpose, TODAY, days)
    return LocalCertificate((made,), name)


def credentials(name: str, key: KeyAlgorithm = KeyAlgorithm.ECDSA_256) -> Credentials:
    """What proves that a host is `name`, and the authority that it believes."""
    return Credentials((leaf(name, key, CA),), (authority(CA).certificate,))


def template(text: str, protocol: int = 0, ports: tuple[int, int] = (0, 65535)) -> SelectorTemplate:
    """Return a selector of a connection; `dynamic` is the outer or virtual address."""
    network = None if text == "dynamic" else ip_network(text)
    return SelectorTemplate(network, protocol, ports)


ANY: tuple[Address, ...] = (ip_address("0.0.0.0"), ip_address("::"))
POOL = Pool(
    "staff",
    (ip_network("10.66.0.0/24"), ip_network("fd66::/64")),
    (ip_address("10.66.0.1"), ip_address("fd66::53")),
    ("corp.example.com",),
)
EVERYTHING = (template("0.0.0.0/0"), template("::/0"))
DYNAMIC = (template("dynamic"),)
CLIENT: Changes = {"virtual_ips": ANY, "local_ts": DYNAMIC, "peer_ts": EVERYTHING}
GATEWAY: Changes = {"pool": "staff", "peer_ts": DYNAMIC, "local_ts": EVERYTHING}
"""The two ends of a remote access: one asks for addresses, the other has a pool."""
