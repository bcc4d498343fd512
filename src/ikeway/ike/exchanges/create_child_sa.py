# SPDX-License-Identifier: Apache-2.0
"""CREATE_CHILD_SA (RFC 7296 §1.3): which of its three uses a message is."""

from ikeway.ike.exchanges import rekey_child, rekey_ike
from ikeway.ike.io import Datagram
from ikeway.ike.states import Established, Step
from ikeway.ike.tasks import AskedChild, AskedIke
from ikeway.model.errors import BusyError, NoAdditionalSasError
from ikeway.model.time import Instant
from ikeway.wire.message import Message
from ikeway.wire.payloads import SecurityAssociation
from ikeway.wire.registry import ExchangeType, NotifyType, ProtocolId

TYPE = ExchangeType.CREATE_CHILD_SA
REQUEST = rekey_child.REQUEST
RESPONSE = rekey_child.RESPONSE


def respond(state: Established, message: Message, datagram: Datagram, now: Instant) -> Step:
    """Answer a request.

    Raises:
        PeerError: it is refused.
    """
    offered = message.one(SecurityAssociation)
    if offered is not None and any(p.protocol is ProtocolId.IKE for p in offered.proposals):
        return rekey_ike.respond(state, message, datagram, now)
    if isinstance(state.asked, AskedIke) or state.rival is not None:
        raise BusyError("the IKE SA is being rekeyed")
    rekey = message.notify(NotifyType.REKEY_SA)
    if rekey is not None:
        return rekey_child.respond(state, rekey, message, datagram, now)
    raise NoAdditionalSasError("further Child SAs are not offered")


def conclude(
    state: Established, asked: AskedChild | AskedIke, reply: Message, now: Instant
) -> Step:
    """Take the response to a request of ours.

    Raises:
        PeerError: the response is not one to our request.
    """
    if isinstance(asked, AskedChild):
        return rekey_child.conclude(state, asked, reply, now)
    return rekey_ike.conclude(state, asked, reply, now)
