# SPDX-License-Identifier: Apache-2.0
"""The kernel's side of the plan: each step as one netlink request.

Everything here blocks for microseconds; `network` calls it in a thread of its own.
"""

import errno
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from ikeway.client.facts import SETTINGS, local_address, read_facts
from ikeway.client.plan import (
    JUMP_TARGET,
    TUNNEL,
    AddAddress,
    AddRoute,
    AddRule,
    Facts,
    Step,
    Version,
    rules,
)
from ikeway.client.steering import PolicyRule
from ikeway.model.address import Address
from ikeway.model.errors import HostError

_FAMILIES: Final[dict[int, int]] = {4: socket.AF_INET, 6: socket.AF_INET6}
_GONE: Final = {errno.ESRCH, errno.ENOENT, errno.ENODEV, errno.EADDRNOTAVAIL, errno.ENXIO}
_NO_FAMILY: Final = {errno.EAFNOSUPPORT, errno.EOPNOTSUPP, errno.EPFNOSUPPORT}
_NODAD: Final = 0x02
_GLOBAL_SCOPE: Final = 0
_UNUSABLE: Final = 0x08 | 0x20 | 0x40  # duplicate, deprecated, tentative (RFC 4862)
_ACTIONS: Final = {"lookup": "to_tbl", "goto": "goto", "pass": "nop"}


class Kernel:
    """A netlink socket of this network namespace."""

    def __init__(self) -> None:
        with _explained("opening a netlink socket"):
            self._netlink = IPRoute()
        versions: tuple[Version, ...] = (4, 6)
        self._versions = tuple(version for version in versions if self._has_rules(version))

    def close(self) -> None:
        """Close the socket."""
        self._netlink.close()

    def index_of(self, interface: str) -> int:
        """Return the index of an interface.

        Raises:
            HostError: there is none of that name.
        """
        found = self._netlink.link_lookup(ifname=interface)
        if not found:
            raise HostError(f"there is no network interface {interface!r}")
        return int(found[0])

    def has(self, index: int) -> bool:
        """Return whether there is an interface of that index."""
        try:
            return bool(self._netlink.get_links(index))
        except NetlinkError:
            return False

    def bring_up(self, index: int, interface: str, mtu: int) -> None:
        """Set the interface's MTU and switch it on, with IPv6 where the host allows that."""
        ipv6 = SETTINGS / "ipv6/conf" / interface
        for name, value in (("disable_ipv6", "0"), ("addr_gen_mode", "1"), ("accept_ra", "0")):
            with suppress(OSError):  # no IPv6, or a container that may not set it
                (ipv6 / name).write_text(value)
        with _explained(f"switching {interface} on with an MTU of {mtu}"):
            self._netlink.link("set", index=index, mtu=mtu, state="up")

    def facts(self, interface: str) -> Facts:
        """Return what plans for this interface have to know."""
        with _explained("reading this host's addresses"):
            found = list(self._netlink.get_addr(scope=_GLOBAL_SCOPE))
        return read_facts(found, self._versions, interface)

    def addresses(self, but: int) -> tuple[Address, ...]:
        """Return the addresses of global scope that can be used, but for those of an interface."""
        with _explained("reading this host's addresses"):
            found = list(self._netlink.get_addr(scope=_GLOBAL_SCOPE))
        usable = (m for m in found if m["index"] != but and not _flags(m) & _UNUSABLE)
        return tuple(dict.fromkeys(local_address(message) for message in usable))

    def add_rules(self, table: int) -> None:
        """Put the rules of a table into force, for every IP version that the kernel has.

        Raises:
            HostError: the kernel refuses, or does not understand them.
        """
        for version in self._versions:
            for rule in rules(version):
                self._add_rule(rule, table)

    def _add_rule(self, rule: AddRule, table: int) -> None:
        with _explained(f"adding an IPv{rule.version} rule to the routing policy"):
            self._netlink.rule("add", **_rule(rule, table))
        # Kernels before 4.17 leave out what they do not know, which would free all traffic.
        if rule.source_port and not self._knows_ports(rule.version, table):
            raise HostError(
                "the kernel has no routing rules by port: Linux 4.17 or newer is needed"
            )

    def steer(self, rules: Iterable[PolicyRule], table: int) -> None:
        """Put the rules of policies into force, in their order.

        Raises:
            HostError: the kernel refuses.
        """
        for rule in rules:
            if rule.version in self._versions:
                with _explained("adding a policy to the routing policy"):
                    self._netlink.rule("add", **_policy_rule(rule, table))

    def unsteer(self, rules: Iterable[PolicyRule], table: int) -> None:
        """Take the rules of policies back; what is gone already needs no undoing.

        Raises:
            HostError: the kernel refuses.
        """
        for rule in rules:
            if rule.version in self._versions:
                with _explained("removing a policy from the routing policy", unless=_GONE):
                    self._netlink.rule("del", **_policy_rule(rule, table))

    def apply(self, step: Step, index: int, table: int) -> None:
        """Put one step into force, instead of what was there under the same key.

        Raises:
            HostError: the kernel refuses.
        """
        match step:
            case AddAddress(address):
                with _explained(f"adding the address {address}"):
                    self._netlink.addr("replace", **_address(step, index))
            case AddRoute(network):
                with _explained(f"adding the route to {network}"):
                    self._netlink.route("replace", **_route(step, index, table))

    def undo(self, step: Step, index: int, table: int) -> None:
        """Undo one step; what is gone already needs no undoing.

        Raises:
            HostError: the kernel refuses.
        """
        match step:
            case AddAddress(address):
                with _explained(f"removing the address {address}", unless=_GONE):
                    self._netlink.addr("del", **_address(step, index))
            case AddRoute(network):
                with _explained(f"removing the route to {network}", unless=_GONE):
                    self._netlink.route("del", **_route(step, index, table))

    def sweep(self, table: int, index: int) -> None:
        """Remove every rule and route of a table and every address of an interface.

        Raises:
            HostError: the kernel refuses.
        """
        for family in (_FAMILIES[version] for version in self._versions):
            for rule in self._rules_of(family, table):
                with _explained("removing a rule from the routing policy", unless=_GONE):
                    self._netlink.rule("del", **rule)
            with _explained(f"emptying the routing table {table}", unless=_GONE):
                self._netlink.flush_routes(table=table, family=family)
        with _explained("removing the addresses of the tunnel", unless=_GONE):
            self._netlink.flush_addr(index=index)

    def _rules_of(self, family: int, table: int) -> list[dict[str, Any]]:
        """Return what names each rule of a table, the one that leads into the table first."""
        with _explained("reading the routing policy"):
            found = [rule for rule in self._netlink.get_rules(family=family) if _is_of(rule, table)]
        found.sort(key=lambda rule: int(rule["action"]))
        return [_naming(rule, family, table) for rule in found]

    def _has_rules(self, version: Version) -> bool:
        try:
            return any(True for _ in self._netlink.get_rules(family=_FAMILIES[version]))
        except NetlinkError as error:
            if version == 6 and error.code in _NO_FAMILY:
                return False
            raise HostError(
                f"the kernel has no routing rules for IPv{version}: {_words(error)}"
            ) from error

    def _knows_ports(self, version: Version, table: int) -> bool:
        found = self._netlink.get_rules(family=_FAMILIES[version])
        ours = [rule for rule in found if _is_of(rule, table)]
        return all(rule.get_attr("FRA_SPORT_RANGE") or rule.get_attr("FRA_FWMARK") for rule in ours)


def _flags(message: Any) -> int:
    return int(message.get_attr("IFA_FLAGS") or message["flags"])


def _rule(rule: AddRule, table: int) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "family": _FAMILIES[rule.version],
        "priority": rule.priority,
        "table": table,
        "action": _ACTIONS[rule.action],
    }
    if rule.action == "goto":
        asked["goto"] = JUMP_TARGET
    if rule.mark:
        asked["fwmark"] = rule.mark
    if rule.source_port:
        ports = f"{rule.source_port}:{rule.source_port}"
        asked |= {"ip_proto": socket.IPPROTO_UDP, "sport_range": ports}
        if rule.action == "goto":
            asked["iifname"] = "lo"  # stands for what this host itself sends
    return asked


def _policy_rule(rule: PolicyRule, table: int) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "family": _FAMILIES[rule.version],
        "priority": rule.priority,
        "table": table,
        "action": _ACTIONS["goto"],
        "goto": JUMP_TARGET if rule.is_around else TUNNEL,
    }
    for word, network in (("src", rule.local), ("dst", rule.peer)):
        if network is not None:
            asked |= {word: str(network[0]), f"{word}_len": network.prefixlen}
    if rule.protocol:
        asked["ip_proto"] = rule.protocol
    for word, ports in (("sport_range", rule.local_ports), ("dport_range", rule.peer_ports)):
        if ports is not None:
            asked[word] = f"{ports[0]}:{ports[1]}"
    return asked


def _naming(rule: Any, family: int, table: int) -> dict[str, Any]:
    """Return what a request needs to delete just this rule."""
    asked = {
        "family": family,
        "table": table,
        "priority": int(rule.get_attr("FRA_PRIORITY")),
        "action": int(rule["action"]),
    }
    target = rule.get_attr("FRA_GOTO")
    return asked if target is None else asked | {"goto": int(target)}


def _address(step: AddAddress, index: int) -> dict[str, Any]:
    return {
        "index": index,
        "family": _FAMILIES[step.address.version],
        "address": str(step.address),
        "prefixlen": step.address.max_prefixlen,
        "flags": _NODAD if step.address.version == 6 else 0,
    }


def _route(step: AddRoute, index: int, table: int) -> dict[str, Any]:
    asked: dict[str, Any] = {
        "family": _FAMILIES[step.network.version],
        "dst": str(step.network),
        "table": table,
    }
    if step.is_refusal:
        return asked | {"type": "unreachable"}
    if step.source is not None:
        asked["prefsrc"] = str(step.source)
    return asked | {"oif": index}


def _is_of(rule: Any, table: int) -> bool:
    return bool(rule.get_attr("FRA_TABLE") == table)


@contextmanager
def _explained(doing: str, unless: Iterable[int] = ()) -> Iterator[None]:
    """Turn the kernel's refusal into an error that says what we were doing; some are none to us."""
    try:
        yield
    except NetlinkError as error:
        if error.code not in unless:
            raise HostError(f"{doing}: {_words(error)}") from error
    except OSError as error:
        raise HostError(f"{doing}: {error.strerror}") from error


def _words(error: NetlinkError) -> str:
    name = errno.errorcode.get(error.code, str(error.code))
    hint = "; root or CAP_NET_ADMIN is needed" if error.code == errno.EPERM else ""
    return f"{error.args[-1]} ({name}){hint}"
