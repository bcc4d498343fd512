# SPDX-License-Identifier: Apache-2.0
"""On which line each key of a TOML document stands, which `tomllib` does not tell."""

import re
import tomllib
from bisect import bisect_right
from typing import Final, TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]
"""Keys from the top of the document; a number is a place in an array."""

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BARE: Final = re.compile(r"[^,\]}\n#]+")
_KEY: Final = re.compile(r"""[ \t]*(?:"((?:\\.|[^"\\])*)"|'([^']*)'|([A-Za-z0-9_-]+))[ \t]*""")
_STRING: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"""(?:"{0,2})'
    r"|'''.*?'''(?:'{0,2})"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'",
    re.DOTALL,
)


def positions(text: str) -> dict[KeyPath, int]:
    """Return the line of every table, key and array item; `tomllib` must have read the text."""
    scanner = _Scanner(text)
    scanner.document()
    return scanner.lines


def line_of(lines: dict[KeyPath, int], path: KeyPath) -> int:
    """Return the line of a key, or of the table where it is missing."""
    while path and path not in lines:
        path = path[:-1]
    return lines.get(path, 1)


class _Scanner:
    """Walks over text that is known to be TOML, so that it need not complain about anything."""

    def __init__(self, text: str) -> None:
        self.lines: dict[KeyPath, int] = {}
        self._text = text
        self._at = 0
        self._starts = [match.end() for match in re.finditer("\n", text)]
        self._counts: dict[KeyPath, int] = {}

    def document(self) -> None:
        prefix: KeyPath = ()
        self._blank()
        while self._at < len(self._text):
            if self._text[self._at] == "[":
                prefix = self._header()
            else:
                self._pair(prefix)
            self._blank()

    def _header(self) -> KeyPath:
        line = self._line()
        is_array = self._text.startswith("[[", self._at)
        self._at += 2 if is_array else 1
        keys = self._keys()
        self._at += 2 if is_array else 1
        path = self._place(keys[:-1], line) + keys[-1:]
        self.lines.setdefault(path, line)
        if not is_array:
            return self._last(path)
        index = self._counts.get(path, 0)
        self._counts[path] = index + 1
        self.lines[*path, index] = line
        return (*path, index)

    def _pair(self, prefix: KeyPath) -> None:
        line = self._line()
        path = prefix
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self._at += 1  # the equals sign
        self._value(path)

    def _value(self, path: KeyPath) -> None:
        self._blank()
        self.lines.setdefault(path, self._line())
        match self._text[self._at]:
            case "[":
                self._array(path)
            case "{":
                self._table(path)
            case _:
                token = _STRING.match(self._text, self._at) or _BARE.match(self._text, self._at)
                self._at = token.end() if token else self._at + 1

    def _array(self, path: KeyPath) -> None:
        index = 0
        while self._more("]"):
            self._value((*path, index))
            index += 1

    def _table(self, path: KeyPath) -> None:
        while self._more("}"):
            self._pair(path)

    def _more(self, end: str) -> bool:
        """Step over an opening bracket or a comma; whether an item follows, and not the end."""
        self._at += self._text[self._at] in "[{,"
        self._blank()
        if self._text[self._at] == ",":
            self._at += 1
            self._blank()
        if self._text[self._at] != end:
            return True
        self._at += 1
        return False

    def _keys(self) -> tuple[str, ...]:
        keys: list[str] = []
        while match := _KEY.match(self._text, self._at):
            basic, literal, bare = match.groups()
            keys.append(_meant(basic) if basic is not None else literal or bare or "")
            self._at = match.end()
            if self._text[self._at : self._at + 1] != ".":
                break
            self._at += 1
        return tuple(keys)

    def _place(self, keys: tuple[str, ...], line: int) -> KeyPath:
        path: KeyPath = ()
        for key in keys:
            path = self._last((*path, key))
            self.lines.setdefault(path, line)
        return path

    def _last(self, path: KeyPath) -> KeyPath:
        """Return the path itself, or that of the last item if it is an array of tables."""
        return (*path, self._counts[path] - 1) if path in self._counts else path

    def _blank(self) -> None:
        match = _BLANK.match(self._text, self._at)
        self._at = match.end() if match else self._at

    def _line(self) -> int:
        return bisect_right(self._starts, self._at) + 1


def _meant(key: str) -> str:
    """Return a key without its escapes."""
    return str(tomllib.loads(f'key = "{key}"')["key"]) if "\\" in key else key
