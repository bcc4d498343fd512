# SPDX-License-Identifier: Apache-2.0
"""The reference of configuration keys is what the schema says."""

import json

from ikeway.config.reference import TABLES, json_schema, page
from support.tracked import ROOT


def test_the_reference_page_is_up_to_date() -> None:
    written = (ROOT / "docs" / "reference" / "configuration.md").read_text()
    assert written == page(), "make generate"


def test_every_key_is_described() -> None:
    for title, table in TABLES:
        for key, field in table.model_fields.items():
            assert field.description, f"{title} {key}"


def test_the_schema_is_json() -> None:
    assert json.loads(json.dumps(json_schema()))["additionalProperties"] is False
