# SPDX-License-Identifier: Apache-2.0
"""Later fragments behind a first one that has the right ports (RFC 7296 §1.3.1, RFC 4301 §7.3).

A Child SA for all ports, or for those that do not show, carries later fragments in any case (§7.1,
§7.2). We ask for every tunnel, as the peer may narrow it to certain ports (RFC 7296 §2.9), and
agree wherever the fragments can be carried.
"""

from typing import Final

from ikeway.model.esp import Mode
from ikeway.model.selectors import Selectors
from ikeway.policy.connection import ChildPolicy
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

_ALSO: Final = (Notify(NotifyType.NON_FIRST_FRAGMENTS_ALSO),)


def offer(policy: ChildPolicy) -> tuple[Notify, ...]:
    """Return what goes into a request for a Child SA: it may end up with certain ports."""
    return _ALSO if _asks(policy) else ()


def answer(*, is_agreed: bool) -> tuple[Notify, ...]:
    """Return what goes into an answer."""
    return _ALSO if is_agreed else ()


def wanted(policy: ChildPolicy, mode: Mode, selectors: Selectors, request: Message) -> bool:
    """Whether we agree to what the peer asks for; a tunnel for all ports carries all anyway."""
    takes = policy.later_fragments or not any(ts.tells_ports_apart for ts in selectors)
    return mode is Mode.TUNNEL and takes and _says(request)


def granted(policy: ChildPolicy, reply: Message) -> bool:
    """Whether the peer agrees to what we asked for. "It is enabled only if" both say so."""
    return _asks(policy) and _says(reply)


def _asks(policy: ChildPolicy) -> bool:
    return policy.mode is Mode.TUNNEL and policy.later_fragments


def _says(message: Message) -> bool:
    return message.notify(NotifyType.NON_FIRST_FRAGMENTS_ALSO) is not None
