# SPDX-License-Identifier: Apache-2.0
"""IKE_SA_INIT_FULL_TRANSCRIPT_AUTH: AUTH covers both messages of IKE_SA_INIT, not one's own alone.

draft-ietf-ipsecme-ikev2-downgrade-prevention. Without it each side proves only what it has said
itself: who breaks the weaker of two key exchanges, or has stolen one side's key, could take the
better choices out of what the other side says.
"""

from typing import Final

from ikeway.ike.features.context import Context
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

KIND: Final = NotifyType.IKE_SA_INIT_FULL_TRANSCRIPT_AUTH
PREFIX: Final = bytes(8)
"""Can be no SPI, so that the two forms of what is signed cannot be taken for each other."""


def announce(context: Context) -> tuple[Notify, ...]:  # noqa: ARG001 - features share one shape
    """Return the notify."""
    return (Notify(KIND),)


def learn(message: Message, context: Context) -> bool:  # noqa: ARG001
    """Return whether the peer has it: it is in force where both sides say so."""
    return message.notify(KIND) is not None


def signed(own: bytes, peers: bytes, *, is_full: bool) -> bytes:
    """Return the messages that the AUTH of one side covers; `own` is that side's."""
    return PREFIX + peers + own if is_full else own
