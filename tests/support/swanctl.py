# SPDX-License-Identifier: Apache-2.0
"""swanctl.conf for strongSwan, where the options of `peer-strongswan` do not reach."""

from collections.abc import Mapping
from typing import Any, TypeAlias

Section: TypeAlias = Mapping[str, Any]


def base(options: Mapping[str, str], secret: str) -> dict[str, Any]:
    """Return a configuration with a pre-shared key from the options of `peer-strongswan up`."""
    us, them = ("client", "server") if options["role"] == "initiator" else ("server", "client")
    connection = {
        "version": "2",
        "local_addrs": options["local"],
        "proposals": options["ike"],
        "local": {"auth": "psk", "id": f"{us}.lab"},
        "remote": {"auth": "psk", "id": f"{them}.lab"},
        "children": {
            "net": {
                "esp_proposals": options["esp"],
                "local_ts": options["local_ts"],
                "remote_ts": options["remote_ts"],
            }
        },
    }
    if "remote" in options:
        connection["remote_addrs"] = options["remote"]
    return {"connections": {"lab": connection}, "secrets": {"ike-lab": {"secret": secret}}}


def merge(first: Section, second: Section) -> dict[str, Any]:
    """Return both; where both say something the second counts, and None takes away."""
    merged = dict(first)
    for key, value in second.items():
        if isinstance(value, Mapping):
            merged[key] = merge(merged.get(key, {}), value)
        elif value is None:
            merged.pop(key, None)
        else:
            merged[key] = value
    return merged


def render(section: Section, indent: str = "") -> str:
    """Return sections and settings as swanctl reads them."""
    lines = []
    for key, value in section.items():
        if isinstance(value, Mapping):
            lines += [f"{indent}{key} {{", render(value, indent + "  "), f"{indent}}}"]
        else:
            lines.append(f"{indent}{key} = {value}")
    return "\n".join(lines)
