# SPDX-License-Identifier: Apache-2.0
"""Being sent to another gateway, and sending clients there (RFC 5685 §3, §5, §6).

It changes where the next IKE SA goes, and nothing else: whoever is there has to prove the same
identity. A redirect that nobody has authenticated only counts with the nonce of our request.
"""

from dataclasses import replace

from ikeway.ike.children import Wish
from ikeway.ike.exchanges import informational
from ikeway.ike.features import redirect
from ikeway.ike.io import FollowRedirect, SendAway
from ikeway.ike.parting import NEVER, Parting
from ikeway.ike.reports import SentAway, Warned
from ikeway.ike.session import Session
from ikeway.ike.states import Established, State, Step
from ikeway.ike.trail import Trail
from ikeway.model.address import Address
from ikeway.model.errors import MalformedError
from ikeway.model.time import Instant
from ikeway.policy.connection import Connection, Gateway, Redirects
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

# As client ----------------------------------------------------------------------------------------


def target(connection: Connection, notify: Notify, peer: Address, nonce: bytes = b"") -> Gateway:
    """Return where a REDIRECT of the gateway at `peer` sends us; it has to have this nonce.

    Raises:
        MalformedError: it is not allowed, not for us, or leads nowhere.
    """
    if connection.redirect is not Redirects.ALLOW:
        raise MalformedError("a redirect, which `redirect` does not allow")
    gateway, seen = redirect.read(notify.data)
    if seen != nonce:
        raise MalformedError("a redirect that is not an answer to our request: the nonce differs")
    if gateway == peer:
        raise MalformedError("a redirect of a gateway to itself")
    return gateway


def authenticated(
    session: Session, connection: Connection, message: Message, now: Instant
) -> tuple[Gateway, Trail] | None:
    """Return where a proven gateway sends us in a sealed message (§5, §6), if it does."""
    notify = message.notify(NotifyType.REDIRECT)
    if notify is None:
        return None
    peer = session.link.peer.address
    return target(connection, notify, peer), session.trail.after(peer, now)


def heed(state: Established, message: Message, now: Instant) -> Step:
    """Take a request that sends us elsewhere; this IKE SA goes once the other one is up (§5)."""
    try:
        found = authenticated(state.session, state.connection, message, now)
    except MalformedError as error:
        said = Warned(f"the gateway's redirect is not followed: {error}")
        return Step(state, (state.session.report(said),))
    if found is None:
        return Step(state)
    gateway, trail = found
    session = replace(state.session, trail=trail)
    names = [child.name for child in state.children]
    wish = Wish(names[0]) if names else Wish()
    fresh = replace(state.connection, initial_contact=False)
    follow = FollowRedirect(session.sa, fresh, gateway, trail, wish, replaces=session.sa)
    said = Warned(f"the gateway sends us to {gateway}")
    return Step(replace(state, session=session), (session.report(said), follow))


# As gateway ---------------------------------------------------------------------------------------


def elsewhere(session: Session, connection: Connection, local: Address) -> Gateway | None:
    """Return where to send an authentic client, if it follows and is not there already (§6)."""
    gateway = connection.redirect_to
    return gateway if session.agreed.redirect and gateway != local else None


def of_all(candidates: tuple[Connection, ...], request: Message, local: Address) -> Gateway | None:
    """Return where to send a client that we do not know yet: where all would send it (§3)."""
    targets = {connection.redirect_to for connection in candidates}
    if len(targets) != 1 or not redirect.learn(request):
        return None
    (gateway,) = targets
    return None if gateway == local else gateway


def send_away(state: State, order: SendAway, now: Instant) -> Step:
    """Tell the client of an IKE SA that is up to go elsewhere, if it follows (§5); None is to stay.

    It was told already where it is on its way; then nothing is said again.
    """
    gateway = order.gateway
    if not isinstance(state, Established):
        return Step(state)
    if gateway is None:
        return Step(replace(state, parting=NEVER))
    is_there = gateway == state.session.link.local.address
    if not can_leave(state) or is_there or state.parting.to == str(gateway):
        return Step(state)
    told = informational.ask(state, (Notify(NotifyType.REDIRECT, redirect.data(gateway)),))
    said = state.session.report(SentAway(state.connection.name, str(gateway)))
    grace = state.connection.redirect_grace if order.grace is None else order.grace
    return Step(replace(told, parting=Parting(str(gateway), now + grace)), (said,))


def can_leave(state: Established) -> bool:
    """Whether a client goes where it is sent: it said so when it came (§3)."""
    return state.session.agreed.redirect and not state.is_provisional


def leaving(state: Established, gateway: Gateway, now: Instant) -> Established:
    """Return an IKE SA whose client was told in IKE_AUTH to go elsewhere."""
    return replace(state, parting=Parting(str(gateway), now + state.connection.redirect_grace))
