# SPDX-License-Identifier: Apache-2.0
"""Opens a capture file of either format, also a compressed one, and yields its frames."""

import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Final, cast

from ikeway.model.errors import HostError
from ikeway.trace import pcap, pcapng
from ikeway.trace.pcap import CutShortError, Frame

_GZIP: Final = b"\x1f\x8b"


def frames(path: Path) -> Iterator[Frame]:
    """Yield the frames of a capture file, reading no more of it than it yields.

    Raises:
        CutShortError: it ends in the middle of a packet; what came before was yielded.
        HostError: it cannot be read, is no capture, or is damaged.
    """
    try:
        with path.open("rb") as plain:
            yield from _read(plain)
    except CutShortError as error:
        raise CutShortError(f"{path}: {error}") from error
    except HostError as error:
        raise HostError(f"{path}: {error}") from error
    except EOFError as error:
        raise CutShortError(f"{path}: the compressed file is cut short") from error
    except (OSError, zlib.error) as error:
        raise HostError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def _read(plain: BinaryIO) -> Iterator[Frame]:
    # Only what is read can be looked at: a pipe cannot go back.
    magic = plain.read(4)
    if magic.startswith(_GZIP) and plain.seekable():
        plain.seek(0)
        with gzip.GzipFile(fileobj=plain) as opened:
            file = cast("BinaryIO", opened)
            yield from _format(file, file.read(4))
    else:
        yield from _format(plain, magic)


def _format(file: BinaryIO, magic: bytes) -> Iterator[Frame]:
    order = pcap.byte_order(magic)
    if order is not None:
        return pcap.read(file, magic, order)
    if magic == pcapng.SECTION:
        return pcapng.Reader(file).frames()
    if not magic:
        raise HostError("the file is empty")
    raise HostError(f"begins with {magic.hex(' ')}: neither pcap nor pcapng")
