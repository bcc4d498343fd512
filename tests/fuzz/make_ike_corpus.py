# SPDX-License-Identifier: Apache-2.0
"""Writes the seeds of `corpus/ike`: for each stage the message that is waited for, and odd ones."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from fuzz_ike import CASES, IN_THE_CLEAR, PROVEN, SEALED, UNASKED, prepared

from support.forge import session_in
from support.hostile import HOSTILE
from support.stages import HEADS

CORPUS = Path(__file__).parent / "corpus" / "ike"
SMALL = 4200
REQUESTS = {
    "liveness": (37, 0, b""),
    "delete-ike": (37, 42, bytes.fromhex("0000000801000000")),
    "delete-esp": (37, 42, bytes.fromhex("0000000c03040001deadbeef")),
    "failed": (37, 41, bytes.fromhex("0000000800000018")),
    "critical": (37, 200, bytes.fromhex("00800004")),
    "create-child": (36, 40, bytes.fromhex("00000014") + bytes(16)),
    "strange": (240, 0, b""),
}


def seeds() -> dict[str, bytes]:
    """Return the seeds by name."""
    made = {}
    for which, (way, name) in enumerate(CASES):
        at = prepared(which)
        title = f"{way}-{name}".replace(" ", "-").lower()
        genuine = at.genuine.octets
        clear = bytes([which, IN_THE_CLEAR, genuine[16], genuine[18] | 0x80])
        made[f"{title}-clear"] = clear + genuine[28:]
        if name not in HEADS:
            continue
        ring = session_in(next(iter(at.states.values()))).keyring
        inside = ring.protection.open(ring.peer, genuine[:32], genuine[32:])
        for how, label in ((SEALED, "sealed"), (PROVEN, "proven")):
            made[f"{title}-{label}"] = bytes([which, how, genuine[28], 0]) + inside
        for label, (exchange, first, chain) in REQUESTS.items():
            made[f"{title}-{label}"] = bytes([which, UNASKED, first, exchange]) + chain
    for number, (label, octets) in enumerate(HOSTILE.items()):
        if len(octets) <= SMALL:
            head = bytes([number % len(CASES), SEALED, octets[16], 0])
            made["hostile-" + label.replace(" ", "-")] = head + octets[28:]
    return made


def main() -> None:
    """Write them."""
    CORPUS.mkdir(parents=True, exist_ok=True)
    for name, octets in seeds().items():
        (CORPUS / name).write_bytes(octets)


if __name__ == "__main__":
    main()
