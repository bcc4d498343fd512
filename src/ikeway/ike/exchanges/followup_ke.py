# SPDX-License-Identifier: Apache-2.0
"""IKE_FOLLOWUP_KE (RFC 9370 §2.2.4): the rest of the key exchanges of a CREATE_CHILD_SA."""

from dataclasses import replace
from typing import Final

from ikeway.crypto.kex import key_exchange
from ikeway.ike import ending, following, messages, refused_child
from ikeway.ike.exchanges import (
    child_sa_requester,
    child_sa_responder,
    rekey_ike_requester,
    rekey_ike_responder,
)
from ikeway.ike.exchanges.ike_intermediate import data
from ikeway.ike.io import Datagram
from ikeway.ike.reports import Warned
from ikeway.ike.series import ChildPromise, Ours, Response
from ikeway.ike.shape import Shape, one
from ikeway.ike.states import Established, Step
from ikeway.ike.tasks import AskedChild, AskedFollow, Follow
from ikeway.model.errors import StateNotFoundError
from ikeway.model.time import Instant
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import KeyExchange, Notify
from ikeway.wire.registry import ExchangeType, KeMethod, NotifyType

TYPE: Final = ExchangeType.IKE_FOLLOWUP_KE
REQUEST: Final = Shape(one(KeyExchange))
RESPONSE: Final = REQUEST

LOST_MOST: Final = 3
"""So many series in a row of which the peer forgot the rest are "a fatal error" (§2.2.4)."""


# Ours ---------------------------------------------------------------------------------------------


def request(state: Established, task: Follow, now: Instant) -> Step:
    """Ask for the next key exchange of a series, unless that has been stopped."""
    ours = following.our(state, task.nonce)
    if ours is None:
        return Step(state)
    method = ours.methods[0]
    offer = key_exchange(method).offer(state.session.env.random)
    payloads: tuple[Body, ...] = (
        KeyExchange(KeMethod(method), offer.public),
        Notify(following.LINK, ours.link),
    )
    timing, asked = state.connection.retransmission, AskedFollow(task.nonce, offer)
    session, actions = messages.request(state.session, TYPE, payloads, timing, now, asked)
    return Step(replace(state, session=session), actions)


def conclude(state: Established, asked: AskedFollow, reply: Message, now: Instant) -> Step:
    """Take the response; after the last one the SA is made.

    Raises:
        PeerError: the response is not one to our request.
    """
    ours = following.our(state, asked.nonce)
    if ours is None:
        return Step(state)
    failure = next((n for n in reply.all(Notify) if n.type.is_error), None)
    if failure is not None:
        return _failed(state, ours, failure, now)
    RESPONSE.check(reply)
    method, *later = ours.methods
    shared = key_exchange(method).finish(asked.offer.private, data(reply, method))
    secrets = (*ours.secrets, shared)
    if later:
        after = replace(ours, secrets=secrets, methods=tuple(later), link=following.link(reply))
        return Step(following.proceed(state, after))
    done = following.end(state, ours)
    if isinstance(ours.asked, AskedChild):
        return child_sa_requester.complete(done, ours.asked, ours.reply, secrets, now)
    return rekey_ike_requester.complete(done, ours.asked, ours.reply, secrets, now)


def _failed(state: Established, ours: Ours, failure: Notify, now: Instant) -> Step:
    """Take a refusal: "the whole series of exchanges" has failed (§2.2.4)."""
    is_lost = failure.type is NotifyType.STATE_NOT_FOUND
    after = following.end(state, ours, is_lost=is_lost)
    if not is_lost:
        if isinstance(ours.asked, AskedChild):
            return refused_child.failed(after, ours.asked, failure, now)
        return rekey_ike_requester.failed(after, ours.asked, failure, now)
    if after.series.lost >= LOST_MOST:
        return ending.delete(after, "the peer forgets key exchanges that it has begun", now)
    said = Warned("the peer has forgotten a key exchange: it begins anew")
    return Step(following.again(after, ours.asked, now), (state.session.report(said),))


# The peer's ---------------------------------------------------------------------------------------


def respond(state: Established, message: Message, datagram: Datagram, now: Instant) -> Step:
    """Answer the next key exchange of a series; the last one makes the SA.

    Raises:
        PeerError: there is no such series, or it is another exchange that is due.
    """
    theirs = following.their(state, message)
    if theirs is None:
        raise StateNotFoundError("no key exchange is waited for that has this link")
    REQUEST.check(message)
    method = theirs.methods[0]
    offered = data(message, method)
    public, shared = key_exchange(method).answer(state.session.env.random, offered)
    answer = KeyExchange(KeMethod(method), public)
    path = datagram.local, datagram.peer
    if len(theirs.methods) > 1:
        after, link = following.go_on(state, theirs, shared, now)
        payloads = answer, link
        session, actions = messages.respond(after.session, message.header, payloads, path)
        return Step(replace(after, session=session), actions)
    done = following.drop(state, theirs)
    secrets, said = (*theirs.secrets, shared), Response(message.header, path, (answer,))
    if isinstance(theirs.promise, ChildPromise):
        return child_sa_responder.install(done, theirs.promise, secrets, said, now)
    return rekey_ike_responder.install(done, theirs.promise, secrets, said, now)
