# SPDX-License-Identifier: Apache-2.0
"""Certificates by hash and URL (RFC 7296 §3.6): which are fetched, and from where never."""

import asyncio
from collections.abc import Iterator
from hashlib import sha1

import pytest

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.der import SEQUENCE, encode
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.ike.questions import Answer, Refused, Trusted, VerifyCertificate
from ikeway.model.reference import Reference
from ikeway.policy.revocation import Revocation, StatusSources
from ikeway.runtime.pki import Pki
from ikeway.runtime.references import References
from ikeway.runtime.revocation import StatusDesk
from ikeway.runtime.verifier import Verifier
from support.pki import CA, NOW, certificate, private_key, root
from support.revoked import Web, web

P256 = KeyAlgorithm.ECDSA_256
ROOT_KEY, MIDDLE_KEY, LEAF_KEY = (private_key(P256, which) for which in range(3))
ROOT = root("root", ROOT_KEY)
MIDDLE = certificate("middle", MIDDLE_KEY, "root", ROOT_KEY, [(CA, True)])
LEAF = certificate("leaf", LEAF_KEY, "middle", MIDDLE_KEY)


@pytest.fixture
def site() -> Iterator[Web]:
    with web() as it:
        it.pages |= {"/ike/leaf": LEAF.der, "/ike/middle": MIDDLE.der}
        yield it


def named(site: Web, path: str, what: bytes, place: int = 0, *, bundle: bool = False) -> Reference:
    return Reference(place, sha1(what).digest(), f"{site.url}{path}", bundle)


def ask(
    site: Web,
    *references: Reference,
    chain: tuple[bytes, ...] = (),
    policy: Revocation = Revocation.OFF,
) -> Answer:
    async def run() -> Answer:
        pki = Pki({}, (ROOT,), lambda: NOW)
        found = References((f"{site.url}/ike/",), 1.0)
        desk = StatusDesk(StatusSources(fetch=False))
        verifier = Verifier(pki, desk, lambda _: None, found)
        told: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        verifier.verify(
            VerifyCertificate(chain, "client", policy, references=references), told.set_result
        )
        answer = await told
        await verifier.close()
        return answer

    return asyncio.run(run())


def trusted(*chain: Certificate) -> Trusted:
    return Trusted(LEAF, fetched=tuple(one.der for one in chain))


@pytest.mark.conformance("CF-I20")
def test_certificates_that_are_named_stand_where_they_were_named(site: Web) -> None:
    leaf, middle = named(site, "/ike/leaf", LEAF.der), named(site, "/ike/middle", MIDDLE.der)
    assert ask(site, leaf, middle) == trusted(LEAF, MIDDLE)
    assert ask(site, leaf, chain=(MIDDLE.der,)) == trusted(LEAF, MIDDLE)
    later = named(site, "/ike/middle", MIDDLE.der, 1)
    assert ask(site, later, chain=(LEAF.der,)) == trusted(LEAF, MIDDLE)


@pytest.mark.conformance("CF-I20")
def test_a_bundle_has_several(site: Web) -> None:
    parts = [encode(0xA0, LEAF.der), encode(0xA1, b"\x30\x00"), encode(0xA0, MIDDLE.der)]
    site.pages["/ike/bundle"] = bundle = encode(SEQUENCE, *parts)
    assert ask(site, named(site, "/ike/bundle", bundle, bundle=True)) == trusted(LEAF, MIDDLE)
    for odd in (b"rubbish", b"\x30\x00"):
        site.pages["/ike/bundle"] = odd
        assert isinstance(ask(site, named(site, "/ike/bundle", odd, bundle=True)), Refused)


@pytest.mark.conformance("CF-I20")
def test_another_content_than_the_hash_says_is_refused(site: Web) -> None:
    """Else whoever has the web server could choose the certificate."""
    answer = ask(site, named(site, "/ike/leaf", MIDDLE.der))
    assert isinstance(answer, Refused)
    assert "another content than the peer's hash says" in answer.reason


@pytest.mark.parametrize(
    "path", ["/secret", "/ike", "/ike/../secret", "/ike/%2e%2e/secret", "/ikea/"]
)
def test_nothing_is_fetched_from_elsewhere(site: Web, path: str) -> None:
    """The peer has proven nothing yet."""
    answer = ask(site, named(site, path, LEAF.der))
    assert isinstance(answer, Refused)
    assert "not within credentials.certificate_urls" in answer.reason
    assert site.asked == []


ALLOWED = ("http://certs.example.com/ike/",)


@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("http://certs.example.com/ike/x", True),
        ("http://CERTS.example.com:80/ike/x?y", True),
        ("http://certs.example.com:8080/ike/x", False),
        ("https://certs.example.com/ike/x", False),
        ("http://certs.example.com.evil.test/ike/x", False),
        ("http://certs.example.com@evil.test/ike/x", False),
        ("http://evil.test/http://certs.example.com/ike/x", False),
        ("http://certs.example.com:x/ike/x", False),
        ("", False),
    ],
)
def test_a_url_is_allowed_by_host_port_and_path(url: str, allowed: bool) -> None:
    assert Reference(0, bytes(20), url, False).is_within(ALLOWED) is allowed


def test_a_redirect_or_nothing_is_refused(site: Web) -> None:
    site.pages["/ike/moved"] = lambda _: (302, {"Location": f"{site.url}/ike/leaf"}, b"")
    for path in ("/ike/moved", "/ike/none"):
        assert isinstance(ask(site, named(site, path, LEAF.der)), Refused)


def test_a_chain_that_was_fetched_is_checked_like_any_other(site: Web) -> None:
    leaf = named(site, "/ike/leaf", LEAF.der)
    answer = ask(site, leaf)
    assert isinstance(answer, Refused)
    assert "its issuer CN=middle is not known" in answer.reason
    strict = ask(site, leaf, chain=(MIDDLE.der,), policy=Revocation.STRICT)
    assert isinstance(strict, Refused)
    assert "is it revoked?" in strict.reason
    lenient = ask(site, leaf, chain=(MIDDLE.der,), policy=Revocation.LENIENT)
    assert lenient == Trusted(LEAF, 60.0, (LEAF.der, MIDDLE.der))
