# SPDX-License-Identifier: Apache-2.0
"""Who asks whom whether a certificate was revoked, and what follows under each policy."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509 import ocsp as pyca
from cryptography.x509.oid import AuthorityInformationAccessOID

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.key_algorithm import KeyAlgorithm
from ikeway.ike.questions import Answer, Refused, Trusted, VerifyCertificate
from ikeway.model.errors import AuthenticationError
from ikeway.policy.revocation import Revocation, StatusSources
from ikeway.runtime.pki import Pki
from ikeway.runtime.revocation import Checked, StatusDesk
from ikeway.runtime.verifier import Verifier
from support.pki import CA, NOW, certificate, private_key, root
from support.revoked import Web, crl, ocsp_response, web

P256 = KeyAlgorithm.ECDSA_256
ROOT_KEY, MIDDLE_KEY, LEAF_KEY = (private_key(P256, which) for which in range(3))
ROOT = root("root", ROOT_KEY)
STRICT, LENIENT = Revocation.STRICT, Revocation.LENIENT
REVOKED = pyca.OCSPCertStatus.REVOKED
PLAIN = StatusSources(recheck=600.0, timeout=1.0)


@pytest.fixture
def site() -> Iterator[Web]:
    with web() as it:
        yield it


def leaf(crls: str = "", ocsp: str = "", fresh: str = "", issuer: str = "root") -> Certificate:
    """A certificate that names these places."""
    extensions: list[tuple[x509.ExtensionType, bool]] = []
    for kind, url in ((x509.CRLDistributionPoints, crls), (x509.FreshestCRL, fresh)):
        if url:
            uri = x509.UniformResourceIdentifier(url)
            extensions.append((kind([x509.DistributionPoint([uri], None, None, None)]), False))
    if ocsp:
        uri = x509.UniformResourceIdentifier(ocsp)
        access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, uri)
        extensions.append((x509.AuthorityInformationAccess([access]), False))
    key = ROOT_KEY if issuer == "root" else MIDDLE_KEY
    return certificate("leaf", LEAF_KEY, issuer, key, extensions)


@dataclass
class Asked:
    """A desk that is asked again and again while time goes by."""

    desk: StatusDesk

    async def __call__(
        self,
        *chain: Certificate,
        policy: Revocation = STRICT,
        stapled: tuple[bytes, ...] = (),
        after: float = 0,
    ) -> Checked | str:
        at = NOW + timedelta(seconds=after)
        try:
            return await self.desk.check(chain, policy, stapled, at)
        except AuthenticationError as error:
            return error.reason


def asking(what: Callable[[Asked], Any], sources: StatusSources = PLAIN) -> Any:
    async def run() -> Any:
        return await what(Asked(StatusDesk(sources)))

    return asyncio.run(run())


def ask(*chain: Certificate, sources: StatusSources = PLAIN, **how: Any) -> Checked | str:
    found: Checked | str = asking(lambda asked: asked(*chain, **how), sources)
    return found


# Policies -----------------------------------------------------------------------------------------


def test_without_any_source_strict_refuses_and_lenient_believes() -> None:
    bare = leaf()
    refused = ask(bare, ROOT)
    assert isinstance(refused, str)
    assert (
        "is it revoked? CN=leaf: no CRL file of its issuer; it names no OCSP responder" in refused
    )
    believed = ask(bare, ROOT, policy=LENIENT)
    assert isinstance(believed, Checked)
    assert "CN=leaf: no CRL file" in believed.doubts[0]


def test_an_authority_that_we_believe_is_not_asked_about() -> None:
    assert ask(ROOT) == Checked(NOW + timedelta(seconds=600))


@pytest.mark.parametrize("policy", [STRICT, LENIENT])
def test_what_is_revoked_is_refused_under_both(site: Web, policy: Revocation) -> None:
    end = leaf(crls=f"{site.url}/crl")
    site.pages["/crl"] = crl(ROOT, ROOT_KEY, [end])
    assert ask(end, ROOT, policy=policy) == "CN=leaf was revoked: on 2026-05-31"


def test_every_certificate_of_the_chain_counts(site: Web) -> None:
    middle = certificate("middle", MIDDLE_KEY, "root", ROOT_KEY, [(CA, True)])
    end = leaf(crls=f"{site.url}/crl", issuer="middle")
    site.pages["/crl"] = crl(middle, MIDDLE_KEY)
    revoked = StatusSources(crls=(), timeout=1.0)
    assert "CN=middle: no CRL file" in str(ask(end, middle, ROOT, sources=revoked))


# Sources ------------------------------------------------------------------------------------------


def test_a_file_of_the_operators_is_read_and_read_again(tmp_path: Path) -> None:
    end, file = leaf(), tmp_path / "ca.crl"
    file.write_bytes(crl(ROOT, ROOT_KEY))
    sources = replace(PLAIN, crls=(file, tmp_path / "none.crl"))

    async def twice(asked: Asked) -> list[Checked | str]:
        first = await asked(end, ROOT)
        file.write_bytes(crl(ROOT, ROOT_KEY, [end]))
        return [first, await asked(end, ROOT)]

    first, second = asking(twice, sources)
    assert isinstance(first, Checked)
    assert second == "CN=leaf was revoked: on 2026-05-31"


def test_a_file_of_another_issuer_says_nothing(tmp_path: Path) -> None:
    file = tmp_path / "ca.crl"
    file.write_bytes(crl(root("other", MIDDLE_KEY), MIDDLE_KEY, [leaf()]))
    said = ask(leaf(), ROOT, sources=replace(PLAIN, crls=(file,)))
    assert "the CRL is one of CN=other, not of CN=root" in str(said)


def test_deltas_may_be_files_too(tmp_path: Path) -> None:
    end = leaf()
    base, delta = tmp_path / "base.crl", tmp_path / "delta.crl"
    base.write_bytes(crl(ROOT, ROOT_KEY, extensions=[(x509.CRLNumber(1), False)]))
    more = [(x509.CRLNumber(2), False), (x509.DeltaCRLIndicator(1), True)]
    delta.write_bytes(crl(ROOT, ROOT_KEY, [end], more))
    assert "was revoked" in str(ask(end, ROOT, sources=replace(PLAIN, crls=(base, delta))))


def test_a_delta_is_fetched_where_the_certificate_says(site: Web) -> None:
    end = leaf(crls=f"{site.url}/crl", fresh=f"{site.url}/delta")
    site.pages["/crl"] = crl(ROOT, ROOT_KEY, extensions=[(x509.CRLNumber(1), False)])
    more = [(x509.CRLNumber(2), False), (x509.DeltaCRLIndicator(1), True)]
    site.pages["/delta"] = crl(ROOT, ROOT_KEY, [end], more)
    assert "was revoked" in str(ask(end, ROOT))
    del site.pages["/delta"]
    assert isinstance(ask(end, ROOT), Checked)


def responder(end: Certificate, **how: Any) -> Callable[[bytes], tuple[int, dict[str, str], bytes]]:
    def answer(body: bytes) -> tuple[int, dict[str, str], bytes]:
        asked = pyca.load_der_ocsp_request(body)
        nonce = asked.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce
        return 200, {}, ocsp_response(end, ROOT, (ROOT, ROOT_KEY), nonce=nonce, **how)

    return answer


def test_a_responder_is_asked_with_a_nonce(site: Web) -> None:
    end = leaf(ocsp=f"{site.url}/ocsp")
    site.pages["/ocsp"] = responder(end)
    assert isinstance(ask(end, ROOT), Checked)
    site.pages["/ocsp"] = responder(end, status=REVOKED)
    assert ask(end, ROOT) == "CN=leaf was revoked: keyCompromise"


def test_a_stale_or_foreign_response_is_none(site: Web) -> None:
    end = leaf(ocsp=f"{site.url}/ocsp")
    other = certificate("other", LEAF_KEY, "root", ROOT_KEY)
    site.pages["/ocsp"] = responder(end, hours=(-48, -24))
    assert "out of date" in str(ask(end, ROOT))
    site.pages["/ocsp"] = responder(other)
    assert "for others than CN=leaf" in str(ask(end, ROOT))
    old = ocsp_response(end, ROOT, (ROOT, ROOT_KEY), nonce=bytes(32))
    site.pages["/ocsp"] = old
    assert "another nonce" in str(ask(end, ROOT))


def test_a_crl_helps_where_the_responder_is_silent(site: Web) -> None:
    end = leaf(ocsp=f"{site.url}/ocsp", crls=f"{site.url}/crl")
    site.pages["/crl"] = crl(ROOT, ROOT_KEY)
    assert isinstance(ask(end, ROOT), Checked)
    assert site.asked == ["/ocsp", "/crl"]


def test_a_response_in_the_message_spares_the_question(site: Web) -> None:
    """RFC 4806; one that is no good is passed over."""
    end = leaf(ocsp=f"{site.url}/ocsp")
    good = ocsp_response(end, ROOT, (ROOT, ROOT_KEY))
    bad = ocsp_response(end, ROOT, (ROOT, ROOT_KEY), status=REVOKED)
    assert isinstance(ask(end, ROOT, stapled=(b"rubbish", good)), Checked)
    assert "was revoked" in str(ask(end, ROOT, stapled=(bad,)))
    assert site.asked == []


def test_nothing_is_fetched_unless_allowed(site: Web) -> None:
    end = leaf(ocsp=f"{site.url}/ocsp", crls=f"{site.url}/crl")
    assert isinstance(ask(end, ROOT, sources=replace(PLAIN, fetch=False)), str)
    assert site.asked == []


# What is remembered -------------------------------------------------------------------------------


def test_many_who_ask_at_once_cost_one_fetch(site: Web) -> None:
    end = leaf(crls=f"{site.url}/crl")
    also = leaf(ocsp=f"{site.url}/ocsp")
    site.pages |= {"/crl": crl(ROOT, ROOT_KEY), "/ocsp": responder(also)}

    async def crowd(asked: Asked) -> list[Checked | str]:
        return await asyncio.gather(*(asked(one, ROOT) for one in (end, also) for _ in range(20)))

    assert all(isinstance(one, Checked) for one in asking(crowd))
    assert sorted(site.asked) == ["/crl", "/ocsp"]


def test_what_is_known_is_asked_anew_in_time_and_stays_while_it_counts(site: Web) -> None:
    end = leaf(crls=f"{site.url}/crl", ocsp="")
    site.pages["/crl"] = crl(ROOT, ROOT_KEY, days=(-1, 1))

    async def days(asked: Asked) -> None:
        assert isinstance(await asked(end, ROOT), Checked)
        assert isinstance(await asked(end, ROOT, after=599), Checked)
        assert site.asked == ["/crl"]
        del site.pages["/crl"]
        assert isinstance(await asked(end, ROOT, after=601), Checked)
        assert isinstance(await asked(end, ROOT, after=650), Checked)
        assert site.asked == ["/crl"] * 2, "who has nothing is not asked all the time"
        assert "out of date" in str(await asked(end, ROOT, after=90_000))
        site.pages["/crl"] = crl(ROOT, ROOT_KEY, [end], days=(1, 3))
        assert "was revoked" in str(await asked(end, ROOT, after=90_100))

    asking(days)


def test_a_list_survives_a_restart_in_its_folder(site: Web, tmp_path: Path) -> None:
    end = leaf(crls=f"{site.url}/crl")
    site.pages["/crl"] = crl(ROOT, ROOT_KEY)
    sources = replace(PLAIN, cache=tmp_path / "crls")
    assert isinstance(ask(end, ROOT, sources=sources), Checked)
    del site.pages["/crl"]
    assert isinstance(ask(end, ROOT, sources=sources), Checked)
    (kept,) = (tmp_path / "crls").iterdir()
    kept.write_bytes(b"rubbish")
    assert isinstance(ask(end, ROOT, sources=sources), str)


def test_a_silent_responder_costs_a_bounded_time() -> None:
    async def slow(asked: Asked) -> float:
        began = asyncio.get_running_loop().time()
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            assert isinstance(await asked(leaf(url + "/a", url + "/b", url + "/c"), ROOT), str)
        return asyncio.get_running_loop().time() - began

    assert asking(slow, replace(PLAIN, timeout=0.1)) < 1.0


# The verifier -------------------------------------------------------------------------------------


def verified(question: VerifyCertificate, today: datetime = NOW) -> tuple[Answer, list[str]]:
    warned: list[str] = []

    async def run() -> Answer:
        pki = Pki({}, (ROOT,), lambda: today)
        verifier = Verifier(pki, StatusDesk(PLAIN), warned.append)
        told: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        verifier.verify(question, told.set_result)
        answer = await told
        await verifier.close()
        return answer

    return asyncio.run(run()), warned


def test_the_verifier_says_for_how_long_its_answer_counts(site: Web) -> None:
    end = leaf(crls=f"{site.url}/crl")
    site.pages["/crl"] = crl(ROOT, ROOT_KEY)
    asked = VerifyCertificate((end.der,), "client", STRICT)
    assert verified(asked) == (Trusted(end, 600.0), [])
    site.pages["/crl"] = crl(ROOT, ROOT_KEY, [end])
    assert verified(asked) == (Refused("CN=leaf was revoked: on 2026-05-31"), [])


def test_the_verifier_says_nothing_where_nothing_could_be_found_out() -> None:
    """A small authority without a CRL is no news, not for each of its certificates either."""
    end = leaf()
    asked = VerifyCertificate((end.der,), "client", LENIENT)
    assert verified(asked) == (Trusted(end), [])
    assert isinstance(verified(replace(asked, revocation=STRICT))[0], Refused)


def test_the_verifier_says_what_it_could_not_find_out(site: Web) -> None:
    end = leaf(ocsp=f"{site.url}/nothing")
    answer, warned = verified(VerifyCertificate((end.der,), "client", LENIENT))
    assert answer == Trusted(end, 60.0)
    assert "whether it is revoked is not known: CN=leaf" in warned[0]


def test_a_chain_that_does_not_hold_is_never_asked_about(site: Web) -> None:
    """Else strangers could have us fetch from where they like."""
    stranger = private_key(P256, 9)
    uri = x509.UniformResourceIdentifier(f"{site.url}/crl")
    point = x509.CRLDistributionPoints([x509.DistributionPoint([uri], None, None, None)])
    forged = certificate("leaf", LEAF_KEY, "root", stranger, [(point, False)])
    answer, _ = verified(VerifyCertificate((forged.der,), "client", STRICT))
    assert isinstance(answer, Refused)
    assert site.asked == []


def test_without_a_policy_nothing_is_asked(site: Web) -> None:
    end = leaf(crls=f"{site.url}/crl")
    assert verified(VerifyCertificate((end.der,), "client")) == (Trusted(end), [])
    assert site.asked == []
