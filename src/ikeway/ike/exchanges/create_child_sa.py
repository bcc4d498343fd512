# SPDX-License-Identifier: Apache-2.0
"""CREATE_CHILD_SA (RFC 7296 §1.3): which of its three uses a message is."""

from dataclasses import replace

from ikeway.ike.exchanges import (
    child_sa,
    child_sa_requester,
    child_sa_responder,
    rekey_ike_requester,
    rekey_ike_responder,
)
from ikeway.ike.io import Datagram
from ikeway.ike.states import Established, Step
from ikeway.ike.tasks import AskedChild, AskedIke
from ikeway.model.errors import BusyError
from ikeway.model.time import Instant
from ikeway.wire.message import Message
from ikeway.wire.payloads import SecurityAssociation
from ikeway.wire.registry import ExchangeType, ProtocolId

TYPE = ExchangeType.CREATE_CHILD_SA
REQUEST = child_sa.REQUEST
RESPONSE = child_sa.RESPONSE


def respond(state: Established, message: Message, datagram: Datagram, now: Instant) -> Step:
    """Answer a request.

    Raises:
        PeerError: it is refused.
    """
    if state.is_provisional:
        raise BusyError("it is not decided yet which IKE SA stays")
    pace = state.pace.another(now)
    if pace is None:
        raise BusyError("the peer asks for SAs too often")
    state = replace(state, pace=pace)
    offered = message.one(SecurityAssociation)
    if offered is not None and any(p.protocol is ProtocolId.IKE for p in offered.proposals):
        return rekey_ike_responder.respond(state, message, datagram, now)
    is_rekeying = state.asking(AskedIke) or state.series.our_ike or state.series.their_ike
    if is_rekeying or state.rival is not None:
        raise BusyError("the IKE SA is being rekeyed")
    return child_sa_responder.respond(state, message, datagram, now)


def conclude(
    state: Established, asked: AskedChild | AskedIke, reply: Message, now: Instant
) -> Step:
    """Take the response to a request of ours.

    Raises:
        PeerError: the response is not one to our request.
    """
    if isinstance(asked, AskedChild):
        return child_sa_requester.conclude(state, asked, reply, now)
    return rekey_ike_requester.conclude(state, asked, reply, now)
