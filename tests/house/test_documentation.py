# SPDX-License-Identifier: Apache-2.0
"""The configurations in the documentation are ones that this release takes."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.configured import loaded
from support.tracked import ROOT

PAGES = (
    "README.md",
    "docs/guide/quickstart.md",
    "docs/guide/configuration.md",
    "docs/guide/child-sas.md",
)


def blocks() -> Iterator[object]:
    for page in PAGES:
        text = (ROOT / page).read_text()
        for number, block in enumerate(re.findall(r"```toml\n(.*?)```", text, re.DOTALL), 1):
            yield pytest.param(block, id=f"{page}-{number}")


@pytest.mark.parametrize("text", list(blocks()))
def test_a_configuration_in_the_documentation_is_right(tmp_path: Path, text: str) -> None:
    own = text.replace("laptop.crt", "server.crt").replace("laptop.key", "server.key")
    assert loaded(tmp_path, own).connections
