# SPDX-License-Identifier: Apache-2.0
"""EAP-TTLS with what may go on inside (RFC 5281)."""

from dataclasses import replace
from functools import partial

import pytest

from ikeway.auth.eap import avps, tls_method
from ikeway.auth.eap.avps import Avp
from ikeway.auth.eap.means import Means
from ikeway.auth.eap.methods import method
from ikeway.auth.eap.peer import EapPeer
from ikeway.auth.eap.progress import Failure, Success
from ikeway.auth.eap.server import EapServer
from ikeway.auth.eap.ttls_inner_peer import MsChap
from ikeway.crypto import tls
from ikeway.model.errors import MalformedError
from ikeway.model.identity import Identity
from support.eap import Users, converse, random
from support.hosts import LEFT, RIGHT, credentials, pki_of

NAME = b"carol"
USERS = Users({NAME: "correct horse"})
INNER = ["pap", "mschapv2", "eap-mschapv2", "eap-md5", "eap-gtc"]


def means(name: str, users: Users, inner: str = "", expected: str | None = None) -> Means:
    own = credentials(name)
    named = Identity.parse(expected) if expected else None
    return Means(users, random(), b"gw", pki_of(own).tls(own.certificates), named, inner)


def server(identity: bytes = b"anonymous") -> EapServer:
    return EapServer((method("ttls"),), means(RIGHT, USERS), identity)


def peer(inner: str, password: str = "correct horse", expected: str = RIGHT) -> EapPeer:
    own = means(LEFT, Users({NAME: password}), inner, expected)
    return EapPeer((method("ttls"),), own, NAME)


@pytest.fixture(params=[True, False], ids=["1.3", "1.2"], autouse=True)
def _version(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run everything with either version of TLS."""
    policy = partial(tls.TlsPolicy, allow_tls13=request.param)
    monkeypatch.setattr(tls_method, "TlsPolicy", policy)


@pytest.mark.parametrize("inner", INNER)
def test_a_password_is_proven_inside(inner: str) -> None:
    """RFC 5281 §11: and who it is of counts, whoever is named outside."""
    dialogue = converse(server(), peer(inner))
    assert isinstance(dialogue.server, Success)
    assert isinstance(dialogue.peer, Success)
    assert dialogue.server.identity == NAME
    assert dialogue.server.msk == dialogue.peer.msk
    assert dialogue.server.msk is not None


@pytest.mark.parametrize("inner", INNER)
def test_a_wrong_password_is_refused(inner: str) -> None:
    dialogue = converse(server(), peer(inner, "wrong"))
    assert isinstance(dialogue.server, Failure) or isinstance(dialogue.peer, Failure)
    assert not isinstance(dialogue.server, Success)
    assert not isinstance(dialogue.peer, Success)


@pytest.mark.parametrize("inner", INNER)
def test_a_server_of_another_name_hears_no_password(inner: str) -> None:
    dialogue = converse(server(), peer(inner, expected="other.example"))
    assert isinstance(dialogue.peer, Failure)
    assert "is not for other.example" in dialogue.peer.reason


def test_a_server_that_does_not_know_the_password_is_not_believed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """RFC 5281 §11.2.4: its certificate alone does not do with MS-CHAPv2."""
    monkeypatch.setattr(MsChap, "begin", _with_another_expectation(MsChap.begin))
    dialogue = converse(server(), peer("mschapv2"))
    assert dialogue.peer == Failure("the server does not know the password")


def _with_another_expectation(begin):  # type: ignore[no-untyped-def]
    def begun(self):  # type: ignore[no-untyped-def]
        said = begin(self)
        self._expected = b"x" * len(self._expected)
        return said

    return begun


def test_ms_chap_is_over_the_challenge_of_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 5281 §11.1: else a proof that was seen elsewhere could be played in here."""
    own = (bytes(16), 7)
    monkeypatch.setattr("ikeway.auth.eap.ttls_inner_peer.challenge", lambda _tls: own)
    dialogue = converse(server(), peer("mschapv2"))
    assert isinstance(dialogue.server, Failure)
    assert "another challenge" in dialogue.server.reason


# AVPs ---------------------------------------------------------------------------------------------


def test_avps_come_out_as_they_went_in() -> None:
    pairs = [Avp(avps.USER_NAME, b"carol"), Avp(avps.MS_CHAP_CHALLENGE, bytes(16))]
    octets = b"".join(pair.encode() for pair in pairs)
    assert len(octets) % 4 == 0
    assert avps.decode(octets) == {pair.name: pair.data for pair in pairs}


def test_an_unknown_avp_is_skipped_unless_it_is_mandatory() -> None:
    """RFC 5281 §10.1."""
    optional = Avp((0, 999), b"x", is_mandatory=False)
    assert avps.decode(optional.encode()) == {(0, 999): b"x"}
    with pytest.raises(MalformedError, match="which we must know"):
        avps.decode(replace(optional, is_mandatory=True).encode())


@pytest.mark.parametrize("cut", range(1, 16))
def test_an_avp_that_is_cut_is_refused(cut: int) -> None:
    whole = Avp(avps.MS_CHAP_CHALLENGE, bytes(4)).encode()
    with pytest.raises(MalformedError):
        avps.decode(whole[:cut])
