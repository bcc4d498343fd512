# SPDX-License-Identifier: Apache-2.0
"""PEAP version 0, and what its server can try (draft-kamath-pppext-peapv0)."""

from functools import partial

import pytest

from ikeway.auth.eap import tls_method
from ikeway.auth.eap.means import Means
from ikeway.auth.eap.methods import gtc, method, mschapv2, peap
from ikeway.auth.eap.packet import Code
from ikeway.auth.eap.peer import EapPeer
from ikeway.auth.eap.progress import Failure, Progress, Success
from ikeway.auth.eap.server import EapServer
from ikeway.crypto import tls
from ikeway.model.identity import Identity
from support.eap import Users, converse, random
from support.hosts import LEFT, RIGHT, credentials, pki_of

NAME = b"carol"


def means(name: str, password: str, expected: str | None = None) -> Means:
    own = credentials(name)
    named = Identity.parse(expected) if expected else None
    users = Users({NAME: password})
    return Means(users, random(), b"gw", pki_of(own).tls(own.certificates), named)


def server() -> EapServer:
    return EapServer((method("peap"),), means(RIGHT, "correct horse"), b"anonymous")


def peer(password: str = "correct horse", expected: str = RIGHT) -> EapPeer:
    return EapPeer((method("peap"),), means(LEFT, password, expected), NAME)


@pytest.fixture(params=[True, False], ids=["1.3", "1.2"], autouse=True)
def _version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run everything with either version of TLS."""
    policy = partial(tls.TlsPolicy, allow_tls13=request.param)
    monkeypatch.setattr(tls_method, "TlsPolicy", policy)


@pytest.mark.parametrize("inner", [mschapv2.METHOD, gtc.METHOD], ids=["mschapv2", "gtc"])
def test_a_password_is_proven_inside(inner: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peap, "INNER", (inner,))
    dialogue = converse(server(), peer())
    assert isinstance(dialogue.server, Success)
    assert isinstance(dialogue.peer, Success)
    assert dialogue.server.identity == NAME
    assert dialogue.server.msk == dialogue.peer.msk
    assert dialogue.server.msk is not None


def test_a_wrong_password_is_refused() -> None:
    dialogue = converse(server(), peer("wrong"))
    assert isinstance(dialogue.server, Failure)
    assert isinstance(dialogue.peer, Failure)
    assert "the server refuses" in dialogue.peer.reason


def test_a_server_of_another_name_hears_nothing_inside() -> None:
    dialogue = converse(server(), peer(expected="other.example"))
    assert isinstance(dialogue.peer, Failure)
    assert "is not for other.example" in dialogue.peer.reason


def test_a_result_without_a_proof_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not know the password could say so at once."""
    happy = Progress(b"", Success(NAME, None))
    monkeypatch.setattr(EapServer, "handle", _but_inside(EapServer.handle, happy))
    dialogue = converse(server(), peer())
    assert dialogue.peer == Failure("PEAP: the server says success before any proof")


def _but_inside(handle, happy):  # type: ignore[no-untyped-def]
    def handled(self, octets):  # type: ignore[no-untyped-def]
        is_inside = self._methods == peap.INNER
        return happy if is_inside else handle(self, octets)

    return handled


def test_a_result_of_the_peers_that_is_bad_is_no_success(monkeypatch: pytest.MonkeyPatch) -> None:
    real = peap._result

    def liar(code: Code, verdict: bytes) -> bytes:
        return real(code, b"\2" if code is Code.RESPONSE else verdict)

    monkeypatch.setattr(peap, "_result", liar)
    dialogue = converse(server(), peer())
    assert dialogue.server == Failure("PEAP: the peer does not confirm the result")
