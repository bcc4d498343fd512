# SPDX-License-Identifier: Apache-2.0
"""What hides the shape of traffic, as far as a peer takes it (RFC 7296 §1.3.1, RFC 9347 §5.1)."""

from dataclasses import replace
from typing import Final

from ikeway.model.errors import NoProposalError, SelectorsError
from ikeway.model.esp import Mode
from ikeway.model.traffic_flow import OPEN, Stream, TrafficFlow
from ikeway.policy.connection import ChildPolicy
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

_NO_FRAGMENTS: Final = 1
_REPORTS: Final = 2
"""D and C of RFC 9347 §6.1.4: send us no parts of packets; report congestion to us."""


def announce(flow: TrafficFlow) -> tuple[Notify, ...]:
    """Return what says that we want a stream, or agree to one (RFC 9347 §5.1)."""
    if flow.stream is None:
        return ()
    flags = 0 if flow.stream.takes_fragments else _NO_FRAGMENTS
    flags |= _REPORTS if flow.stream.is_controlled else 0
    return (Notify(NotifyType.USE_AGGFRAG, bytes([flags])),)


def wanted(policy: ChildPolicy, mode: Mode, asked: Message) -> TrafficFlow:
    """Return what is done to the packets of a Child SA that the peer asks for.

    Raises:
        NoProposalError: it asks for no stream, or for one that we cannot do, and we need one.
    """
    stream = policy.traffic_flow.stream
    if stream is None or mode is Mode.TRANSPORT:
        return _without_stream(policy, mode, asked)
    terms = _terms(stream, asked)
    if terms is not None:
        return TrafficFlow(stream=terms)
    if stream.is_required:
        raise NoProposalError(f"{policy.name} is for IP-TFS, the peer asks for none that we can do")
    return _without_stream(policy, mode, asked)


def granted(policy: ChildPolicy, mode: Mode, reply: Message) -> TrafficFlow:
    """Return what is done to the packets of a Child SA that we asked for.

    Raises:
        SelectorsError: the peer grants a stream that we did not ask for or cannot do, or none
            though we need one: the child has to go (RFC 9347 §5.1).
    """
    stream = policy.traffic_flow.stream
    is_granted = reply.notify(NotifyType.USE_AGGFRAG) is not None
    if is_granted:
        asked = None if mode is Mode.TRANSPORT else stream
        terms = None if asked is None else _terms(asked, reply)
        if terms is None:
            raise SelectorsError("the peer grants USE_AGGFRAG in a way that we did not ask for")
        return TrafficFlow(stream=terms)
    if stream is not None and stream.is_required:
        raise SelectorsError(f"the peer declines IP-TFS, and {policy.name} needs it")
    return _without_stream(policy, mode, reply)


def _terms(stream: Stream, said: Message) -> Stream | None:
    """Return the stream that both sides can do: none if a flag of the peer's asks for more.

    "If any requirement flags are not understood or cannot be supported by the receiver, then the
    receiver SHOULD NOT enable use of AGGFRAG_PAYLOAD."
    """
    notify = said.notify(NotifyType.USE_AGGFRAG)
    if notify is None or len(notify.data) != 1 or notify.data[0] & ~(_NO_FRAGMENTS | _REPORTS):
        return None
    flags = notify.data[0]
    # Who has a breaker tells unasked, so that the peer's has something to act on (RFC 9347 §2.4.2:
    # "An implementation MAY choose to always include the congestion information").
    is_watched = stream.is_controlled or stream.breaker is not None
    reports = is_watched or bool(flags & _REPORTS)
    return replace(stream, may_fragment=not flags & _NO_FRAGMENTS, reports=reports)


def _without_stream(policy: ChildPolicy, mode: Mode, said: Message) -> TrafficFlow:
    """Return what is left: padding and dummies, which are known by their length without padding.

    In transport mode padding could not be told from payload.
    """
    takes_padding = said.notify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED) is None
    is_possible = takes_padding and mode is Mode.TUNNEL
    return replace(policy.traffic_flow, stream=None) if is_possible else OPEN
