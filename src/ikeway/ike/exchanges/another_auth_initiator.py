# SPDX-License-Identifier: Apache-2.0
"""Two proofs of ours, as the initiator: of this device, then of its user by EAP (RFC 4739)."""

from ikeway.ike.eap_states import AwaitEapRequest, Responder
from ikeway.ike.exchanges import eap_initiator
from ikeway.ike.features import multiple_auth
from ikeway.ike.session import Session
from ikeway.ike.states import AwaitAuthResponse, CheckingResponder, Step
from ikeway.model.errors import AuthenticationError
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection
from ikeway.wire.message import Message
from ikeway.wire.payloads import SecurityAssociation


def check(session: Session, connection: Connection) -> None:
    """Check that the responder takes as many proofs of ours as we have, before it hears any.

    Raises:
        AuthenticationError: it takes one only.
    """
    if connection.local_then is not None and not session.agreed.multiple_auth:
        raise AuthenticationError("the peer does not take a second proof of us (RFC 4739)")


def check_reply(connection: Connection, reply: Message) -> None:
    """Check that a responder that is proven wants what we want.

    Raises:
        AuthenticationError: it lets us in already, or wants to prove itself once more.
    """
    if multiple_auth.another_follows(reply):
        raise AuthenticationError("the peer wants to prove itself once more, which is not expected")
    if connection.local_then is not None and reply.one(SecurityAssociation) is not None:
        raise AuthenticationError("the peer does not wait for the second proof of us")


def follow(
    state: AwaitAuthResponse | CheckingResponder, responder: Responder, now: Instant
) -> Step:
    """Say who the user is: leaving AUTH out asks for EAP (§2.1)."""
    unsent = AwaitEapRequest(
        state.session, state.transcript, state.connection, state.child, responder
    )
    return eap_initiator.send(unsent, (eap_initiator.our_id(state.connection),), now)
