# SPDX-License-Identifier: Apache-2.0
"""Scripts in files: what once failed is replayed by a test for ever."""

import json
from pathlib import Path
from typing import Final

from world import actions
from world.simulation import Script

FOLDER: Final = Path(__file__).with_name("found")


def save(script: Script, violation: str, folder: Path = FOLDER) -> Path:
    """Write a script down, with what it violated."""
    acts = [json.dumps(actions.plain(act)) for act in script.acts]
    listed = ",\n    ".join(acts)
    text = f'{{\n  "seed": {script.seed},\n  "generation": {script.generation},\n'
    text += f'  "violation": {json.dumps(violation)},\n'
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"seed-{script.seed}.json"
    path.write_text(f'{text}  "acts": [\n    {listed}\n  ]\n}}\n')
    return path


def load(path: Path) -> Script:
    """Read a script."""
    data = json.loads(path.read_text())
    acts = tuple(actions.parse(act) for act in data["acts"])
    return Script(data["seed"], acts, data["generation"])


def names() -> list[str]:
    """Return the scripts that there are."""
    return sorted(path.stem for path in FOLDER.glob("*.json"))
