# SPDX-License-Identifier: Apache-2.0
"""The control protocol: one JSON object a line, each request answered by one reply.

`{"request": "disconnect", "target": "office"}` is answered with `{"ok": true, "disconnected":
[...]}` or with `{"ok": false, "error": "..."}`. After `watch` the daemon sends events until the
caller hangs up.
"""

from typing import Annotated, Final, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ikeway.control.status import (
    ChildStatus,
    CompressionStatus,
    DrainStatus,
    IkeStatus,
    Model,
    NatStatus,
    PartyStatus,
    RetryStatus,
    Status,
    StreamStatus,
)
from ikeway.model.errors import UsageError

__all__ = (
    "LINE_OCTETS",
    "ChildStatus",
    "CompressionStatus",
    "Disconnect",
    "Disconnected",
    "Done",
    "Drain",
    "DrainStatus",
    "Drained",
    "DrainedSa",
    "EventLine",
    "Failed",
    "IkeStatus",
    "Initiate",
    "Initiated",
    "NatStatus",
    "Outcome",
    "PartyStatus",
    "Ping",
    "Pong",
    "Reload",
    "Reloaded",
    "Reply",
    "Request",
    "RetryStatus",
    "Shutdown",
    "Status",
    "StatusReply",
    "StatusRequest",
    "StreamStatus",
    "UsersChanged",
    "Watch",
    "encode",
    "parse_reply",
    "parse_request",
)

LINE_OCTETS: Final = 64 * 1024
"""The longest request; replies may be longer."""

Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=256)]


class StatusRequest(Model):
    """What IKE SAs are there? -> `StatusReply`."""

    request: Literal["status"] = "status"


class Disconnect(Model):
    """Delete IKE SAs, by the name of their connection or by id -> `Disconnected`."""

    request: Literal["disconnect"] = "disconnect"
    target: Name


class UsersChanged(Model):
    """Users were taken away: look who has to go, and delete their IKE SAs -> `Disconnected`."""

    request: Literal["users_changed"] = "users_changed"


class Initiate(Model):
    """Start a connection -> `Initiated`."""

    request: Literal["initiate"] = "initiate"
    connection: Name


class Drain(Model):
    """Send clients to another gateway, of one connection or of all; without `to` stop -> `Drained`.

    Those that are up have `grace` seconds to go, by default those of their connection. Who does not
    follow redirects stays, or is cut off with `disconnect`.
    """

    request: Literal["drain"] = "drain"
    to: Name | None = None
    connection: Name | None = None
    grace: Annotated[float, Field(ge=0, le=86400)] | None = None
    disconnect: bool = False


class Reload(Model):
    """Read the configuration again and heed what changed in it -> `Reloaded`."""

    request: Literal["reload"] = "reload"


class Shutdown(Model):
    """End the daemon: delete every IKE SA, undo what was done to the host -> `Done`."""

    request: Literal["shutdown"] = "shutdown"


class Watch(Model):
    """Tell what happens from now on -> `Done`, then `EventLine`s."""

    request: Literal["watch"] = "watch"


class Ping(Model):
    """Who is there? -> `Pong`."""

    request: Literal["ping"] = "ping"


Request: TypeAlias = (
    StatusRequest | Disconnect | UsersChanged | Initiate | Drain | Reload | Shutdown | Watch | Ping
)


class Done(Model):
    """It was done."""

    ok: Literal[True] = True


class StatusReply(Done):
    """The answer to `StatusRequest`."""

    status: Status


class Disconnected(Done):
    """Which IKE SAs are being deleted."""

    disconnected: list[str]


class Initiated(Done):
    """The id of the IKE SA that was started."""

    id: str


Outcome: TypeAlias = Literal["sent", "stays", "disconnected"]


class DrainedSa(Model):
    """What becomes of an IKE SA whose connection is drained, and why where that is not plain."""

    id: str
    connection: str
    peer: str
    outcome: Outcome
    reason: str | None = None


class Drained(Done):
    """What becomes of the IKE SAs that are up."""

    ike_sas: list[DrainedSa]


class Reloaded(Done):
    """The connections that are new, others than before, and gone. Policies are in force, too."""

    added: list[str]
    changed: list[str]
    removed: list[str]


class Pong(Done):
    """Who is there."""

    version: str
    pid: int


class Failed(Model):
    """It was not done, and whoever reads `error` knows why."""

    ok: Literal[False] = False
    error: str


Reply: TypeAlias = Done | Failed


class EventLine(Model):
    """Something that happened. `at` is in seconds since 1970, `event` the name of its kind."""

    at: float
    level: str
    event: str
    text: str
    facts: dict[str, object] = Field(default_factory=dict)


_REQUEST: Final[TypeAdapter[Request]] = TypeAdapter(
    Annotated[Request, Field(discriminator="request")]
)
_R = TypeVar("_R", bound=BaseModel)


def encode(value: BaseModel) -> bytes:
    """Return a value as a line."""
    return value.model_dump_json().encode() + b"\n"


def parse_request(line: bytes) -> Request:
    """Return the request in a line.

    Raises:
        UsageError: it is none; says what is wrong with it.
    """
    try:
        return _REQUEST.validate_json(line)
    except ValidationError as error:
        raise UsageError(f"not a request: {_first(error)}") from error


def parse_reply(line: bytes, kind: type[_R]) -> _R:
    """Return the reply of a kind, or event, in a line.

    Raises:
        UsageError: the daemon refused, with its reason.
        ValueError: it is something else; the two programs may be of different releases.
    """
    try:
        return kind.model_validate_json(line)
    except ValidationError:
        pass
    try:
        reason = Failed.model_validate_json(line).error
    except ValidationError as error:
        raise ValueError(f"not a {kind.__name__}: {_first(error)}") from error
    raise UsageError(reason)


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(map(str, found["loc"]))
    return f"{where}: {found['msg']}" if where else found["msg"]
