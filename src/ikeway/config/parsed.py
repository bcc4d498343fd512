# SPDX-License-Identifier: Apache-2.0
"""Types of the schema: strings that become values while pydantic checks them."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from pydantic import Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from ikeway.model.errors import ConfigError

OWN_WORDS: Final = "ikeway"
"""The type of pydantic errors whose text is already ours."""


@dataclass(frozen=True)
class Parsed:
    """Marks a field whose string is parsed. `what` names the kind of string in the reference."""

    parse: Callable[[str], object]
    what: str
    choices: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(
        self, source: object, handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(self._validate)

    def __get_pydantic_json_schema__(
        self, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        json: dict[str, Any] = {"type": "string", "format": self.what}
        return {**json, "enum": list(self.choices)} if self.choices else json

    def _validate(self, given: object) -> object:
        if not isinstance(given, str):
            raise _refusal(f"{given!r} is not a string; write {self.what} in quotes")
        try:
            return self.parse(given)
        except ConfigError as error:
            raise _refusal(str(error)) from error


@dataclass(frozen=True, eq=False)
class _Choice:
    kind: type[Enum]

    def __call__(self, text: str) -> Enum:
        if text in self.allowed:
            return self.kind(text)
        raise ConfigError(f"{text!r} is not known; allowed: {', '.join(self.allowed)}")

    @property
    def allowed(self) -> tuple[str, ...]:
        """The words that there are."""
        return tuple(str(member.value) for member in self.kind)


def choice(kind: type[Enum]) -> Parsed:
    """Return the type of a field that names a member of `kind`."""
    parse = _Choice(kind)
    return Parsed(parse, "a word", parse.allowed)


def written(text: object, **limits: Any) -> Any:
    """Return a default as an operator would write it; it is parsed like what operators write."""
    return Field(default=text, **limits)


def _refusal(reason: str) -> PydanticCustomError:
    return PydanticCustomError(OWN_WORDS, "{reason}", {"reason": reason})
