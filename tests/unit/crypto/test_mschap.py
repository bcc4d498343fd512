# SPDX-License-Identifier: Apache-2.0
"""MS-CHAPv2's functions against the examples of the RFCs."""

import pytest

from ikeway.crypto import mschap
from ikeway.model.errors import AuthenticationError
from ikeway.model.secret import Secret

# RFC 2759 §9.2 and RFC 3079 §3.5.3.
USER = b"User"
PASSWORD = Secret(b"clientPass")
AUTHENTICATOR = bytes.fromhex("5B5D7C7D7B3F2F3E3C2C602132262628")
PEER = bytes.fromhex("21402324255E262A28295F2B3A337C7E")
HASH = bytes.fromhex("44EBBA8D5312B8D611474411F56989AE")
PROOF = bytes.fromhex("82309ECD8D708B5EA08FAA3981CD83544233114A3D85D6DF")
SEND_START_KEY = bytes.fromhex("8B7CDC149B993A1BA118CB153F56DCCB")


def test_the_example_of_rfc_2759() -> None:
    nt = mschap.nt_hash(PASSWORD)
    assert nt.octets == HASH
    assert mschap.nt_response(AUTHENTICATOR, PEER, USER, nt) == PROOF
    answer = mschap.authenticator_response(AUTHENTICATOR, PEER, USER, nt)
    assert answer == b"S=407A5589115FD0D6209F510FE9C04566932CDA56"


def test_the_example_of_rfc_3079_is_the_key_that_the_server_sends_with() -> None:
    msk = mschap.master_session_key(mschap.nt_hash(PASSWORD), PROOF).octets
    assert msk[16:32] == SEND_START_KEY
    assert len(msk) == 64
    assert msk[32:] == bytes(32)


def test_another_proof_is_refused() -> None:
    mschap.check(b"same", b"same", "peer")
    with pytest.raises(AuthenticationError, match="the peer does not know the password"):
        mschap.check(b"same", b"else", "peer")
