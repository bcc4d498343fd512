# SPDX-License-Identifier: Apache-2.0
"""ESP in user space, ours and others' beside the bare cable: `python bench/esp.py` as root.

Every tunnel joins two namespaces of this machine; both ends, iperf3 and its server share its
cores. All are measured in turn in each round, so compare what stands in one run. What cannot be
had on this machine is left out, and why is printed.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "tests")]

from esp_load import programs  # noqa: E402
from esp_load.libipsec import libipsec  # noqa: E402
from esp_load.measure import CONGESTION, Plan, build, measure  # noqa: E402
from esp_load.openvpn import openvpn  # noqa: E402
from esp_load.report import AWAKE, CEILING, OURS, Results, markdown  # noqa: E402
from esp_load.tunnels import Maker, UnavailableError, ikeway, veth  # noqa: E402
from esp_load.wireguard import wireguard  # noqa: E402

TUNNELS: Final[dict[str, Maker]] = {
    CEILING: veth,
    OURS: ikeway("aes256gcm16"),
    AWAKE: ikeway("aes256gcm16", busy_poll=10_000),
    "ikeway ESP in no UDP": ikeway("aes256gcm16", bare=True),
    "ikeway chacha20poly1305": ikeway("chacha20poly1305"),
    "wireguard-go": wireguard(programs.wireguard_go, "-f"),
    "gotatun": wireguard(programs.gotatun, "--foreground", "--disable-drop-privileges"),
    "boringtun": wireguard(programs.boringtun, "--foreground", "--disable-drop-privileges"),
    "OpenVPN tun": openvpn("tun"),
    "OpenVPN tap": openvpn("tap"),
    "OpenVPN DCO": openvpn("tun", dco=True),
    "strongSwan libipsec": libipsec,
}
TECHNIQUES: Final = ("segment", "gro", "offload", "joining", "batches")
ABLATION: Final[dict[str, Maker]] = {
    OURS: TUNNELS[OURS],
    **{f"ikeway without {one}": ikeway("aes256gcm16", without=one) for one in TECHNIQUES},
    "ikeway without all of these": ikeway("aes256gcm16", without=",".join(TECHNIQUES)),
}
"""Ours, and ours without one technique at a time (docs/concepts/engine-speed.md)."""
VERSIONS: Final[dict[str, Callable[[], str]]] = {
    "wireguard-go": lambda: programs.go_version(programs.wireguard_go()),
    "gotatun": lambda: programs.first_line(programs.gotatun(), "--version"),
    "boringtun": lambda: programs.first_line(programs.boringtun(), "--version"),
    "OpenVPN tun": lambda: programs.first_line("openvpn", "--version"),
}


def main() -> None:
    """Measure what the arguments ask for; print the page, and write it and its JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=3, help="of each measurement")
    parser.add_argument("--congestion", default=CONGESTION, help="of TCP")
    every = list(TUNNELS | ABLATION)
    parser.add_argument("--only", action="append", choices=every, help="may be repeated")
    parser.add_argument(
        "--ablation", action="store_true", help="ours alone, without one technique at a time"
    )
    parser.add_argument("--into", type=Path, help="a folder for esp-DATE.json and esp-DATE.md")
    options = parser.parse_args()
    command = shlex.join(["python", "bench/esp.py", *sys.argv[1:]])
    results = Results(datetime.now(UTC).date().isoformat(), machine(), command)
    wanted = dict(ABLATION if options.ablation else TUNNELS)
    if options.only:
        wanted = {name: (TUNNELS | ABLATION)[name] for name in options.only}
    with tempfile.TemporaryDirectory(prefix="bench-esp-") as folder:
        plan = Plan(Path(folder), options.seconds, congestion=options.congestion)
        build(plan.folder)
        for number in range(options.rounds):
            for name, make in wanted.items():
                if name not in results.skipped:
                    turn(results, name, make, plan)
            say(f"round {number + 1} of {options.rounds}")
    sys.stdout.write(markdown(results))
    if options.into:
        write(results, options.into)


def turn(results: Results, name: str, make: Maker, plan: Plan) -> None:
    """Measure one tunnel once, or note why it cannot be."""
    with tempfile.TemporaryDirectory(prefix="bench-esp-") as folder:
        try:
            with make(Path(folder)) as tunnel:
                figures = measure(tunnel, plan)
        except UnavailableError as error:
            results.skipped[name] = str(error)
            say(f"skipped {name}: {error}")
            return
    results.rounds.setdefault(name, []).append(figures)
    if name in VERSIONS:
        results.versions[name] = VERSIONS[name]()
    shown = ("tcp1_gbps", "tcp4_gbps", "tcp4_cpu_s_per_gb", "udp64_kpps", "idle_us")
    say(f"{name}: {', '.join(f'{key} {figures[key]:.2f}' for key in shown)}")


def write(results: Results, folder: Path) -> None:
    """Write the page and what it is made from."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"esp-{results.date}"
    (folder / f"{name}.json").write_text(json.dumps(results.as_json(), indent=1) + "\n")
    (folder / f"{name}.md").write_text(markdown(results))


def machine() -> str:
    """Return what this machine is."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    processor = next(line.split(": ")[1] for line in lines if line.startswith("model name"))
    load = f"load average {os.getloadavg()[0]:.1f} at the start"
    return f"{processor}, {os.cpu_count()} cores, kernel {platform.release()}, {load}"


def say(line: str) -> None:
    """Tell how far it is, apart from the page."""
    sys.stderr.write(line + "\n")


if __name__ == "__main__":
    main()
