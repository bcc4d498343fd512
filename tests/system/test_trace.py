# SPDX-License-Identifier: Apache-2.0
"""`--keylog` of two daemons, and what `ikeway trace` and Wireshark make of it."""

import json
import os
import shutil
import subprocess

import pytest

from ikeway.trace.keyfile import load_keys
from ikeway.wire.registry import PayloadType
from support.recording import IKEWAY, PINGS, SUITES, Recording, record

pytestmark = pytest.mark.system

TSHARK = shutil.which("tshark")
KNOWN_TO_WIRESHARK = [SUITES["own-gcm"], SUITES["own-cbc"]]


@pytest.fixture(
    scope="module", params=KNOWN_TO_WIRESHARK, ids=[ike for ike, _ in KNOWN_TO_WIRESHARK]
)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Recording:
    return record(tmp_path_factory.mktemp("recording"), *request.param)


def traced(made: Recording, *words: str) -> str:
    done = subprocess.run(
        [IKEWAY, "trace", str(made.pcap), "--keys", str(made.gateway_keys), *words],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ | {"COLUMNS": "100"},
    )
    assert not done.stderr
    return done.stdout


def test_both_daemons_wrote_the_same_keys_for_themselves_alone(made: Recording) -> None:
    gateway, laptop = load_keys(made.gateway_keys), load_keys(made.laptop_keys)
    assert (gateway.ike, gateway.esp) == (laptop.ike, laptop.esp)
    for folder in (made.gateway_keys, made.laptop_keys):
        assert [file.stat().st_mode & 0o777 for file in folder.iterdir()] == [0o600] * 2


def test_the_daemon_warns_of_its_key_log(made: Recording) -> None:
    log = (made.gateway_keys.parent / "gateway" / "log").read_text()
    assert "THE KEY LOG REVEALS ALL TRAFFIC" in log


def test_everything_between_two_daemons_is_seen(made: Recording) -> None:
    lines = [json.loads(line) for line in traced(made, "--json").splitlines()]
    messages = [line for line in lines if line["kind"] == "ike"]
    assert [line["protection"] for line in messages] == ["clear"] * 2 + ["verified"] * 4
    sums = [line for line in lines if line["kind"] == "esp_sa"]
    assert [line["protection"] for line in sums] == [{"verified": 2 * PINGS}] * 2
    assert not [line for line in lines if line["kind"] == "remark" and line["is_bad"]]
    assert "ICMPv6 echo reply" in traced(made)


@pytest.mark.skipif(TSHARK is None, reason="Wireshark's tshark is not installed")
def test_wireshark_sees_the_same(made: Recording) -> None:
    ours = [json.loads(line) for line in traced(made, "--json", "-v").splitlines()]
    listed = wireshark(made, "isakmp", "isakmp.typepayload")
    # Wireshark counts the substructures of SA payloads as payloads 2 and 3, as IKEv1 had them.
    payloads = {at: [code for code in codes if int(code) > 3] for at, codes in listed.items()}
    assert payloads == {line["frame"]: payload_types(line) for line in ours if is_ike(line)}
    inner = wireshark(made, "esp", "esp.sequence", "ip.src", "ipv6.src", "icmp.type", "icmpv6.type")
    assert set(inner) == {line["frame"] for line in ours if line["kind"] == "esp"}
    for line in ours:
        if line["kind"] == "esp":
            packet = bytes.fromhex(line["inner_octets"])
            kind = str(packet[20 if packet[0] >> 4 == 4 else 40])
            assert inner[line["frame"]][0] == str(line["sequence"])
            assert inner[line["frame"]][-1] == kind


def is_ike(line: dict[str, object]) -> bool:
    return line["kind"] == "ike"


def payload_types(message: dict[str, object]) -> list[str]:
    """Return the types of all payloads as Wireshark lists them, that of SK among them."""
    payloads = message["payloads"]
    assert isinstance(payloads, list)
    codes = [str(int(PayloadType[one["payload"]])) for one in payloads]
    return ["46", *codes] if message["protection"] == "verified" else codes


def wireshark(made: Recording, shown: str, *fields: str) -> dict[int, list[str]]:
    """Return the fields of each frame that Wireshark shows with the gateway's key log."""
    assert TSHARK is not None
    words = [TSHARK, "-n", "-r", str(made.pcap), "-Y", shown, "-T", "fields", "-e", "frame.number"]
    words += ["-o", "esp.enable_encryption_decode:TRUE"]
    words += ["-o", "esp.enable_authentication_check:TRUE"]
    for field in fields:
        words += ["-e", field]
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
        env=os.environ | {"WIRESHARK_CONFIG_DIR": str(made.gateway_keys)},
    )
    assert "Error loading table" not in done.stderr
    rows = [line.split("\t") for line in done.stdout.splitlines()]
    return {
        int(row[0]): [part for cell in row[1:] for part in cell.split(",") if part] for row in rows
    }
