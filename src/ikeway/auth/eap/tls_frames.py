# SPDX-License-Identifier: Apache-2.0
"""TLS in the packets of EAP: flags, lengths and fragments (RFC 5216 §2.1.5, §3.1)."""

from typing import Final

from ikeway.model.errors import MalformedError

LENGTH, MORE, START = 0x80, 0x40, 0x20
FRAGMENT: Final = 1024
"""Octets of TLS in a packet of ours: it fits into one datagram of IKE."""
MESSAGE_MOST: Final = 1 << 16
"""A longer message of the other side is not put together, however many fragments it comes in."""
_VERSION: Final = 0x07


class Frames:
    """What is still to be said, and what has been heard, of one flight of records each."""

    def __init__(self) -> None:
        self._unsaid = b""
        self._heard = bytearray()
        self._expected: int | None = None

    @property
    def is_saying(self) -> bool:
        """Whether a part of our flight waits for the other side to have heard the one before."""
        return bool(self._unsaid)

    def say(self, records: bytes) -> bytes:
        """Return the first packet's data of a flight, which is all of it if it is short."""
        if len(records) <= FRAGMENT:
            return bytes([0]) + records
        self._unsaid = records[FRAGMENT:]
        head = bytes([LENGTH | MORE]) + len(records).to_bytes(4)
        return head + records[:FRAGMENT]

    def say_on(self, acknowledgement: bytes) -> bytes:
        """Return the next packet's data, when the one before has been heard.

        Raises:
            MalformedError: the other side says something else in between.
        """
        if len(acknowledgement) != 1 or acknowledgement[0] & ~_VERSION:
            raise MalformedError("EAP: no acknowledgement of a fragment")
        part, self._unsaid = self._unsaid[:FRAGMENT], self._unsaid[FRAGMENT:]
        return bytes([MORE if self._unsaid else 0]) + part

    def hear(self, data: bytes) -> bytes | None:
        """Take a packet's data; return the flight if this is the end of it.

        Raises:
            MalformedError: the flight is too long, or not as long as it says.
        """
        flags, at = (data[0], 1) if data else (0, 0)
        if flags & LENGTH:
            self._expect(int.from_bytes(data[1:5]), len(data))
            at = 5
        self._heard += data[at:]
        if len(self._heard) > MESSAGE_MOST:
            raise MalformedError(f"EAP: more than {MESSAGE_MOST} octets of TLS in a flight")
        if flags & MORE:
            if len(data) == at:
                raise MalformedError("EAP: a fragment with nothing in it")
            return None
        return self._flight()

    def _expect(self, octets: int, present: int) -> None:
        is_other = self._expected not in {None, octets}
        if present < 5 or octets > MESSAGE_MOST or is_other:
            raise MalformedError(f"EAP: a flight of TLS that says it has {octets} octets")
        self._expected = octets

    def _flight(self) -> bytes:
        whole, expected = bytes(self._heard), self._expected
        self._heard.clear()
        self._expected = None
        if expected not in {None, len(whole)}:
            raise MalformedError(f"EAP: {len(whole)} octets of TLS said that they are {expected}")
        return whole
