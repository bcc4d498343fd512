# SPDX-License-Identifier: Apache-2.0
"""Throughput of two engines in namespaces, measured with iperf3: `python bench/tunnel.py` as root.

Both engines, iperf3 and its server share the machine's cores, so compare runs of one machine only.
A row says what the receiver got, and what each engine's process spent on a gigabyte of payload.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.suites import SUITES, Suite  # noqa: E402
from support.tunnel import INNER, Host, child_pair, ping, two_hosts  # noqa: E402

FAMILIES = ("IPv4", "IPv6")
TICKS = os.sysconf("SC_CLK_TCK")


def main() -> None:
    """Measure what the arguments ask for and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--suite", action="append", help="a suite's name; may be repeated")
    parser.add_argument("--streams", type=int, action="append", help="default 1 and 4")
    options = parser.parse_args()
    wanted = options.suite or ["aes128gcm16", "aes256gcm16", "chacha20poly1305", "aes256-sha256"]
    say(f"{processor()}, {os.cpu_count()} cores, kernel {platform.release()}\n")
    say("| suite | inner in outer | streams | Gbit/s, median | runs | CPU s/GB out | in |")
    say("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, two_hosts(Path(folder)) as hosts:
        for suite in (suite for suite in SUITES if suite.name in wanted):
            for outer, inner in ((0, 0), (1, 1)):
                for streams in options.streams or [1, 4]:
                    measure(hosts, suite, outer, inner, streams, options)


def measure(
    hosts: tuple[Host, Host],
    suite: Suite,
    outer: int,
    inner: int,
    streams: int,
    options: argparse.Namespace,
) -> None:
    """Run iperf3 through a fresh pair of SAs, and print a row."""
    for host, child in zip(hosts, child_pair(suite, outer=outer), strict=True):
        host.call(host.plane.reset)
        host.install(child)
    ping(*hosts, inner)
    results, before = [], [spent(host) for host in hosts]
    octets = 0.0
    for _ in range(options.runs):
        end = iperf(hosts, INNER[1][inner], streams, options.seconds)["sum_received"]
        results.append(end["bits_per_second"] / 1e9)
        octets += end["bytes"] / 1e9
    costs = [(spent(host) - start) / octets for host, start in zip(hosts, before, strict=True)]
    runs = " ".join(f"{result:.2f}" for result in results)
    row = [suite.name, f"{FAMILIES[inner]} in {FAMILIES[outer]}", streams]
    row += [f"{statistics.median(results):.2f}", runs, *(f"{cost:.2f}" for cost in costs)]
    say(f"| {' | '.join(str(cell) for cell in row)} |")


def iperf(hosts: tuple[Host, Host], address: str, streams: int, seconds: int) -> dict[str, Any]:
    """Return the `end` part of iperf3's report."""
    server = hosts[1].namespace.start("iperf3", "-s", "-1", stdout=subprocess.DEVNULL)
    time.sleep(0.4)
    command = ("iperf3", "-J", "-c", address, "-t", str(seconds), "-P", str(streams))
    report = json.loads(hosts[0].namespace.run(*command))
    server.wait(10)
    end: dict[str, Any] = report["end"]
    return end


def spent(host: Host) -> float:
    """Return the seconds of processor time that a host's engine used."""
    number = host.call(host.plane.process_id)
    fields = Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def processor() -> str:
    """Return the processor's name."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.split(": ")[1] for line in lines if line.startswith("model name")), "unknown")


if __name__ == "__main__":
    main()
