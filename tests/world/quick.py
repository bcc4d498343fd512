# SPDX-License-Identifier: Apache-2.0
"""Frozen values that are made faster: a third of what a world costs is their construction.

Python freezes a dataclass by a `__setattr__` that refuses, so that its own `__init__` and `replace`
have to go around it, field by field. Where a simulation runs alone in its process, the classes of
ikeway get an `__init__` and a `replace` that store plainly. Nothing else changes: a world gives the
same octets either way, which a test shows.
"""

import dataclasses
import sys
from collections.abc import Callable, Iterator
from dataclasses import MISSING, Field
from types import ModuleType
from typing import Any, Final

QUICKENED: Final = ("ikeway", "world")
_copies: Final[dict[type, Callable[[Any], Any]]] = {}


def quicken() -> int:
    """Change all frozen dataclasses of ikeway that are loaded; return how many they are."""
    modules = [module for name, module in sys.modules.items() if name.split(".")[0] in QUICKENED]
    classes = {each for module in modules for each in _frozen(module)}
    for each in classes:
        _thaw(each)
    for module in modules:
        if module.__dict__.get("replace") is dataclasses.replace:
            module.__dict__["replace"] = replace
    return len(classes)


def replace(old: Any, /, **changes: Any) -> Any:
    """Return a value that differs in some fields, as `dataclasses.replace` does."""
    copy = _copies.get(old.__class__)
    if copy is None:
        return dataclasses.replace(old, **changes)
    made = copy(old)
    for name, value in changes.items():
        setattr(made, name, value)
    return made


def _frozen(module: ModuleType) -> Iterator[type]:
    for each in module.__dict__.values():
        params = getattr(each, "__dataclass_params__", None)
        if isinstance(each, type) and params is not None and params.frozen:
            yield each


def _thaw(kind: type) -> None:
    """Let a class be stored to, and make and copy it by storing."""
    fields = dataclasses.fields(kind)
    is_plain = len(fields) == len(kind.__dataclass_fields__)  # type: ignore[attr-defined]
    for name in ("__setattr__", "__delattr__"):
        if name in kind.__dict__:
            delattr(kind, name)
    if not is_plain or not all(field.init for field in fields):
        return
    if "__init__" in kind.__dict__ and fields:
        kind.__init__ = _made(_init(kind, fields), fields)  # type: ignore[misc]
    if not hasattr(kind, "__post_init__"):
        _copies[kind] = _made(_copy(fields), fields, kind)


def _init(kind: type, fields: tuple[Field[Any], ...]) -> str:
    positional = [_parameter(field) for field in fields if not field.kw_only]
    named = [_parameter(field) for field in fields if field.kw_only]
    parameters = ", ".join(["self", *positional, *(["*", *named] if named else [])])
    lines = [f"    self.{field.name} = {_value(field)}" for field in fields]
    if hasattr(kind, "__post_init__"):
        lines.append("    self.__post_init__()")
    return "\n".join([f"def made({parameters}):", *lines])


def _parameter(field: Field[Any]) -> str:
    if field.default is not MISSING:
        return f"{field.name}=default_{field.name}"
    return f"{field.name}=MISSING" if field.default_factory is not MISSING else field.name


def _value(field: Field[Any]) -> str:
    if field.default_factory is MISSING:
        return field.name
    return f"default_{field.name}() if {field.name} is MISSING else {field.name}"


def _copy(fields: tuple[Field[Any], ...]) -> str:
    lines = [f"    new.{field.name} = old.{field.name}" for field in fields]
    return "\n".join(["def made(old):", "    new = make(kind)", *lines, "    return new"])


def _made(source: str, fields: tuple[Field[Any], ...], kind: type = object) -> Any:
    """Return the function of a source."""
    known: dict[str, Any] = {"MISSING": MISSING, "make": object.__new__, "kind": kind}
    for field in fields:
        given = field.default if field.default is not MISSING else field.default_factory
        known[f"default_{field.name}"] = given
    exec(source, known)  # written above, of the names of fields
    return known["made"]
