# SPDX-License-Identifier: Apache-2.0
"""A client that was told to go to another gateway, and how long it may take (RFC 5685 §5)."""

import math
from dataclasses import dataclass
from typing import Final

from ikeway.model.time import Instant


@dataclass(frozen=True, slots=True)
class Parting:
    """Where a client was sent; its IKE SA ends here at `until`, if it is still there."""

    to: str = ""
    until: Instant = math.inf


NEVER: Final = Parting()
