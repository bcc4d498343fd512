# SPDX-License-Identifier: Apache-2.0
"""Atheris target: any octets decode or are malformed, and what decodes is stable.

Run it with `python tests/fuzz/fuzz_wire.py tests/fuzz/corpus/wire` where atheris is installed.
"""

import sys
from contextlib import suppress

from ikeway.model.errors import MalformedError
from ikeway.wire.message import Message, decode_chain
from ikeway.wire.payloads import Identification, SecurityAssociation


def one_input(octets: bytes) -> None:
    """Decode `octets` as a message, and what follows the header as a chain from inside."""
    try:
        decoded = Message.decode(octets)
    except MalformedError:
        pass
    else:
        check(decoded)
    with suppress(MalformedError):
        decode_chain(octets[16] if len(octets) > 16 else 33, octets[28:])


def check(decoded: Message) -> None:
    """Fail unless the message encodes to octets that decode to the same."""
    assert Message.decode(decoded.encode()) == decoded
    assert decoded.to_json()
    assert repr(decoded)
    for body in decoded.payloads:
        if isinstance(body, Identification):
            assert body.encode() == body.body()
            assert str(body.identity)
        if isinstance(body, SecurityAssociation):
            assert all(one.label for proposal in body.proposals for one in proposal.transforms)


def main() -> None:
    """Hand the target to libFuzzer."""
    import atheris

    atheris.instrument_all()
    atheris.Setup(sys.argv, one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
