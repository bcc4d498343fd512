# SPDX-License-Identifier: Apache-2.0
"""Fetching over HTTP: what is answered, and everything that is refused."""

import asyncio
import socket
from collections.abc import Iterator

import pytest

from ikeway.model.errors import HostError
from ikeway.runtime.fetch import Bounds, Fetcher
from support.revoked import Web, web


@pytest.fixture(scope="module")
def site() -> Iterator[Web]:
    with web() as it:
        yield it


def get(url: str, octets: int = 1000, seconds: float = 5.0, body: bytes | None = None) -> bytes:
    async def fetch() -> bytes:
        return await Fetcher(Bounds(seconds, octets)).fetch(url, body, "text/plain")

    return asyncio.run(fetch())


def refused(url: str, reason: str, **bounds: float) -> None:
    with pytest.raises(HostError, match=reason):
        get(url, **bounds)  # type: ignore[arg-type]


def test_a_page_is_fetched_and_a_request_answered(site: Web) -> None:
    site.pages |= {"/x?y=1": b"page", "/echo": lambda body: (200, {}, body * 2)}
    assert get(f"{site.url}/x?y=1") == b"page"
    assert get(f"{site.url}/echo", body=b"ab") == b"abab"


def test_an_answer_without_a_length_ends_with_the_connection(site: Web) -> None:
    site.pages["/open"] = lambda _: (200, {"Content-Length": ""}, b"to the end")
    assert get(f"{site.url}/open") == b"to the end"


def test_a_redirect_is_not_followed(site: Web) -> None:
    """It would lead to where nobody allowed it."""
    there = {"Location": f"{site.url}/x"}
    site.pages |= {"/moved": lambda _: (302, there, b""), "/x": b"page"}
    site.asked.clear()
    refused(f"{site.url}/moved", "it answers 'HTTP/1.0 302")
    assert site.asked == ["/moved"]
    refused(f"{site.url}/none", "404")


@pytest.mark.parametrize("length", ["11", ""])
def test_a_page_that_is_too_long_is_not_read_whole(site: Web, length: str) -> None:
    site.pages["/long"] = lambda _: (200, {"Content-Length": length}, b"elevenwords")
    refused(f"{site.url}/long", "more than 10", octets=10)


def test_an_answer_that_ends_early_is_refused(site: Web) -> None:
    site.pages["/short"] = lambda _: (200, {"Content-Length": "20"}, b"short")
    refused(f"{site.url}/short", "expected bytes")


def test_a_coded_answer_is_refused(site: Web) -> None:
    site.pages["/chunks"] = lambda _: (200, {"Transfer-Encoding": "chunked"}, b"0\r\n\r\n")
    refused(f"{site.url}/chunks", "an encoding that was not asked for")


def test_a_head_without_end_is_refused(site: Web) -> None:
    site.pages["/head"] = lambda _: (200, {"X": "x" * 20_000}, b"")
    refused(f"{site.url}/head", "no HTTP")


def test_a_server_that_does_not_answer_costs_no_more_than_the_bound() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        refused(f"http://127.0.0.1:{port}/", r"not in 0\.1 s", seconds=0.1)


@pytest.mark.parametrize(
    "url",
    [
        "https://x.test/",
        "ldap://x.test/",
        "file:///etc/passwd",
        "http://",
        "http://user:secret@x.test/",
        "http://x.test:0/",
        "http://x.test:99999/",
        "http://x.test/\r\nHost: y",
        "http://[::1",
        "",
    ],
)
def test_only_plain_urls_of_http_are_fetched(url: str) -> None:
    with pytest.raises(HostError):
        get(url)


def test_nobody_there_is_an_error_with_the_url() -> None:
    refused("http://127.0.0.1:1/crl", "http://127.0.0.1:1/crl: ")
