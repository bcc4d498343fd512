# SPDX-License-Identifier: Apache-2.0
"""From a TOML file to the frozen values of `policy`: behind this nobody sees pydantic."""

import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from ikeway.config.complaints import complain
from ikeway.config.connections import Surroundings, build_connection
from ikeway.config.credentials import build_credentials, build_sources
from ikeway.config.findings import Finding, Findings, InvalidConfigError
from ikeway.config.null_auth import check_pools
from ikeway.config.policies import build_policies
from ikeway.config.positions import positions
from ikeway.config.radius import build_radius
from ikeway.config.schema import Document
from ikeway.config.secrets import Sources
from ikeway.config.store import build_store, names_of
from ikeway.crypto.keypair import PrivateKey
from ikeway.model.address import Address
from ikeway.model.errors import ConfigError
from ikeway.model.identity import Identity
from ikeway.model.policies import TrafficPolicy
from ikeway.policy.connection import Connection
from ikeway.policy.credentials import Credentials
from ikeway.policy.limits import Limits
from ikeway.policy.pools import Pool
from ikeway.policy.radius import RadiusSettings
from ikeway.policy.revocation import StatusSources
from ikeway.policy.store import StoreSettings
from ikeway.policy.token_key import TokenKey

FILE_OCTETS: Final = 16 << 20
NO_STORE: Final = StoreSettings(Path("/nonexistent"), Path("/nonexistent"))


@dataclass(frozen=True, slots=True)
class HostSettings:
    """This machine: who it is, where it listens, and how many processes share the work."""

    identity: Identity | None
    listen: tuple[Address, ...]
    workers: int = 1
    crash_detection: bool = True
    crash_key: Path | None = None


@dataclass(frozen=True, slots=True)
class DataPlaneSettings:
    """What carries the packets: `engine` or `null`."""

    backend: str
    interface: str
    mtu: int
    queues: int = 0
    busy_poll: int = 0
    hold: bool = False


@dataclass(frozen=True, slots=True)
class Loaded:
    """A whole configuration that can be used.

    Private keys are by the names in `credentials`; those of `tokens` stay in them.
    """

    file: Path
    host: HostSettings
    connections: tuple[Connection, ...]
    credentials: Credentials
    private_keys: dict[str, PrivateKey]
    tokens: dict[str, TokenKey]
    pools: dict[str, Pool]
    limits: Limits
    dataplane: DataPlaneSettings
    warnings: tuple[str, ...]
    sources: StatusSources = field(default=StatusSources())
    radius: RadiusSettings | None = None
    store: StoreSettings = field(default=NO_STORE)
    policies: tuple[TrafficPolicy, ...] = ()


def load(path: Path) -> Loaded:
    """Return the configuration in a file.

    Raises:
        InvalidConfigError: it is wrong; says everything that is, with file, line and key.
        ConfigError: the file cannot be read.
    """
    text = _read(path)
    content = _parse(path, text)
    findings = Findings(path, positions(text))
    try:
        document = Document.model_validate(content)
    except ValidationError as error:
        complain(error, findings)
        findings.raise_errors()
        raise ConfigError(f"{path}: {error}") from error
    loaded = _build(document, findings)
    findings.raise_errors()
    return loaded


@dataclass(frozen=True, slots=True)
class Book:
    """Where users are kept, and `taken`, the names that the configuration itself has."""

    settings: StoreSettings
    taken: frozenset[str]


def load_book(path: Path) -> Book:
    """Return where a configuration keeps its users, whatever else is wrong with it.

    Raises:
        ConfigError: the file cannot be read, is no TOML, or its `[store]` is wrong.
    """
    text = _read(path)
    content = _parse(path, text)
    findings = Findings(path, positions(text))
    try:
        document = Document.model_validate({"store": content.get("store", {})})
    except ValidationError as error:
        complain(error, findings)
        findings.raise_errors()
        raise ConfigError(f"{path}: {error}") from error
    settings = _store(document, findings)
    findings.raise_errors()
    return Book(settings, frozenset(names_of(content)))


def _read(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            octets = stream.read(FILE_OCTETS + 1)
    except OSError as error:
        raise ConfigError(
            f"cannot read {path}: {error.strerror}; name a configuration file with -c FILE"
        ) from error
    if len(octets) > FILE_OCTETS:
        raise ConfigError(f"{path} is longer than {FILE_OCTETS} octets")
    try:
        return octets.decode().replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = octets.count(b"\n", 0, error.start) + 1
        raise InvalidConfigError((Finding(path, line, "", "this is not UTF-8"),)) from error


def _parse(path: Path, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        where = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line = int(where[1]) if where else text.rstrip().count("\n") + 1
        reason = str(error).split(" (at ", maxsplit=1)[0]
        finding = Finding(path, line, "", f"not TOML: {reason}")
        raise InvalidConfigError((finding,)) from error


def _build(document: Document, findings: Findings) -> Loaded:
    sources, store = Sources(findings.file.parent, findings), _store(document, findings)
    credentials, keys = build_credentials(document.credentials, sources)
    around = Surroundings(document, credentials, findings, store.file.exists())
    connections = tuple(
        build_connection(name, table, around) for name, table in document.connections.items()
    )
    check_pools(connections, findings)
    if not connections:
        findings.warn((), "there are no connections; add [connections.NAME]")
    policies = build_policies(document.policies, findings)
    radius = build_radius(document, connections, sources)
    return Loaded(
        file=findings.file,
        host=_host(document, findings),
        connections=connections,
        credentials=credentials,
        private_keys={name: key for name, key in keys.items() if isinstance(key, PrivateKey)},
        tokens={name: key for name, key in keys.items() if isinstance(key, TokenKey)},
        pools=_pools(document, findings),
        limits=Limits(**document.limits.model_dump()),
        dataplane=_plane(document),
        warnings=tuple(map(str, findings.warnings)),
        sources=build_sources(document.credentials.revocation, sources),
        radius=radius,
        store=store,
        policies=policies,
    )


def _plane(document: Document) -> DataPlaneSettings:
    plane = document.dataplane
    return DataPlaneSettings(
        backend=plane.backend.value,
        interface=plane.interface,
        mtu=plane.mtu,
        queues=plane.queues,
        busy_poll=plane.busy_poll,
        hold=plane.hold,
    )


def _host(document: Document, findings: Findings) -> HostSettings:
    host = document.host
    key = findings.file.parent / host.crash_key if host.crash_key else None
    return HostSettings(
        identity=host.identity,
        listen=_listen(document, findings),
        workers=host.workers,
        crash_detection=host.crash_detection,
        crash_key=key,
    )


def _listen(document: Document, findings: Findings) -> tuple[Address, ...]:
    listen = document.host.listen
    for index, address in enumerate(listen):
        if address in listen[:index]:
            findings.error(("host", "listen", index), f"{address} stands there twice")
    return tuple(listen)


def _pools(document: Document, findings: Findings) -> dict[str, Pool]:
    pools = {}
    for name, table in document.pools.items():
        for index, network in enumerate(table.ranges):
            for other in table.ranges[:index]:
                if network.version == other.version and network.overlaps(other):
                    findings.error(("pools", name, "ranges", index), f"{network} overlaps {other}")
        pools[name] = Pool(name, tuple(table.ranges), tuple(table.dns), tuple(table.domains))
    return pools


def _store(document: Document, findings: Findings) -> StoreSettings:
    with findings.at(("store", "url")):
        return build_store(document.store, findings.file.parent)
    return NO_STORE
