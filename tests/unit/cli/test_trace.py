# SPDX-License-Identifier: Apache-2.0
"""`ikeway trace` as a person and as a program use it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ikeway.wire.message import Flags, Message
from ikeway.wire.payloads import VendorId
from ikeway.wire.registry import ExchangeType
from support.pcap import CAPTURES
from support.recording import write

IKEWAY = str(Path(sys.executable).with_name("ikeway"))
OWN = (CAPTURES / "own-gcm.pcap", "--keys", CAPTURES / "own-gcm.keys")


def ikeway(*words: object) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [IKEWAY, "trace", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | {"COLUMNS": "100"},
    )


def test_a_capture_is_drawn() -> None:
    done = ikeway(*OWN)
    assert (done.returncode, done.stderr) == (0, "")
    assert "IKE_AUTH response 1 [IDr CERT AUTH CP(CFG_REPLY) SA TSi TSr]" in done.stdout
    assert "#4 " in done.stdout
    assert "#5 " not in done.stdout
    assert "#6 " in ikeway(*OWN, "--packets", 6).stdout


def test_json_is_an_object_a_line() -> None:
    done = ikeway(*OWN, "--json")
    kinds = [json.loads(line)["kind"] for line in done.stdout.splitlines()]
    assert kinds.count("ike") == 6
    assert kinds.count("esp") == 8
    assert kinds.count("esp_sa") == 2


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ((CAPTURES / "SOURCES",), "No such file"),
        ((CAPTURES / "esp-secrets.txt",), "neither pcap nor pcapng"),
        ((OWN[0], "--keys", CAPTURES / "nothing"), "No such file"),
        ((OWN[0], "--keys", OWN[0]), "is no text"),
        ((OWN[0], "--keys", CAPTURES), "neither ikev2_decryption_table nor esp_sa"),
    ],
)
def test_what_cannot_be_read_is_said(words: tuple[object, ...], reason: str) -> None:
    done = ikeway(*words)
    assert done.returncode == 1
    assert reason in done.stderr
    assert "Traceback" not in done.stderr


def test_a_capture_that_is_cut_short_is_drawn_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "short.pcap").write_bytes(OWN[0].read_bytes()[:3000])
    done = ikeway(tmp_path / "short.pcap")
    assert done.returncode == 0
    assert "IKE_SA_INIT response" in done.stdout
    assert "the file ends in the middle of packet" in done.stdout


def test_a_peer_cannot_steer_the_terminal(tmp_path: Path) -> None:
    evil = VendorId(b"\x1b]0;title\x07")
    message = Message.build(
        b"SPI of i", bytes(8), ExchangeType.IKE_SA_INIT, Flags.INITIATOR, 0, [evil]
    ).encode()
    udp = bytes.fromhex("01f401f4") + (8 + len(message)).to_bytes(2) + bytes(2) + message
    head = bytes.fromhex("4500") + (20 + len(udp)).to_bytes(2) + bytes.fromhex("0000000040110000")
    write(tmp_path / "evil.pcap", [(1.0, head + b"\x0a\0\0\1\x0a\0\0\2" + udp)], link=101)
    for words in ((), ("--verbose",), ("--json",)):
        done = ikeway(tmp_path / "evil.pcap", *words)
        assert done.returncode == 0
        assert "\x1b" not in done.stdout
        assert "1b5d303b7469746c6507" in done.stdout
