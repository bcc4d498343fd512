# SPDX-License-Identifier: Apache-2.0
"""Which payloads an exchange needs, as data (RFC 7296 Appendix C)."""

from dataclasses import dataclass
from typing import TypeVar

from ikeway.model.errors import MalformedError, UnsupportedCriticalPayloadError
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Unknown


@dataclass(frozen=True, slots=True)
class Item:
    """How often one payload may stand in a message."""

    body: type[Body]
    least: int
    most: int


MANY = 256
"""More are no certificate chain, and not worth the work of reading them."""
B = TypeVar("B", bound=Body)


def one(body: type[Body]) -> Item:
    """Exactly once."""
    return Item(body, 1, 1)


def maybe(body: type[Body]) -> Item:
    """At most once."""
    return Item(body, 0, 1)


def some(body: type[Body]) -> Item:
    """Any number of times."""
    return Item(body, 0, MANY)


class Shape:
    """What a message needs, in any order (§2.5). Other payloads that we know are ignored."""

    def __init__(self, *items: Item) -> None:
        self.items = items

    def check(self, message: Message) -> None:
        """Check the counts.

        Raises:
            MalformedError: a payload is missing or stands too often.
        """
        kinds = [type(body) for body in message.payloads]
        for item in self.items:
            count = kinds.count(item.body)
            if not item.least <= count <= item.most:
                wanted = item.least if count < item.least else f"at most {item.most}"
                raise MalformedError(f"{count} {item.body.__name__} payloads, not {wanted}")


def check_critical(message: Message) -> None:
    """Refuse payloads that we do not know and may not skip (§2.5).

    Raises:
        UnsupportedCriticalPayloadError: with the payload type as its data.
    """
    for body in message.payloads:
        if isinstance(body, Unknown) and body.critical:
            kind = int(body.type)
            raise UnsupportedCriticalPayloadError(
                f"critical payload of unknown type {kind}", bytes([kind])
            )


def need(message: Message, body: type[B]) -> B:
    """Return a payload that the shape says is there.

    Raises:
        MalformedError: it is not.
    """
    found = message.one(body)
    if found is None:
        raise MalformedError(f"no {body.__name__} payload")
    return found
