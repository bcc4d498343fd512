# SPDX-License-Identifier: Apache-2.0
"""What is measured through a tunnel: TCP, packets of UDP, delay, and the processors' time."""

import json
import os
import re
import statistics
import subprocess
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from esp_load.tunnels import Tunnel

SIZES: Final = (64, 512, 1400)
"""Octets of an IPv4 packet."""
HEADERS: Final = 28
WINDOW: Final = 512
CONTROL: Final = Path("/proc/sys/net/ipv4/tcp_congestion_control")
PORT: Final = "7001"
CONGESTION: Final = "cubic"
"""Of TCP: what Linux has by default, whatever the machine is set to."""
TICKS: Final = os.sysconf("SC_CLK_TCK")
Figures = dict[str, float]


@dataclass(frozen=True)
class Plan:
    """How long each measurement takes."""

    folder: Path
    seconds: int
    pings: int = 300
    congestion: str = CONGESTION


def measure(tunnel: Tunnel, plan: Plan) -> Figures:
    """Return the figures of one tunnel, by name."""
    control(tunnel, plan)
    figures = {"mtu": float(_mtu(tunnel))}
    figures["idle_us"], figures["idle_p99_us"] = idle_delay(tunnel, plan.pings)
    for streams in (1, 4):
        figures |= tcp(tunnel, streams, plan.seconds)
    figures["loaded_us"], figures["loaded_p99_us"] = loaded_delay(tunnel, plan)
    for size in SIZES:
        figures |= udp(tunnel, size, plan)
    return figures


def control(tunnel: Tunnel, plan: Plan) -> None:
    """Have TCP of both ends control congestion in one way.

    An option of iperf3 would not do: sockets that began with BBR go on pacing, with a timer for
    each piece that leaves.
    """
    for end in (tunnel.near, tunnel.far):
        end.inside(lambda: CONTROL.write_text(plan.congestion))


def tcp(tunnel: Tunnel, streams: int, seconds: int) -> Figures:
    """Return Gbit/s of the receiver, and seconds of processor time for a gigabyte.

    `all` is that of the whole machine, iperf3 included; `cpu` that of the tunnel's processes.
    """
    carried, machine = spent(tunnel.processes), busy()
    end = iperf(tunnel, seconds, "-P", str(streams))["sum_received"]
    gigabytes = max(end["bytes"], 1) / 1e9
    return {
        f"tcp{streams}_gbps": end["bits_per_second"] / 1e9,
        f"tcp{streams}_cpu_s_per_gb": (spent(tunnel.processes) - carried) / gigabytes,
        f"tcp{streams}_all_s_per_gb": (busy() - machine) / gigabytes,
    }


def udp(tunnel: Tunnel, size: int, plan: Plan) -> Figures:
    """Return how many packets of a size a second arrive: carried without loss, and of a flood.

    The loss-free rate has at most `WINDOW` packets on the way; `cpu` is the time of the tunnel's
    processes for one of its packets.
    """
    carried = spent(tunnel.processes)
    count, seconds = packets(tunnel, size, plan, WINDOW)
    figures = {
        f"udp{size}_kpps": count / seconds / 1e3,
        f"udp{size}_cpu_us": (spent(tunnel.processes) - carried) / count * 1e6,
    }
    count, seconds = packets(tunnel, size, plan, 0)
    return figures | {f"flood{size}_kpps": count / seconds / 1e3}


def packets(tunnel: Tunnel, size: int, plan: Plan, window: int) -> tuple[int, float]:
    """Return how many packets arrived, and in how many seconds."""
    program = str(plan.folder / "packets")
    counted = plan.folder / "counted"
    with counted.open("w") as file:
        receiver = tunnel.far.start(program, "receive", PORT, stdout=file)
    _wait_for_port(tunnel, "-lun", PORT)
    words = (PORT, str(size - HEADERS), str(plan.seconds), str(window))
    tunnel.near.run(program, "send", tunnel.address, *words)
    receiver.wait(10)
    count, microseconds = counted.read_text().split()
    return max(int(count), 1), max(float(microseconds), 1) / 1e6


def build(folder: Path) -> None:
    """Compile what sends and counts packets."""
    source = Path(__file__).with_name("packets.c")
    subprocess.run(["cc", "-O2", "-o", folder / "packets", source], check=True)


def idle_delay(tunnel: Tunnel, count: int) -> tuple[float, float]:
    """Return median and 99th percentile of the round trip in microseconds, with nothing else."""
    return _percentiles(ping(tunnel, count, 0.005))


def loaded_delay(tunnel: Tunnel, plan: Plan) -> tuple[float, float]:
    """Return the same while four TCP streams fill the tunnel."""
    server = _server(tunnel)
    command = ["iperf3", "-c", tunnel.address, "-t", str(plan.seconds + 1), "-P", "4"]
    client = tunnel.near.start(*command, stdout=subprocess.DEVNULL)
    time.sleep(0.5)
    try:
        return _percentiles(ping(tunnel, int(plan.seconds / 0.01), 0.01))
    finally:
        client.wait(30)
        server.wait(10)


def ping(tunnel: Tunnel, count: int, pause: float) -> list[float]:
    """Return round trips in microseconds."""
    command = ["ping", "-n", "-c", str(count), "-i", str(pause), tunnel.address]
    answers = tunnel.near.run(*command, timeout=60 + count * pause * 10)
    return [float(time) * 1000 for time in re.findall(r"time=([\d.]+) ms", answers)]


def iperf(tunnel: Tunnel, seconds: int, *options: str) -> dict[str, Any]:
    """Return the `end` part of iperf3's report."""
    server = _server(tunnel)
    command = ["iperf3", "-J", "-c", tunnel.address, "-t", str(seconds), *options]
    report = json.loads(tunnel.near.run(*command, timeout=60 + seconds))
    server.wait(10)
    end: dict[str, Any] = report["end"]
    return end


def _server(tunnel: Tunnel) -> "subprocess.Popen[str]":
    server = tunnel.far.start("iperf3", "-s", "-1", stdout=subprocess.DEVNULL)
    _wait_for_port(tunnel, "-ltn", "5201")
    return server


def _wait_for_port(tunnel: Tunnel, kind: str, port: str) -> None:
    until = time.monotonic() + 5
    while f":{port} " not in tunnel.far.run("ss", kind) and time.monotonic() < until:
        time.sleep(0.05)


def _percentiles(times: list[float]) -> tuple[float, float]:
    if len(times) < 2:
        return float("nan"), float("nan")
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


def _mtu(tunnel: Tunnel) -> int:
    found = json.loads(tunnel.near.ip("-j", "link", "show", tunnel.interface))
    return int(found[0]["mtu"])


def spent(processes: Iterable[int]) -> float:
    """Return the seconds of processor time that processes used."""
    return sum(sum(_ticks(number)) for number in processes) / TICKS


def _ticks(process: int) -> tuple[int, int]:
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]), int(fields[12])


def busy() -> float:
    """Return the seconds that all processors were not idle, stolen ones aside."""
    fields = [int(word) for word in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _waiting, hard, soft = fields[:7]
    return (user + nice + system + hard + soft) / TICKS
