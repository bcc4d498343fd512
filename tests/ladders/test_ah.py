# SPDX-License-Identifier: Apache-2.0
"""Child SAs of AH: negotiated, rekeyed, deleted, refused behind a NAT (RFC 7296 §3.3, RFC 4302)."""

from dataclasses import replace
from ipaddress import ip_address

import pytest

from ikeway.crypto.keys import derive_child_keys
from ikeway.crypto.prf import prf
from ikeway.ike import reports
from ikeway.ike.io import Rekey
from ikeway.model.errors import ConfigError
from ikeway.model.esp import Encapsulation, EspSuite
from ikeway.policy.connection import Encapsulate
from ikeway.policy.proposals import esp_words, parse_ah, parse_esp
from ikeway.wire.codec import Body
from ikeway.wire.message import Message
from ikeway.wire.payloads import Delete, Nonce, Notify, Proposal, SecurityAssociation
from ikeway.wire.registry import ExchangeType, NotifyType, ProtocolId, TransformType
from support.agreement import agree
from support.forge import opened, request, session_of
from support.hosts import CBC, GCM, Row
from support.ladder import Ladder, Nat
from support.roads import HERE, roaming
from support.shell import Host

SUITES = {
    "sha1": (2, 20),
    "aesxcbc": (5, 16),
    "aescmac": (8, 16),
    "aes128gmac": (9, 20),
    "aes192gmac": (10, 28),
    "aes256gmac": (11, 36),
    "sha256": (12, 32),
    "sha384": (13, 48),
    "sha512": (14, 64),
}
PLAIN = [GCM, CBC]


def ah(text: str = "sha256-esn") -> dict[str, object]:
    return {"esp": (parse_ah(text, allow_legacy=True),)}


def up(row: Row, **changes: object) -> Ladder:
    ladder = row.psk(ah() | changes, ah() | changes)
    ladder.connect()
    return ladder


def asked(ladder: Ladder, host: Host, *payloads: Body) -> Message:
    """Let one side ask INFORMATIONAL, and return the answer, opened."""
    (answer,) = ladder.arrive(ladder.other(host), request(ladder, host, payloads).octets)
    return opened(host, answer)


def sent(ladder: Ladder, host: Host, exchange: ExchangeType) -> list[Message]:
    """Return the messages of an exchange that a host sent, opened by the other one."""
    found = [
        datagram.octets
        for sender, datagram in ladder.sent
        if sender is host and Message.decode(datagram.octets).header.exchange is exchange
    ]
    return [opened(ladder.other(host), octets) for octets in found]


@pytest.mark.conformance("CF-H10", "CF-K07")
@pytest.mark.parametrize("name", SUITES)
@pytest.mark.parametrize("esn", ["esn", "noesn"])
def test_every_algorithm_is_agreed_on_with_its_keys(name: str, esn: str) -> None:
    """§2.17: keys in the order of the direction; AH has no encryption key before its own."""
    code, octets = SUITES[name]
    ladder = GCM.psk(ah(f"{name}-{esn}"), ah(f"{name}-{esn}"))
    ladder.connect()
    agree(ladder)
    left, right = ladder.left.child, ladder.right.child
    assert left.suite == EspSuite(0, 0, code, esn=esn == "esn")
    assert left.suite.is_ah
    ring = session_of(ladder.left).keyring
    nonces = [Message.decode(ladder.sent[at][1].octets).one(Nonce) for at in (0, 1)]
    assert nonces[0]
    assert nonces[1]
    both = nonces[0].data, nonces[1].data
    suite_prf = prf(ring.suite.prf)
    keys = derive_child_keys(suite_prf, ring.keys.sk_d, 0, octets, *both, shared=None)
    assert (left.keys_out, left.keys_in) == keys == (right.keys_in, right.keys_out)
    assert (len(left.keys_in.encr), len(left.keys_in.integ)) == (0, octets)


def test_a_proposal_of_ah_has_integrity_and_sequence_numbers_only() -> None:
    """§3.3.3: for AH, "INTEG, ESN" are mandatory and "D-H" optional; there is no ENCR."""
    ladder = up(GCM)
    (message,) = sent(ladder, ladder.left, ExchangeType.IKE_AUTH)
    body = message.one(SecurityAssociation)
    assert body
    (proposal,) = body.proposals
    assert (proposal.protocol, len(proposal.spi)) == (ProtocolId.AH, 4)
    assert [each.type for each in proposal.transforms] == [TransformType.INTEG, TransformType.ESN]
    assert ladder.left.child.encapsulation is Encapsulation.NONE
    words = [event.suite for event in ladder.left.seen(reports.ChildEstablished)]
    assert words == ["AH sha256-esn"] == [esp_words(ladder.right.child.suite)]


@pytest.mark.parametrize("row", PLAIN, ids=str)
def test_ah_and_esp_have_nothing_in_common(row: Row) -> None:
    """§3.3: a proposal is for one protocol: NO_PROPOSAL_CHOSEN, and the IKE SA stays (§1.2)."""
    ladder = row.psk(ah())
    ladder.connect()
    assert not ladder.left.installed
    assert not ladder.right.installed
    assert ladder.left.established
    reasons = [event.reason for event in ladder.right.seen(reports.ChildFailed)]
    assert len(reasons) == 1
    assert "the peer offers 1: AH HMAC_SHA2_256_128" in reasons[0]


def test_a_responder_may_choose_between_proposals_of_both() -> None:
    """§3.3: "the responder MUST accept a single proposal"; ours are of one protocol each."""
    both = (parse_esp("aes256gcm16"), parse_ah("sha384"))
    ladder = GCM.psk({"esp": both}, ah("sha384"))
    ladder.connect()
    agree(ladder)
    assert ladder.left.child.suite.is_ah


@pytest.mark.conformance("CF-A18")
@pytest.mark.parametrize("row", PLAIN, ids=str)
@pytest.mark.parametrize("by", ["left", "right"])
@pytest.mark.parametrize("more", ["", "-x25519"], ids=["plain", "pfs"])
def test_a_child_of_ah_is_rekeyed_and_the_old_one_deleted(row: Row, by: str, more: str) -> None:
    """§1.3.3: REKEY_SA names the protocol, and so does the Delete that follows (§3.11)."""
    ladder = up(row, **ah(f"sha512{more}"))
    host: Host = getattr(ladder, by)
    old = host.child
    sa = next(iter(host.endpoint.sas))
    ladder.perform(host, host.endpoint.handle(sa.spi, Rekey(old.spi_in), ladder.now))
    ladder.settle()
    agree(ladder)
    assert host.child.spi_in != old.spi_in
    assert host.child.suite.is_ah
    messages = sent(ladder, host, ExchangeType.CREATE_CHILD_SA)
    named = Notify(NotifyType.REKEY_SA, protocol=ProtocolId.AH, spi=old.spi_in.to_bytes(4))
    assert messages[0].notify(NotifyType.REKEY_SA) == named
    deleted = [one.one(Delete) for one in sent(ladder, host, ExchangeType.INFORMATIONAL)]
    assert Delete(ProtocolId.AH, 4, (old.spi_in.to_bytes(4),)) in deleted


@pytest.mark.conformance("CF-K11")
@pytest.mark.parametrize("by", ["left", "right"])
def test_a_delete_has_to_name_the_protocol(by: str) -> None:
    """§3.11: ESP and AH may have the same SPI: the Delete of one does not end the other."""
    for protocol in (ProtocolId.ESP, ProtocolId.AH):
        ladder = up(GCM)
        host: Host = getattr(ladder, by)
        other = ladder.other(host)
        child, is_right = other.child, protocol is ProtocolId.AH
        answer = asked(ladder, host, Delete(protocol, 4, (child.spi_out.to_bytes(4),)))
        ended = Delete(protocol, 4, (child.spi_in.to_bytes(4),))
        assert answer.payloads == ((ended,) if is_right else ())
        assert bool(other.installed) is not is_right


def test_a_rekey_of_what_is_not_there_is_answered_with_its_protocol() -> None:
    """§2.25: CHILD_SA_NOT_FOUND has the protocol and the SPI of the REKEY_SA."""
    for protocol in (ProtocolId.AH, ProtocolId.ESP):
        ladder = up(GCM)
        rekey = Notify(NotifyType.REKEY_SA, protocol=protocol, spi=b"\xde\xad\xbe\xef")
        none = SecurityAssociation((Proposal(1, protocol, b"spi!", ()),))
        exchange = ExchangeType.CREATE_CHILD_SA
        sealed = request(ladder, ladder.left, (rekey, none, Nonce(bytes(32))), exchange)
        (answer,) = ladder.arrive(ladder.right, sealed.octets)
        (found,) = opened(ladder.left, answer).payloads
        wanted = Notify(NotifyType.CHILD_SA_NOT_FOUND, protocol=protocol, spi=rekey.spi)
        assert found == wanted
        agree(ladder)


# NATs ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("row", [replace(row, behind_nat=True) for row in PLAIN], ids=str)
def test_behind_a_nat_there_is_no_ah(row: Row) -> None:
    """RFC 3715 §2.1: AH protects the addresses, and a NAT changes them."""
    ladder = up(row)
    assert not ladder.left.installed
    assert not ladder.right.installed
    assert ladder.left.established
    (why,) = [event.reason for event in ladder.right.seen(reports.ChildFailed)]
    assert "AH does not pass a NAT" in why
    (answer,) = sent(ladder, ladder.right, ExchangeType.IKE_AUTH)
    assert answer.notify(NotifyType.NO_PROPOSAL_CHOSEN)


def test_who_pretends_to_be_behind_a_nat_gets_no_ah_either() -> None:
    """§2.23: both sides see a NAT then, whether there is one or not."""
    ladder = GCM.psk(ah(), ah() | {"encapsulate": Encapsulate.ALWAYS})
    ladder.connect()
    assert not ladder.left.installed
    assert "forced" in ladder.right.seen(reports.ChildFailed)[0].reason


def test_what_comes_behind_a_nat_loses_its_ah() -> None:
    """RFC 4555 §3.8: a host that moves behind a NAT; what of AH it sent would never arrive."""
    ladder = roaming(GCM, left=ah(), right=ah())
    assert ladder.left.child.suite.is_ah
    outside, inside = HERE[4][:2]
    ladder.nat = Nat(inside, ip_address("203.0.113.9"))
    ladder.has(ladder.left, inside)
    ladder.settle()
    ladder.wait(2)
    assert not ladder.left.installed
    assert not ladder.right.installed
    assert ladder.left.established
    assert any("AH does not pass" in event.reason for event in ladder.left.seen(reports.Warned))
    assert outside != inside


def test_what_moves_without_a_nat_keeps_its_ah() -> None:
    """RFC 4555 §3.5: the addresses of the SAs change on both sides."""
    ladder = roaming(GCM, left=ah(), right=ah())
    ladder.has(ladder.left, HERE[4][1])
    ladder.settle()
    agree(ladder)
    assert ladder.right.child.peer.address == HERE[4][1]
    assert ladder.left.child.encapsulation is Encapsulation.NONE


# Words --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("aes256-sha256", "'aes256' cannot be used for AH"),
        ("esn", "no integrity algorithm"),
        ("sha257", "'sha257' is not known"),
        ("prfsha256-sha256", "'prfsha256' cannot be used for AH"),
        ("sha1", "needs `legacy = true`"),
        ("sha256-ke1_x25519", "an additional key exchange and no first one"),
    ],
)
def test_words_that_ah_does_not_have(text: str, why: str) -> None:
    """§3.3.3: what a proposal for AH may contain."""
    with pytest.raises(ConfigError, match=why):
        parse_ah(text)
