# SPDX-License-Identifier: Apache-2.0
"""Requests and replies are lines of JSON, and everything else is refused in words."""

import json

import pytest

from ikeway.control.schema import (
    Disconnect,
    Disconnected,
    Done,
    EventLine,
    Failed,
    Initiate,
    Ping,
    Request,
    Shutdown,
    Status,
    StatusRequest,
    Watch,
    encode,
    parse_reply,
    parse_request,
)
from ikeway.control.status import Model
from ikeway.model.errors import UsageError
from support.control import OFFICE
from support.tracked import ROOT

REQUESTS: tuple[Request, ...] = (
    StatusRequest(),
    Disconnect(target="office"),
    Initiate(connection="office"),
    Shutdown(),
    Watch(),
    Ping(),
)


@pytest.mark.parametrize("request_", REQUESTS, ids=lambda request: request.request)
def test_a_request_survives_the_wire_as_one_line(request_: Request) -> None:
    line = encode(request_)
    assert line.count(b"\n") == 1
    assert line.endswith(b"\n")
    assert parse_request(line) == request_


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"", "Invalid JSON"),
        (b"status", "Invalid JSON"),
        (b"\xff\xfe", "Invalid JSON"),
        (b"[]", "object"),
        (b"{}", "discriminator"),
        (b'{"request": "dance"}', "'status'"),
        (b'{"request": "disconnect"}', "disconnect.target"),
        (b'{"request": "disconnect", "target": ""}', "at least 1 character"),
        (b'{"request": "ping", "more": 1}', "ping.more"),
        (b'{"request": "initiate", "connection": 7}', "valid string"),
    ],
)
def test_what_is_no_request_is_refused_in_words(line: bytes, words: str) -> None:
    with pytest.raises(UsageError, match=r"^not a request: ") as caught:
        parse_request(line)
    assert words in str(caught.value)


def test_a_refusal_is_raised_with_the_words_of_the_daemon() -> None:
    with pytest.raises(UsageError, match=r"^there is none$"):
        parse_reply(encode(Failed(error="there is none")), Disconnected)


def test_a_reply_of_another_kind_is_not_taken_for_the_one_expected() -> None:
    with pytest.raises(ValueError, match="not a Disconnected"):
        parse_reply(encode(Done()), Disconnected)


def test_an_event_may_carry_any_facts() -> None:
    event = EventLine(at=1.5, level="info", event="Warned", text="x", facts={"n": 1, "s": "é\n"})
    assert parse_reply(encode(event), EventLine) == event


def test_the_status_has_the_field_names_that_scripts_rely_on() -> None:
    document = json.loads(Status(ike_sas=[OFFICE]).model_dump_json())
    assert document.keys() == {"ike_sas", "retries", "draining", "policies"}
    sa = document["ike_sas"][0]
    assert list(sa) == [
        "id",
        "connection",
        "state",
        "role",
        "local",
        "peer",
        "virtual_ips",
        "suite",
        "weak",
        "post_quantum",
        "established_at",
        "rekey_at",
        "transport",
        "nat",
        "child_sas",
    ]
    assert list(sa["local"]) == list(sa["peer"]) == ["address", "port", "id"]
    assert list(sa["child_sas"][0]) == [
        "name",
        "mode",
        "spi_in",
        "spi_out",
        "local_ts",
        "peer_ts",
        "suite",
        "weak",
        "bytes_in",
        "bytes_out",
        "packets_in",
        "packets_out",
        "path_mtu",
        "compression",
        "stream",
    ]
    stream = sa["child_sas"][0]["stream"]
    assert list(stream) == ["per_second", "rtt", "loss_event_rate", "breaker"]


def test_the_reference_page_has_every_field_of_the_status() -> None:
    """Scripts are written by it."""
    page = (ROOT / "docs/reference/commands.md").read_text()
    models = [Status, *Model.__subclasses__()]
    own = {model for model in models if model.__module__ == Status.__module__}
    fields = {field for model in own for field in model.model_fields}
    assert {"stream", "per_second", "dropped", "next_attempt_at"} < fields
    assert [field for field in sorted(fields) if f'"{field}"' not in page] == []
