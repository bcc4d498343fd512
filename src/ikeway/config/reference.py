# SPDX-License-Identifier: Apache-2.0
"""The reference page of the configuration, made from the schema."""

import json
import sys
from collections.abc import Iterator
from typing import Any, Final

from pydantic import BaseModel

from ikeway.config import (
    child_table,
    credential_tables,
    dataplane_table,
    lifetime_tables,
    limits_table,
    outer_tables,
    policy_tables,
    pool_table,
    schema,
    store,
    traffic_flow,
)
from ikeway.config.proposals import words
from ikeway.policy.suites import OFFERS

INTRO: Final = """\
<!-- Written by `python -m ikeway.config.reference` from src/ikeway/config. -->
# Configuration keys

One TOML file, by default `/etc/ikeway/ikeway.toml`. An unknown key or a bad value is an error with
its file, its line and what is allowed there; `ikeway config check` finds all of them at once,
`ikeway config show` prints what is in force, `ikeway config schema` a JSON schema for editors.

Times are written as `"30s"`, `"4h"`, `"1h30m"`, `"500ms"`; amounts of data as `"64GiB"`, `"500MB"`.
"""
TABLES: Final[tuple[tuple[str, type[BaseModel]], ...]] = (
    ("[host]", schema.Host),
    ("[credentials]", credential_tables.CredentialsTable),
    ("[[credentials.secrets]]", credential_tables.Secret),
    ("[pools.NAME]", pool_table.PoolTable),
    ("[connections.NAME]", schema.ConnectionTable),
    ("[connections.NAME.children.CHILD]", child_table.ChildTable),
    ("lifetimes", lifetime_tables.LifetimesTable),
    ("retransmission", lifetime_tables.RetransmissionTable),
    ("traffic_flow", traffic_flow.TrafficFlowTable),
    ("outer", outer_tables.OuterTable),
    ("[policies.NAME]", policy_tables.PolicyTable),
    ("[limits]", limits_table.LimitsTable),
    ("[dataplane]", dataplane_table.DataPlaneTable),
    ("[store]", store.StoreTable),
)


def json_schema() -> dict[str, Any]:
    """Return the JSON schema of the file."""
    return schema.Document.model_json_schema()


def page() -> str:
    """Return the page in Markdown."""
    parts = [INTRO, *(_table(title, table) for title, table in TABLES), _defaults()]
    return "\n".join(parts)


def _table(title: str, table: type[BaseModel]) -> str:
    described = table.model_json_schema()
    required = described.get("required", [])
    rows = [
        _row(key, facts, is_required=key in required)
        for key, facts in described["properties"].items()
    ]
    about = (table.__doc__ or "").split(": ", maxsplit=1)[-1]
    about = about[0].upper() + about[1:]
    head = "| key | is | default | meaning |\n|---|---|---|---|"
    return "\n".join([f"## `{title}`\n\n{about}\n\n{head}", *rows, ""])


def _row(key: str, facts: dict[str, Any], *, is_required: bool) -> str:
    default = "required" if is_required else _default(facts.get("default"))
    meaning = " ".join(facts.get("description", "").split())
    return f"| `{key}` | {_kind(facts)} | {default} | {meaning} |"


def _default(value: object) -> str:
    if value is None or value == []:
        return ""
    if isinstance(value, dict) or value is ...:
        return ""
    return f"`{json.dumps(value, ensure_ascii=False)}`"


def _kind(facts: dict[str, Any]) -> str:
    """Return what a key's value is, in words."""
    options = [each for each in facts.get("anyOf", ()) if each.get("type") != "null"]
    if options:
        return _kind(options[0])
    if "enum" in facts:
        return ", ".join(f"`{word}`" for word in facts["enum"])
    if facts.get("type") == "array":
        return f"list, each {_kind(facts['items'])}"
    if "$ref" in facts or "additionalProperties" in facts:
        return "table"
    return str(facts.get("format") or _plain(facts))


def _plain(facts: dict[str, Any]) -> str:
    limits = [str(facts[limit]) for limit in ("minimum", "maximum") if limit in facts]
    word = {"string": "a string", "integer": "a number", "number": "a number"}
    kind = word.get(str(facts.get("type")), "`true`, `false`")
    return f"{kind}, {' to '.join(limits)}" if limits else kind


def _defaults() -> str:
    return "\n".join(["## Suites\n", *_listed(), ""])


def _listed() -> Iterator[str]:
    for suites, offers in OFFERS.items():
        yield f"### {suites.value}\n"
        for key, specs in (("ike", offers.ike), ("esp", offers.esp)):
            yield f"`{key}`:\n"
            yield from (f"- `{words(spec)}`" for spec in specs)
            yield ""


if __name__ == "__main__":
    sys.stdout.write(page())
