# SPDX-License-Identifier: Apache-2.0
"""Messages that others recorded decode whole and encode to the same octets."""

from pathlib import Path

import pytest

from ikeway.model.errors import MalformedError
from ikeway.wire.message import Message
from ikeway.wire.payloads import (
    Encrypted,
    KeyExchange,
    Nonce,
    Notify,
    SecurityAssociation,
    VendorId,
)
from ikeway.wire.registry import ExchangeType, KeMethod, NotifyType, PayloadType
from support.pcap import CAPTURES, ESP, datagrams, ike_messages, packets

WHOLE = {
    "ikev2four.pcap": 21,
    "ikev2pI2.pcap": 2,
    "joy-ikev2.pcap": 6,
    "windows10-ipsec_client.pcap": 5,
}
NOT_IKEV2 = {
    "02-sunrise-sunset-esp.pcap": 8,
    "08-sunrise-sunset-aes.pcap": 8,
    "08-sunrise-sunset-esp2.pcap": 8,
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_capture_decodes_whole_and_encodes_to_the_same_octets(name: str) -> None:
    messages = list(ike_messages(CAPTURES / name))
    assert len(messages) == WHOLE[name]
    for octets in messages:
        decoded = Message.decode(octets)
        assert decoded.encode() == octets
        assert decoded.to_json()["length"] == len(octets)
        assert all(body.kind.is_known for body in decoded.payloads)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("ikev2-id-normal.pcap", "39 octets after the last payload"),
        ("ikev2-id-short.pcap", "1 octets where 4 are needed"),
    ],
)
def test_a_capture_that_is_broken_on_purpose_is_malformed(name: str, reason: str) -> None:
    (octets,) = ike_messages(CAPTURES / name)
    with pytest.raises(MalformedError, match=reason):
        Message.decode(octets)


@pytest.mark.parametrize("name", NOT_IKEV2)
def test_a_capture_of_esp_has_no_ike(name: str) -> None:
    assert not list(ike_messages(CAPTURES / name))
    assert [one.protocol for one in packets(CAPTURES / name)] == [ESP] * NOT_IKEV2[name]


def test_ikev1_is_malformed_as_ikev2() -> None:
    old = list(ike_messages(CAPTURES / "isakmp4500.pcap", major=1))
    assert len(old) >= 10
    for octets in old:
        with pytest.raises(MalformedError, match="major version 1"):
            Message.decode(octets)


def test_every_capture_is_accounted_for() -> None:
    named = {*WHOLE, *NOT_IKEV2, "ikev2-id-normal.pcap", "ikev2-id-short.pcap"}
    named |= {"isakmp4500.pcap", "espudp1.pcap"}  # IKEv1, and ESP in UDP
    named |= {"own-gcm.pcap", "own-cbc.pcap", "own-chacha.pcap"}  # see test_traces.py
    assert {path.name for path in CAPTURES.glob("*.pcap")} == named


def test_windows_offers_what_it_is_known_for() -> None:
    """Windows 10: proposals of MODP-1024 each, four vendor ids, IKE_AUTH in three IP fragments."""
    path = CAPTURES / "windows10-ipsec_client.pcap"
    first, answer, *auth = (Message.decode(octets) for octets in ike_messages(path))
    offer, chosen = one(first), one(answer)
    assert [proposal.number for proposal in offer.proposals] == list(range(1, 13))
    assert len(chosen.proposals) == 1
    method = first.one(KeyExchange)
    assert method is not None
    assert method.method is KeMethod.MODP_1024
    assert len(first.all(VendorId)) == 4
    assert {message.header.exchange for message in auth} == {ExchangeType.IKE_AUTH}
    sealed = auth[0].one(Encrypted)
    assert sealed is not None
    assert (sealed.first, len(sealed.data)) == (PayloadType.IDI, 3468 - 32)


def test_a_cookie_challenge_and_its_answer_are_read() -> None:
    path: Path = CAPTURES / "ikev2four.pcap"
    _, challenge, again, *_ = (Message.decode(octets) for octets in ike_messages(path))
    asked, given = (message.notify(NotifyType.COOKIE) for message in (challenge, again))
    assert asked is not None
    assert asked == given
    assert challenge.header.is_response
    assert again.one(Nonce) is not None
    assert isinstance(again.payloads[0], Notify)


def test_esp_in_udp_is_told_from_ike() -> None:
    assert [one.data[:4].hex() for one in datagrams(CAPTURES / "espudp1.pcap")] == ["12345678"] * 8


def one(message: Message) -> SecurityAssociation:
    body = message.one(SecurityAssociation)
    assert body is not None
    return body
