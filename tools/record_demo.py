# SPDX-License-Identifier: Apache-2.0
"""Runs the demo and saves what it shows as docs/images/demo.svg: `python tools/record_demo.py`."""

import re
import sys
from pathlib import Path
from typing import Final

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console

from ikeway.demo.story import run

PICTURE: Final = Path(__file__).resolve().parents[1] / "docs" / "images" / "demo.svg"
COLUMNS: Final = 88
FONTS: Final = "ui-monospace, SFMono-Regular, Menlo, Consolas, DejaVu Sans Mono, monospace"


def main() -> int:
    """Record one run; a demo that fails is not saved."""
    console = Console(record=True, width=COLUMNS)
    status = run(as_json=False, console=console)
    if status == 0:
        PICTURE.parent.mkdir(exist_ok=True)
        # A picture in a page loads nothing from elsewhere, fonts neither.
        template = re.sub(r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
        template = template.replace("Fira Code, monospace", FONTS)
        picture = console.export_svg(title="ikeway demo", code_format=template, unique_id="demo")
        PICTURE.write_text(picture)
    return status


if __name__ == "__main__":
    sys.exit(main())
