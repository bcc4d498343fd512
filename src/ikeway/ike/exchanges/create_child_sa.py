# SPDX-License-Identifier: Apache-2.0
"""CREATE_CHILD_SA (RFC 7296 §1.3): refused as minimal implementations do (§4)."""

from dataclasses import replace

from ikeway.ike import messages
from ikeway.ike.io import Datagram
from ikeway.ike.reports import RefusedRequest
from ikeway.ike.states import Established, Step
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType

TYPE = ExchangeType.CREATE_CHILD_SA


def respond(state: Established, message: Message, datagram: Datagram) -> Step:
    """Answer NO_ADDITIONAL_SAS: neither further Child SAs nor rekeying."""
    refusal = NotifyType.NO_ADDITIONAL_SAS
    path = datagram.local, datagram.peer
    session, actions = messages.respond(state.session, message.header, (Notify(refusal),), path)
    reason = "further Child SAs and rekeying are not offered"
    report = session.report(RefusedRequest(refusal.name, reason, datagram.peer))
    return Step(replace(state, session=session), (*actions, report))
