# SPDX-License-Identifier: Apache-2.0
"""IKEV2_MESSAGE_ID_SYNC_SUPPORTED, said in IKE_AUTH (RFC 6311 §5, §6.1).

The replay counters of Child SAs are not synchronised (§5.2): a host that takes over rekeys them.
"""

from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

KIND = NotifyType.IKEV2_MESSAGE_ID_SYNC_SUPPORTED


def offer() -> tuple[Notify, ...]:
    """Return the notify for our IKE_AUTH request."""
    return (Notify(KIND),)


def answer(request: Message) -> tuple[Notify, ...]:
    """Return the notify for our response: not "unless such support was asserted" (§5)."""
    return (Notify(KIND),) if learn(request) else ()


def learn(message: Message) -> bool:
    """Whether the peer's IKE_AUTH message has it; ours has it too, then."""
    return message.notify(KIND) is not None
