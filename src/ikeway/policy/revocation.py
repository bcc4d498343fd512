# SPDX-License-Identifier: Apache-2.0
"""What the operator wants to be known of certificates that were taken back (RFC 5280, RFC 6960)."""

from dataclasses import dataclass
from enum import Enum
from pathlib import PurePath

from ikeway.model.time import Seconds


class Revocation(Enum):
    """Which peers are believed: whose certificates are known to be good, or not known to be bad."""

    STRICT = "strict"
    LENIENT = "lenient"
    OFF = "off"


@dataclass(frozen=True, slots=True)
class StatusSources:
    """Where the status of certificates is looked up, and how much that may cost.

    `crls` are files. With `fetch`, OCSP responders and distribution points that certificates name
    are asked as well, over HTTP. What is known is asked for anew after `recheck`.
    """

    crls: tuple[PurePath, ...] = ()
    fetch: bool = True
    recheck: Seconds = 600.0
    timeout: Seconds = 5.0
    octets: int = 16 << 20
    cache: PurePath | None = None
