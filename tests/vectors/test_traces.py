# SPDX-License-Identifier: Apache-2.0
"""Stored captures, traced: those of others as far as their keys go, our own to the last packet."""

import json
from pathlib import Path

import pytest

from ikeway.trace.events import EspSeen, EspSum, Event, IkeSeen, Remark
from ikeway.trace.keyfile import load_keys
from ikeway.trace.keys import IkeSaKeys, KeyStore
from ikeway.trace.ladder import Ladder, Tone
from ikeway.trace.records import record
from ikeway.trace.sealed import Sealing
from ikeway.trace.tables import OURS, parse_line
from ikeway.trace.tracer import trace
from ikeway.wire.registry import ExchangeType
from support.pcap import CAPTURES

OWN = ("own-gcm", "own-cbc", "own-chacha")
JOY = (
    "81f24c0acd8fa55c,192383172724c706,"
    "aaa06839eaf0959d486eeecda7a48b23080963b5fd7217928e8fbf58,"
    "92dc96ec87076caa84e26b3621c7c469427e2e4bcc1b962362a3dde3,"
    '"AES_CTR_192",'
    "65777be31ee2137f31cf23fa0ee834dfede11cc0adc9a84541026642c09df2bf"
    "96056a2036e97a67ce7d3c5b6f37e17e8fe64f4ef23e14f5997fb7671df3adaf,"
    "42abd4709f1b94fd8c2270c74aae3fbe61c0b9c109c55f3e3b9ed7e480bc75c3"
    "985c15234caa623c8ca0606c303921d7cfd44861df1e798370b2ee95fe712e52,"
    '"HMAC_SHA2_512_256"'
)


def events(name: str, keys: KeyStore | None = None) -> list[Event]:
    return list(trace(CAPTURES / f"{name}.pcap", keys or KeyStore()))


def own_keys(name: str) -> KeyStore:
    return load_keys(CAPTURES / f"{name}.keys")


def ladder(seen: list[Event], *, verbose: bool = False) -> str:
    drawn = Ladder(100, is_verbose=verbose, packets=4)
    return "\n".join(line.text for event in seen for line in drawn.draw(event))


def remarks(seen: list[Event]) -> list[str]:
    return [one.text for one in seen if isinstance(one, Remark)]


def messages(seen: list[Event]) -> list[IkeSeen]:
    return [one for one in seen if isinstance(one, IkeSeen)]


@pytest.mark.parametrize("name", OWN)
def test_our_own_capture_opens_whole_with_its_key_log(name: str) -> None:
    seen = events(name, own_keys(name))
    exchanges = [(one.header.exchange, one.sealing) for one in messages(seen)]
    clear = [(ExchangeType.IKE_SA_INIT, Sealing.CLEAR)] * 2
    auth = [(ExchangeType.IKE_AUTH, Sealing.VERIFIED)] * 2
    assert exchanges == [*clear, *auth, *[(ExchangeType.INFORMATIONAL, Sealing.VERIFIED)] * 2]
    sums = [one.flow for one in seen if isinstance(one, EspSum)]
    assert [flow.by_sealing for flow in sums] == [{Sealing.VERIFIED: 6}] * 2
    assert not any(one.is_bad for one in seen if isinstance(one, Remark))
    inside = [one.opened.content for one in seen if isinstance(one, EspSeen)]
    assert len(inside) == 12
    assert inside[0] == "10.66.0.1 > 10.1.0.1 ICMP echo request, 84 octets"
    assert inside[-1] == "fd01::1 > fd66::1 ICMPv6 echo reply, 104 octets"


def test_the_ladder_of_our_own_capture_tells_the_handshake() -> None:
    text = ladder(events("own-gcm", own_keys("own-gcm")))
    for words in (
        "            192.0.2.2   ",
        "0.000000 │── IKE_SA_INIT request 0 [SA KE Nonce N×3] ─",
        "│   SA chosen: proposal 1 IKE: AES_GCM_16_256 / HMAC_SHA2_384 / CURVE25519",
        "IKE_AUTH request 1 [IDi CERT CERTREQ IDr AUTH CP(CFG_REQUEST) SA TSi TSr]",
        "│   CERT CN=laptop@example (laptop@example)",
        "issued by CN=ikeway demo CA, valid",
        "│   CP CFG_REPLY IP4_ADDRESS 10.66.0.1",
        "│   TSr 0.0.0.0/0, ::/0",
        "both sides move to port 4500",
        "the sender is behind a NAT, or wants UDP",
        "#1 10.66.0.1 > 10.1.0.1 ICMP echo request",
        "│   D IKE",
        "6 packets, 780 octets, sequence numbers 1 to 6; 6 verified",
    ):
        assert words in text
    assert " #5 " not in text


def test_a_verbose_ladder_shows_every_field_and_packet() -> None:
    text = ladder(events("own-gcm", own_keys("own-gcm")), verbose=True)
    for words in ("id: 20 AES_GCM_16", "method: CURVE25519", "SPIs 00", " #6 ", "data: "):
        assert words in text


def test_a_ladder_is_no_wider_than_it_may_be_where_titles_are_short() -> None:
    drawn = Ladder(100, is_verbose=False, packets=0)
    lines = [line for event in events("own-cbc") for line in drawn.draw(event)]
    rungs = [line.text for line in lines if line.tone in {Tone.LEFT, Tone.RIGHT}]
    assert {len(text) for text in rungs} == {100}


@pytest.mark.parametrize("name", OWN)
def test_without_keys_the_rest_is_said_to_be_encrypted(name: str) -> None:
    seen = events(name)
    assert [one.sealing for one in messages(seen)][2:] == [Sealing.NO_KEYS] * 4
    assert any("needs keys: --keys DIR" in text for text in remarks(seen))
    assert "IKE_AUTH request 1 [SK{IDI…}]" in ladder(seen)


def test_keys_of_another_run_are_noticed() -> None:
    told = remarks(events("own-gcm", own_keys("own-cbc")))
    assert any("no keys for IKE SA" in text for text in told)
    assert any("Are they of another run?" in text for text in told)
    assert any("no keys for ESP SA" in text for text in told)


def test_keys_with_a_wrong_algorithm_are_noticed() -> None:
    lines = (CAPTURES / "own-gcm.keys" / "ikev2_decryption_table").read_text().splitlines()
    row = parse_line(lines[0].replace("16 octet ICV", "8 octet ICV"))
    assert isinstance(row, IkeSaKeys)
    store = KeyStore()
    store.add([row])
    (told,) = [text for text in remarks(events("own-gcm", store)) if "do not open" in text]
    assert told.endswith("they are for AES_GCM_8_256, IKE_SA_INIT agreed on AES_GCM_16_256")


def test_the_capture_of_joy_opens_with_its_published_keys() -> None:
    row = parse_line(OURS + JOY)
    assert row is not None
    store = KeyStore()
    store.add([row])
    seen = events("joy-ikev2", store)
    assert [one.sealing for one in messages(seen)][2:] == [Sealing.VERIFIED] * 4
    text = ladder(seen)
    assert "AUTH SHARED_KEY_MESSAGE_INTEGRITY_CODE, 32 octets" in text
    assert "INFORMATIONAL request 2 [D(IKE)]" in text


def test_the_message_of_tcpdump_is_shown_though_its_check_fails() -> None:
    store = load_keys(CAPTURES / "ikev2pI2-secrets.txt")
    last = messages(events("ikev2pI2", store))[-1]
    assert last.sealing is Sealing.FAILED
    assert "IDi FQDN west" in ladder([last])


@pytest.mark.parametrize(
    ("name", "packets", "inside"),
    [
        ("08-sunrise-sunset-aes", 8, "192.0.2.1 > 192.0.1.1 ICMP echo request, 84 octets"),
        ("08-sunrise-sunset-esp2", 8, "192.1.2.23 > 192.0.1.1 ESP, 136 octets"),
    ],
)
def test_esp_of_tcpdump_opens_unchecked(name: str, packets: int, inside: str) -> None:
    seen = events(name, load_keys(CAPTURES / "esp-secrets.txt"))
    found = [one.opened for one in seen if isinstance(one, EspSeen)]
    assert [one.content for one in found] == [inside] * packets
    assert {one.sealing for one in found} == {Sealing.UNCHECKED}


@pytest.mark.parametrize("name", ["espudp1", "02-sunrise-sunset-esp"])
def test_keys_that_give_garbage_are_said_not_to_open(name: str) -> None:
    """These secrets are of another run: tcpdump itself shows protocols that nobody has."""
    seen = events(name, load_keys(CAPTURES / "esp-secrets.txt"))
    assert {one.opened.sealing for one in seen if isinstance(one, EspSeen)} == {Sealing.WRONG_KEYS}


def test_windows_sends_in_fragments_again_and_again_behind_a_nat() -> None:
    seen = messages(events("windows10-ipsec_client"))
    assert [one.repeats for one in seen] == [None, None, None, 5, 5]
    assert seen[2].remarks == ("both sides move to port 4500", "came in 3 IP fragments")
    assert any("the receiver is behind a NAT" in text for text in seen[1].remarks)


def test_what_is_broken_is_shown_as_far_as_it_goes() -> None:
    text = ladder(events("ikev2-id-normal")) + ladder(events("ikev2-id-short"))
    assert "malformed: 39 octets after the last payload" in text
    assert "IDI is malformed: 1 octets where 4 are needed; 01" in text


def test_ikev1_is_not_decoded() -> None:
    text = ladder(events("isakmp4500"))
    assert "IKEv1 exchange type 32" in text
    assert "IKE version 1.0, which is not IKEv2" in text
    assert "4 NAT keepalives" in text


@pytest.mark.parametrize("path", sorted(CAPTURES.glob("*.pcap")), ids=lambda path: path.stem)
def test_every_capture_gives_a_ladder_and_json(path: Path) -> None:
    folder = path.with_suffix(".keys")
    store = load_keys(folder) if folder.exists() else KeyStore()
    seen = list(trace(path, store))
    assert ladder(seen)
    assert ladder(seen, verbose=True)
    plain = [json.loads(json.dumps(record(one))) for one in seen]
    assert {one["kind"] for one in plain} <= {"ike", "esp", "esp_sa", "remark"}
