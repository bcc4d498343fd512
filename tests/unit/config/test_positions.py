# SPDX-License-Identifier: Apache-2.0
"""Every key that `tomllib` finds has the line where it stands."""

import tomllib
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ikeway.config.positions import KeyPath, line_of, positions

DOCUMENT = r"""# a comment with = and [brackets]
top = 1
"quoted key" = "a # no comment, [not] {a} table"
"esc\u0061ped" = 'C:\'
dotted.key.name = "it\"s"
'literal key' = '''
[not a table]
key = "value"
'''' # behind
text = @
a = 1 \@ still
@"

[table]  # behind a table
list = [ # first
  "one", # it is
  [ "two", { three = 3, four.five = [4] } ],

  2024-01-01T00:00:00Z, # a date
  ]
  indented = true
[table.inner."with.dot"]
x = {}
y = []
[[items]]
name = "a"
[items.sub]
z = 1
[[items]]
name = "b"
[[items.deep]]
w = -1.5e3
""".replace("@", '"' * 3)


def paths(value: object, path: KeyPath = ()) -> Iterator[KeyPath]:
    if path:
        yield path
    if isinstance(value, dict):
        for key, each in value.items():
            yield from paths(each, (*path, key))
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from paths(each, (*path, index))


def test_every_key_table_and_item_is_found() -> None:
    assert set(paths(tomllib.loads(DOCUMENT))) == set(positions(DOCUMENT))


@pytest.mark.parametrize(
    ("path", "words"),
    [
        (("top",), "top"),
        (("quoted key",), '"quoted key"'),
        (("dotted", "key", "name"), "dotted.key.name"),
        (("text",), "text ="),
        (("table",), "[table]"),
        (("table", "list"), "list ="),
        (("table", "list", 0), '"one"'),
        (("table", "list", 1, 1, "four", "five", 0), '"two"'),
        (("table", "list", 2), "2024"),
        (("table", "inner", "with.dot", "x"), "x ="),
        (("items", 1, "name"), 'name = "b"'),
        (("items", 1, "deep", 0, "w"), "w ="),
        (("table", "missing", 3), "[table]"),
        (("nothing",), "# a comment"),
    ],
)
def test_a_key_is_on_its_line_or_that_of_the_table_it_is_missing_from(
    path: KeyPath, words: str
) -> None:
    line = line_of(positions(DOCUMENT), path)
    assert words in DOCUMENT.splitlines()[line - 1]


SPACE = st.sampled_from(["", " ", "  "])
BREAK = st.sampled_from(["", " ", "\n", " # a ] comment, } too\n  "])
KEY = st.sampled_from(["a", "b", "c-d", '"e.f"', "'g\\h'", '"i\\tj"', "a.b", '""'])
SCALAR = st.sampled_from(
    [
        "1",
        "-0.5",
        "true",
        '"x, ]"',
        "'}#'",
        '""',
        "''",
        "2024-01-01",
        '"\\\\"',
        '"\\""',
        '"""a\n"b" \\\\"""',
        "'''\n='''",
        '"""\\"""""',
        "'''it's'''''",
    ]
)
VALUE = st.recursive(
    SCALAR,
    lambda inner: (
        st.tuples(BREAK, st.lists(inner, max_size=3).map(",\n ".join), BREAK).map(
            lambda parts: f"[{''.join(parts)}]"
        )
        | st.lists(st.tuples(KEY, inner).map(" = ".join), max_size=3).map(
            lambda pairs: f"{{ {', '.join(pairs)} }}"
        )
    ),
    max_leaves=8,
)
PAIR = st.tuples(SPACE, KEY, SPACE, st.just("="), SPACE, VALUE).map("".join)
HEADER = st.tuples(st.sampled_from(["[{}]", "[[{}]]", "[ {} ] # x"]), KEY).map(
    lambda parts: parts[0].format(parts[1])
)


@given(st.lists(PAIR | HEADER, max_size=8).map("\n".join))
def test_whatever_tomllib_reads_is_walked_to_its_end(text: str) -> None:
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    assert set(paths(document)) == set(positions(text))
