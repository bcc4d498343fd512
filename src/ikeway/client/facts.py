# SPDX-License-Identifier: Apache-2.0
"""What is so on this host: its addresses, from netlink's messages, and its switches, from /proc."""

from collections.abc import Iterable, Iterator, Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from ikeway.client.plan import Facts
from ikeway.model.address import Address

SETTINGS: Final = Path("/proc/sys/net")
_STRICT: Final = "1"


def read_facts(found: Sequence[Any], versions: Iterable[int], interface: str) -> Facts:
    """Return what plans for a tunnel's interface have to know.

    `found` are the addresses as netlink gives them, `versions` the IP versions that the kernel has.
    """
    is_off = _setting(f"ipv6/conf/{interface}/disable_ipv6")
    forwarded = {4: _setting("ipv4/ip_forward"), 6: _setting("ipv6/conf/all/forwarding")}
    return Facts(
        addresses=tuple(local_address(message) for message in found),
        known=frozenset(versions),
        carried=frozenset({4, 6} if is_off == "0" else {4}),
        forwarded=frozenset(version for version, value in forwarded.items() if value == "1"),
        strict=tuple(_strict(found)),
    )


def local_address(message: Any) -> Address:
    """Return the address that an address message is about."""
    return ip_address(message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS"))


def _strict(found: Iterable[Any]) -> Iterator[tuple[Address, str]]:
    """Yield the IPv4 addresses on interfaces whose reverse path filter is strict (RFC 3704)."""
    everywhere = _setting("ipv4/conf/all/rp_filter") or "0"
    for message in found:
        interface = message.get_attr("IFA_LABEL")  # IPv4 only, with an alias behind a colon
        if interface is not None:
            name = str(interface).split(":")[0]
            own = _setting(f"ipv4/conf/{name}/rp_filter") or "0"
            if max(everywhere, own) == _STRICT:
                yield local_address(message), name


def _setting(name: str) -> str | None:
    """Return a kernel setting; None if this kernel or container has none of that name."""
    try:
        return (SETTINGS / name).read_text().strip()
    except OSError:
        return None
