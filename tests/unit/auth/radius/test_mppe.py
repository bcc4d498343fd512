# SPDX-License-Identifier: Apache-2.0
"""The MSK out of MS-MPPE keys (RFC 2548 §2.4.2, §2.4.3)."""

import pytest

from ikeway.auth.radius.mppe import master_session_key
from ikeway.auth.radius.packet import Attribute, Packet
from ikeway.auth.radius.registry import Code, MicrosoftType
from ikeway.model.errors import MalformedError
from support.radius import SECRET, hidden, mppe

ASKED = bytes(range(16))
RECEIVE, SEND = bytes(range(32)), bytes(range(32, 64))
SALTS = (b"\x80\x01", b"\x80\x02")


def accept(*attributes: Attribute) -> Packet:
    return Packet(Code.ACCESS_ACCEPT, 1, bytes(16), attributes)


def receive_key(key: bytes = RECEIVE, salt: bytes = SALTS[0]) -> Attribute:
    return mppe(MicrosoftType.MPPE_RECV_KEY, hidden(key, salt, ASKED))


def send_key(key: bytes = SEND, salt: bytes = SALTS[1]) -> Attribute:
    return mppe(MicrosoftType.MPPE_SEND_KEY, hidden(key, salt, ASKED))


@pytest.mark.parametrize("octets", [16, 32])
def test_the_msk_is_the_receive_key_then_the_send_key_filled_up(octets: int) -> None:
    """EAP-MSCHAPv2 gives keys of 16 octets, TLS methods of 32."""
    packet = accept(send_key(SEND[:octets]), receive_key(RECEIVE[:octets]))
    msk = master_session_key(packet, ASKED, SECRET)
    assert msk is not None
    assert msk.octets == (RECEIVE[:octets] + SEND[:octets]).ljust(64, b"\0")


def test_a_method_without_keys_has_no_msk() -> None:
    assert master_session_key(accept(), ASKED, SECRET) is None


@pytest.mark.parametrize(
    "attributes",
    [
        (receive_key(),),
        (receive_key(), receive_key(), send_key()),
        (receive_key(salt=SALTS[0]), send_key(salt=SALTS[0])),
        (receive_key(), mppe(MicrosoftType.MPPE_SEND_KEY, SALTS[1])),
        (receive_key(), mppe(MicrosoftType.MPPE_SEND_KEY, SALTS[1] + bytes(17))),
        (receive_key(), send_key(b"")),
        (receive_key(), send_key(bytes(33))),
    ],
    ids=["one", "twice", "same salt", "no key", "half a block", "empty", "too long"],
)
def test_keys_in_another_form_are_malformed(attributes: tuple[Attribute, ...]) -> None:
    with pytest.raises(MalformedError):
        master_session_key(accept(*attributes), ASKED, SECRET)
