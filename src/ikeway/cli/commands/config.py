# SPDX-License-Identifier: Apache-2.0
"""`ikeway config`: look at a configuration without starting anything."""

from typing import TYPE_CHECKING, Final

import typer

from ikeway.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, complain
from ikeway.runtime.log import plain

if TYPE_CHECKING:
    from ikeway.config.findings import InvalidConfigError

_CHECK_EXAMPLE: Final = "Example: ikeway config check -c site.toml"
_SHOW_EXAMPLE: Final = "Example: ikeway config show -c site.toml"
_SCHEMA_EXAMPLE: Final = "Example: ikeway config schema > ikeway.schema.json"

app = typer.Typer(help="Check, show and describe configurations.", no_args_is_help=True)


@app.command(epilog=_CHECK_EXAMPLE)
def check(*, config: ConfigOption = DEFAULT_CONFIG, json: JsonOption = False) -> None:
    """Check a configuration and say everything that is wrong, and where."""
    from ikeway.config.findings import InvalidConfigError
    from ikeway.config.load import load

    try:
        loaded = load(config)
    except InvalidConfigError as error:
        _refuse(error, json=json)
        raise typer.Exit(1) from error
    if json:
        _print({"ok": True, "errors": [], "warnings": list(loaded.warnings)})
        return
    for warning in loaded.warnings:
        print(f"warning: {plain(warning)}")
    print(f"ok: {_counted(len(loaded.connections), 'connection')}{_names(loaded.connections)}")


@app.command(epilog=_SHOW_EXAMPLE)
def show(config: ConfigOption = DEFAULT_CONFIG) -> None:
    """Print a configuration as it is understood, defaults and all, without its secrets."""
    from ikeway.config.load import load
    from ikeway.config.show import show as text

    print(text(load(config)), end="")


@app.command(epilog=_SCHEMA_EXAMPLE)
def schema() -> None:
    """Print the JSON schema of the configuration, for editors."""
    from ikeway.config.reference import json_schema

    _print(json_schema(), indent=2)


def _refuse(error: "InvalidConfigError", *, json: bool) -> None:
    if json:
        found = [
            {"file": str(item.file), "line": item.line, "key": item.key, "text": item.text}
            for item in error.findings
        ]
        _print({"ok": False, "errors": found, "warnings": []})
        return
    complain(str(error))
    complain(_counted(len(error.findings), "error"))


def _print(value: object, indent: int | None = None) -> None:
    from json import dumps

    print(dumps(value, indent=indent, ensure_ascii=False))


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _names(connections: tuple[object, ...]) -> str:
    names = ", ".join(str(getattr(connection, "name", "")) for connection in connections)
    return f" ({names})" if names else ""
