# SPDX-License-Identifier: Apache-2.0
"""Strings of the configuration and the values that they mean: times, sizes, networks, selectors."""

import re
from collections.abc import Callable, Iterator
from ipaddress import ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from ikeway.model.address import Address, Network
from ikeway.model.errors import ConfigError
from ikeway.model.selectors import PORT_MAX
from ikeway.model.time import Seconds
from ikeway.policy.connection import Gateway, PeerAddress, SelectorTemplate
from ikeway.policy.credentials import IdPattern, parse_identity

SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0, "d": 86400.0}
OCTETS: Final[dict[str, int]] = {
    **{f"{prefix}iB": 1 << 10 * power for power, prefix in enumerate("KMGT", 1)},
    **{f"{prefix}B": 1000**power for power, prefix in enumerate("kMGT", 1)},
    "B": 1,
}
PROTOCOLS: Final = {"icmp": 1, "tcp": 6, "udp": 17, "gre": 47, "icmpv6": 58, "sctp": 132}
_ICMP: Final = frozenset({1, 58})
_HOST: Final = re.compile(
    r"(?=.{1,253}$)(?:[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?\.)*"
    r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
)
_SELECTOR: Final = re.compile(r"(?P<where>[^\[\]]+?)\s*(?:\[(?P<what>[^\[\]]*)\])?")


def duration(least: Seconds = 1.0, most: Seconds = 366 * SECONDS["d"]) -> Callable[[str], Seconds]:
    """Return a parser of times between two limits, such as `4h` or `1m30s`."""

    def parse(text: str) -> Seconds:
        parts = re.findall(r"([0-9]+(?:\.[0-9]+)?)(ms|min|[smhd])", text)
        if not parts or "".join(number + unit for number, unit in parts) != text:
            raise ConfigError(f'{text!r} is not a length of time; write "30s", "4h" or "1h30m"')
        seconds = sum(float(number) * SECONDS[unit] for number, unit in parts)
        if not least <= seconds <= most:
            raise ConfigError(f"{text!r} is out of range; allowed is {span(least)} to {span(most)}")
        return seconds

    return parse


def duration_or_none(least: Seconds = 1.0) -> Callable[[str], Seconds]:
    """Return a parser of times from a limit on, where `none` is 0: it never comes."""
    parse = duration(least)
    return lambda text: 0.0 if text == "none" else parse(text)


def certificate_url(text: str) -> str:
    """Return the beginning of URLs that may be fetched.

    Raises:
        ConfigError: it is none.
    """
    parts = urlsplit(text)
    if parts.scheme != "http" or not parts.hostname or parts.username or parts.query:
        raise ConfigError(f"{text!r} is not http://HOST/PATH")
    return text


def octets(text: str) -> int:
    """Return an amount of data: `64GiB`; `none` is 0, no limit.

    Raises:
        ConfigError: it is none, or too little to be of use.
    """
    if text == "none":
        return 0
    match = re.fullmatch(r"([0-9]{1,18}) ?([kKMGT]?i?B)", text)
    if match is None or match[2] not in OCTETS:
        raise ConfigError(f'{text!r} is not an amount of data; write "64GiB", "500MB" or "none"')
    amount = int(match[1]) * OCTETS[match[2]]
    if not 1 << 20 <= amount <= 1 << 60:
        raise ConfigError(f"{text!r} is out of range; allowed is 1MiB to 1048576TiB, or none")
    return amount


def address(text: str) -> Address:
    """Return an IPv4 or IPv6 address.

    Raises:
        ConfigError: it is none.
    """
    try:
        found = ip_address(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is not an IPv4 or IPv6 address") from error
    if "%" in text:
        raise ConfigError(f"{text!r}: an address with a zone cannot be used here")
    return found


def network(text: str) -> Network:
    """Return a prefix; a single address is a prefix of its own.

    Raises:
        ConfigError: it is none, or it has bits behind the prefix.
    """
    try:
        return ip_network(text)
    except ValueError as error:
        raise ConfigError(f"{text!r} is not a prefix such as 10.0.0.0/8{_meant(text)}") from error


def peer(text: str) -> PeerAddress:
    """Return where a peer is: `any`, an address, a prefix or a host name.

    Raises:
        ConfigError: it is none of these.
    """
    found = PeerAddress.parse(text)
    if found.host is None:
        return found
    if not _HOST.fullmatch(text) or re.fullmatch(r"[0-9.]+", text):
        raise ConfigError(f'{text!r} is not an address, a prefix, a host name or "any"')
    return found


def gateway(text: str) -> Gateway:
    """Return a gateway: an address or a host name.

    Raises:
        ConfigError: it is neither.
    """
    found = peer(text).target
    if found is None:
        raise ConfigError(f"{text!r} is not an address or a host name")
    return found


def domain(text: str) -> str:
    """Return a domain name without its final dot.

    Raises:
        ConfigError: it is none.
    """
    name = text.removesuffix(".")
    if not _HOST.fullmatch(name):
        raise ConfigError(f"{text!r} is not a domain name")
    return name


def id_pattern(text: str) -> IdPattern:
    """Return which identities `text` matches.

    Raises:
        ConfigError: it is no identity and has no wildcard.
    """
    if "*" not in text:
        parse_identity(text)
    return IdPattern(text)


def selector(text: str) -> SelectorTemplate:
    """Return a traffic selector: `10.0.0.0/8`, `dynamic`, `dynamic[udp/1000-2000]`.

    Raises:
        ConfigError: it is none; says which part is wrong.
    """
    match = _SELECTOR.fullmatch(text)
    if match is None:
        raise ConfigError(
            f"{text!r} is not a traffic selector; write 10.0.0.0/8, dynamic or 10.0.0.0/8[tcp/443]"
        )
    where = None if match["where"] == "dynamic" else network(match["where"])
    if match["what"] is None:
        return SelectorTemplate(where)
    word, _, ports = match["what"].partition("/")
    number = _protocol(word)
    return SelectorTemplate(where, number, _ports(number, ports or "any"))


def _protocol(word: str) -> int:
    if word == "any":
        return 0
    number = PROTOCOLS.get(word.lower(), -1)
    if word.isascii() and word.isdigit():
        number = int(word)
    if not 0 <= number <= 255:
        raise ConfigError(
            f"{word!r} is not a protocol; allowed are {', '.join(PROTOCOLS)}, any and 0 to 255"
        )
    return number


def _ports(protocol: int, text: str) -> tuple[int, int]:
    """Return a range of ports; for ICMP, of type and code (RFC 7296 §3.13.1)."""
    if text == "any":
        return 0, PORT_MAX
    if protocol == 0:
        raise ConfigError(f"ports {text!r} need a protocol that has ports, such as tcp/{text}")
    if text == "opaque":
        return PORT_MAX, 0
    if protocol in _ICMP:
        return _icmp(text)
    match = re.fullmatch(r"([0-9]{1,5})(?:-([0-9]{1,5}))?", text)
    first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
    if not first <= last <= PORT_MAX:
        raise ConfigError(f"{text!r} is not a port or range of ports from 0 to {PORT_MAX}")
    return first, last


def _icmp(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"([0-9]{1,3})(?:\.([0-9]{1,3}))?", text)
    kind, code = (int(match[1]), match[2]) if match else (256, None)
    if kind > 255 or int(code or 0) > 255:
        raise ConfigError(f"{text!r} is not an ICMP type, or type.code, of numbers from 0 to 255")
    return kind << 8 | int(code or 0), kind << 8 | (255 if code is None else int(code))


def _meant(text: str) -> str:
    """Return a hint for a prefix with bits behind it."""
    try:
        return f"; did you mean {ip_network(text, strict=False)}?"
    except ValueError:
        return ""


def span(seconds: Seconds) -> str:
    """Return a time as the configuration writes it."""
    return "".join(_units(round(seconds * 1000))) or "0s"


def _units(milliseconds: int) -> Iterator[str]:
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, milliseconds = divmod(milliseconds, size)
        if count:
            yield f"{count}{unit}"
