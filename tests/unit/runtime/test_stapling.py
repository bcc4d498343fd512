# SPDX-License-Identifier: Apache-2.0
"""RFC 4806 §4.2: what we have to show of our own certificates' status, and that nobody waits."""

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509 import ocsp as pyca
from cryptography.x509.oid import AuthorityInformationAccessOID

from ikeway.crypto import ocsp
from ikeway.crypto.certificate import Certificate
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.ike.questions import Answer, Sign, Signed
from ikeway.policy.revocation import StatusSources
from ikeway.runtime.pki import Pki
from ikeway.runtime.revocation import StatusDesk
from ikeway.runtime.stapling import FIRST_SECONDS, Stapler
from ikeway.runtime.verifier import Verifier
from support.pki import NOW, certificate, private_key, root
from support.revoked import Web, ocsp_response, web

ROOT_KEY, LEAF_KEY = (private_key(KeyAlgorithm.ECDSA_256, which) for which in range(2))
ROOT = root("root", ROOT_KEY)
SIGNER = (ROOT, ROOT_KEY)
PLAIN = StatusSources(recheck=600.0, timeout=1.0)
MINUTE = timedelta(minutes=1)
Look = Callable[[datetime], Awaitable[tuple[bytes, ...]]]


@pytest.fixture
def site() -> Iterator[Web]:
    with web() as it:
        yield it


def leaf(url: str) -> Certificate:
    access = x509.AccessDescription(
        AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(url)
    )
    extension = x509.AuthorityInformationAccess([access])
    return certificate("leaf", LEAF_KEY, "root", ROOT_KEY, [(extension, False)])


def stapling(
    chain: tuple[Certificate, ...],
    use: Callable[[Look], Awaitable[None]],
    sources: StatusSources = PLAIN,
) -> list[str]:
    """Use a stapler whose fetches are done by the next look; return its warnings."""
    said: list[str] = []

    async def run() -> None:
        stapler = Stapler(sources, (ROOT,), said.append)

        async def look(at: datetime) -> tuple[bytes, ...]:
            found = stapler.of(chain, at)
            await asyncio.gather(*stapler._under_way.values())
            await asyncio.sleep(0)
            return found

        await use(look)
        await stapler.close()

    asyncio.run(run())
    return said


def test_a_response_is_fetched_once_and_shown_from_then_on(site: Web) -> None:
    """The first look does not wait for it: a handshake would stand still for a slow responder."""
    end = leaf(f"{site.url}/ocsp")
    site.pages["/ocsp"] = good = ocsp_response(end, ROOT, SIGNER)

    async def use(look: Look) -> None:
        assert await look(NOW) == ()
        assert await look(NOW) == (good,)
        assert await look(NOW + 9 * MINUTE) == (good,)

    assert stapling((end, ROOT), use) == []
    assert site.asked == ["/ocsp"]


def test_it_is_asked_without_a_nonce_so_that_others_believe_it(site: Web) -> None:
    """A peer does not know which nonce we have chosen."""
    end = leaf(f"{site.url}/ocsp")
    seen: list[pyca.OCSPRequest] = []

    def answer(body: bytes) -> tuple[int, dict[str, str], bytes]:
        seen.append(pyca.load_der_ocsp_request(body))
        return 200, {}, ocsp_response(end, ROOT, SIGNER)

    site.pages["/ocsp"] = answer

    async def use(look: Look) -> None:
        await look(NOW)
        (octets,) = await look(NOW)
        assert ocsp.status(octets, end, ROOT, NOW, None).revoked is None

    stapling((end,), use)
    assert len(seen[0].extensions) == 0


def test_what_is_old_is_fetched_anew_and_shown_meanwhile(site: Web) -> None:
    end = leaf(f"{site.url}/ocsp")
    site.pages["/ocsp"] = old = ocsp_response(end, ROOT, SIGNER, hours=(-1, 24))

    async def use(look: Look) -> None:
        await look(NOW)
        site.pages["/ocsp"] = new = ocsp_response(end, ROOT, SIGNER, hours=(0, 25))
        assert await look(NOW + 11 * MINUTE) == (old,)
        assert await look(NOW + 11 * MINUTE) == (new,)
        site.pages.clear()
        assert await look(NOW + 22 * MINUTE) == (new,)
        assert await look(NOW + 23 * MINUTE) == (new,)
        assert await look(NOW + timedelta(hours=26)) == ()

    assert "404" in stapling((end,), use)[0]


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (pyca.OCSPCertStatus.REVOKED, "our own certificate CN=leaf was revoked: keyCompromise"),
        (pyca.OCSPCertStatus.UNKNOWN, "does not know CN=leaf"),
    ],
)
def test_what_does_us_no_good_is_not_shown_but_told(
    site: Web, status: pyca.OCSPCertStatus, words: str
) -> None:
    end = leaf(f"{site.url}/ocsp")
    site.pages["/ocsp"] = ocsp_response(end, ROOT, SIGNER, status=status)

    async def use(look: Look) -> None:
        await look(NOW)
        assert await look(NOW) == ()

    (warning,) = stapling((end,), use)
    assert words in warning


def test_a_response_that_nobody_would_believe_is_not_shown(site: Web) -> None:
    end = leaf(f"{site.url}/ocsp")
    other = root("other", LEAF_KEY)
    site.pages["/ocsp"] = ocsp_response(end, ROOT, (other, LEAF_KEY))

    async def use(look: Look) -> None:
        await look(NOW)
        assert await look(NOW) == ()

    assert "no status of CN=leaf to show to peers" in stapling((end,), use)[0]


def test_nothing_is_asked_where_fetching_is_off_or_nobody_is_named(site: Web) -> None:
    async def use(look: Look) -> None:
        await look(NOW)
        assert await look(NOW) == ()

    off = replace(PLAIN, fetch=False)
    assert stapling((leaf(f"{site.url}/ocsp"),), use, off) == []
    assert stapling((certificate("leaf", LEAF_KEY, "root", ROOT_KEY), ROOT), use) == []
    assert site.asked == []


@pytest.mark.parametrize("is_there", [True, False])
def test_the_first_signature_waits_a_moment_and_no_other_does(site: Web, is_there: bool) -> None:
    """Whatever starts with the daemon may have to show a status; a dead responder stops nobody."""
    end = leaf(f"{site.url}/ocsp")
    good = ocsp_response(end, ROOT, SIGNER)
    question = Sign("ours", "ECDSA_SHA2_256", b"octets", (end,))
    gate = threading.Event()

    def answer(_body: bytes) -> tuple[int, dict[str, str], bytes]:
        gate.wait(0.3 if is_there else 5)
        return 200, {}, good

    site.pages["/ocsp"] = answer

    async def run() -> None:
        pki = Pki({"ours": LEAF_KEY}, (ROOT,), lambda: NOW)
        stapler = Stapler(PLAIN, (ROOT,), lambda _: None)
        verifier = Verifier(pki, StatusDesk(PLAIN), lambda _: None, stapler=stapler)
        verifier.prepare([(end,)])
        told: asyncio.Queue[Answer] = asyncio.Queue()
        begin = asyncio.get_running_loop().time()
        for _ in range(2):
            verifier.sign(question, told.put_nowait)
            signed = await told.get()
            assert isinstance(signed, Signed)
            assert signed.ocsp == ((good,) if is_there else ())
        taken = asyncio.get_running_loop().time() - begin
        assert taken < 2 * FIRST_SECONDS + 1
        gate.set()
        await verifier.close()

    asyncio.run(run())
