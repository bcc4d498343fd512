# SPDX-License-Identifier: Apache-2.0
"""How an IKE SA keeps its series of key exchanges (RFC 9370 §2.2.4)."""

from dataclasses import replace
from typing import Final

from ikeway.ike import postponing
from ikeway.ike.exchanges.child_sa import change, find
from ikeway.ike.refusals import Refusals
from ikeway.ike.series import IkePromise, Ours, Promise, Series, Theirs
from ikeway.ike.states import Established
from ikeway.ike.tasks import (
    AskedChild,
    AskedIke,
    CreateChild,
    Deferrable,
    Follow,
    RekeyChild,
    RekeyIke,
)
from ikeway.ike.timers import FOLLOWUP
from ikeway.model.errors import MalformedError
from ikeway.model.secret import Secret
from ikeway.model.time import Instant
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import NotifyType

LINK: Final = NotifyType.ADDITIONAL_KEY_EXCHANGE
LINK_OCTETS: Final = 16


# Ours ---------------------------------------------------------------------------------------------


def link(reply: Message) -> bytes:
    """Return what the peer wants to hear with the next exchange of a series.

    Raises:
        MalformedError: it does not say so, though another exchange has to come.
    """
    notify = reply.notify(LINK)
    if notify is None:
        raise MalformedError("more key exchanges are agreed on, but nothing links the next one")
    return notify.data


def begin(
    state: Established,
    asked: AskedChild | AskedIke,
    reply: Message,
    secrets: tuple[Secret, ...],
    additional: tuple[tuple[int, int], ...],
) -> Established:
    """Return the state that goes on with a series before it asks for anything else.

    Raises:
        MalformedError: the peer does not say how to go on.
    """
    methods = tuple(method for _, method in additional)
    return proceed(state, Ours(asked, reply, secrets, methods, link(reply)))


def proceed(state: Established, ours: Ours) -> Established:
    """Return the state that asks for the next key exchange of a series."""
    others = (each for each in state.series.ours if each.asked is not ours.asked)
    series = replace(state.series, ours=(*others, ours))
    queued = (Follow(ours.asked.nonce), *state.queued)
    return replace(state, series=series, queued=queued)


def end(state: Established, ours: Ours, *, is_lost: bool = False) -> Established:
    """Return the state in which a series is over; `is_lost` counts those that the peer forgot."""
    left = tuple(each for each in state.series.ours if each is not ours)
    lost = state.series.lost + 1 if is_lost else 0
    return replace(state, series=replace(state.series, ours=left, lost=lost))


def our(state: Established, nonce: bytes) -> Ours | None:
    """Return the series of ours that began with this nonce."""
    return next((each for each in state.series.ours if each.asked.nonce == nonce), None)


def again(state: Established, asked: AskedChild | AskedIke, now: Instant) -> Established:
    """Return the state that begins anew after a while what came to nothing."""
    return postponing.postpone(state, replace(task(asked), refusals=Refusals(1)), now)


def task(asked: AskedChild | AskedIke) -> Deferrable:
    """Return what asks for the same once more."""
    if isinstance(asked, AskedIke):
        return RekeyIke()
    if asked.replaces:
        return RekeyChild(asked.replaces)
    return CreateChild(asked.policy.name, asked.trigger, number=asked.number or 0)


def restart(state: Established) -> Established:
    """Return the state that begins all of its series anew, and has forgotten the peer's."""
    anew = tuple(task(each.asked) for each in state.series.ours)
    left = (each for each in state.queued if not isinstance(each, Follow))
    return replace(state, series=Series(), queued=(*anew, *left))


# The peer's ---------------------------------------------------------------------------------------


def promise(
    state: Established,
    made: Promise,
    secrets: tuple[Secret, ...],
    now: Instant,
) -> tuple[Established, Notify]:
    """Return the state that waits for the rest of a series, and the notify for our response."""
    methods = tuple(method for _, method in made.chosen.additional)
    theirs = Theirs(made, secrets, methods, b"", now)
    return _expect(state, theirs, now)


def go_on(
    state: Established, theirs: Theirs, shared: Secret, now: Instant
) -> tuple[Established, Notify]:
    """Return the same after one key exchange more."""
    after = replace(theirs, secrets=(*theirs.secrets, shared), methods=theirs.methods[1:])
    return _expect(drop(state, theirs), after, now)


def _expect(state: Established, theirs: Theirs, now: Instant) -> tuple[Established, Notify]:
    blob = state.session.env.random.octets(LINK_OCTETS)
    theirs = replace(theirs, link=blob, expires=now + (FOLLOWUP.length or 0.0))
    series = replace(state.series, theirs=(*state.series.theirs, theirs))
    return replace(state, series=series), Notify(LINK, blob)


def their(state: Established, message: Message) -> Theirs | None:
    """Return the series of the peer's that a request belongs to."""
    notify = message.notify(LINK)
    blob = notify.data if notify else b""
    return next((each for each in state.series.theirs if each.link == blob), None)


def drop(state: Established, theirs: Theirs | None) -> Established:
    """Return the state without a series of the peer's: it is over, or the peer stops it."""
    left = tuple(each for each in state.series.theirs if each is not theirs)
    return replace(state, series=replace(state.series, theirs=left))


def drop_rekey(state: Established, spi_in: int) -> Established:
    """Return the state in which the peer's rekey of a child has lost and is stopped (§2.2.4)."""
    found = next((each for each in state.series.theirs if each.rekeys_child == spi_in), None)
    return drop(state, found) if spi_in else state


def expire(state: Established, now: Instant) -> Established:
    """Forget what the peer has not gone on with; what it was to replace is still to be replaced.

    §2.2.4: "delete the associated state if it does not receive the next ... request".
    """
    over = tuple(each for each in state.series.theirs if each.expires <= now)
    for each in over:
        state = drop(state, each)
        old = find(state, each.rekeys_child)
        if isinstance(each.promise, IkePromise):
            state = replace(state, rekey_at=min(state.rekey_at, now))
        elif old is not None and not old.is_replaced:
            state = change(state, replace(old, rekey_at=min(old.rekey_at, now)))
    return state
