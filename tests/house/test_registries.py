# SPDX-License-Identifier: Apache-2.0
"""Every registry says what the stored IANA table says (its source: tests/vectors/SOURCES.md)."""

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from ikeway.model.open_enum import OpenEnum
from ikeway.wire import registry, transforms
from ikeway.wire.registry import REGISTRIES

TABLE = Path(__file__).with_name("iana-ikev2.csv")


@pytest.mark.parametrize("kind", REGISTRIES, ids=lambda kind: kind.__name__)
def test_a_registry_has_the_names_and_numbers_of_the_iana_table(kind: type[OpenEnum]) -> None:
    assert {member.name: int(member) for member in kind} == rows()[kind.__name__]


@pytest.mark.parametrize("kind", REGISTRIES, ids=lambda kind: kind.__name__)
def test_an_unknown_code_point_survives(kind: type[OpenEnum]) -> None:
    member = kind(4660)
    assert (member.name, int(member), member.is_known) == ("UNKNOWN_4660", 4660, False)


def test_the_table_and_the_tuple_name_the_same_registries() -> None:
    assert {kind.__name__ for kind in REGISTRIES} == set(rows())


def test_every_open_enum_is_in_the_tuple() -> None:
    defined = {
        value
        for module in (registry, transforms)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, OpenEnum) and value is not OpenEnum
    }
    assert defined == set(REGISTRIES)


def test_every_row_names_its_reference() -> None:
    with TABLE.open(newline="") as file:
        assert all(row["reference"] and row["iana"] for row in csv.DictReader(file))


def rows() -> dict[str, dict[str, int]]:
    """Name and number of each row, by registry."""
    found: dict[str, dict[str, int]] = defaultdict(dict)
    with TABLE.open(newline="") as file:
        for row in csv.DictReader(file):
            assert int(row["value"]) not in found[row["registry"]].values()
            found[row["registry"]][row["member"]] = int(row["value"])
    return found
