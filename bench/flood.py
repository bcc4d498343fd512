# SPDX-License-Identifier: Apache-2.0
"""Forged IKE_SA_INIT at full speed against one daemon: `python bench/flood.py` as root.

Three namespaces: a gateway, a site with an established tunnel to it, and a network from where the
flood comes, each datagram from another source, and a client that wants to connect through it. The
tunnel's TCP is measured in quiet, while the same flood goes to a socket beside the daemon that only
reads it (the sink: what the flood costs anybody), and while it goes to the daemon.
"""

import argparse
import json
import os
import platform
import secrets
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from support.daemon import Daemon  # noqa: E402
from support.netns import Namespace, connect, namespaces  # noqa: E402

TICKS: Final = os.sysconf("SC_CLK_TCK")
SINK_PORT: Final = 999
IKE_PORT, NAT_PORT = 500, 4500
ETH_P_IP: Final = 0x0800
FRAMES: Final = 50_000
PSK: Final = "the key of this benchmark"
SOURCES: Final = {"narrow": (198, 18), "wide": None}
"""Forged sources: two /16 of the benchmarking range, or all of IPv4."""


# The flood, a program of its own ------------------------------------------------------------------


def flood(rate: int, port: int, sources: str, cookies: str, mac: str) -> None:
    """Send until killed; each second's count goes to standard output."""
    link = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    link.bind(("outer0", ETH_P_IP))
    target = bytes.fromhex(mac.replace(":", ""))
    frames = [frame(target, source(sources), port, cookies) for _ in range(FRAMES)]
    begin, sent, told = time.monotonic(), 0, 0
    print("ready", flush=True)
    while True:
        due = int((time.monotonic() - begin) * rate)
        for _ in range(min(due - sent, 256)):
            try:
                link.send(frames[sent % FRAMES])
            except OSError:
                time.sleep(0.0005)
            sent += 1
        if due - sent > rate // 10:  # this machine sends no faster: the debt is no burst later
            begin = time.monotonic() - sent / rate
        if sent >= due:
            time.sleep(0.0005)
        second = int(time.monotonic() - begin)
        if second > told:
            told = second
            print(sent, flush=True)


def source(kind: str) -> bytes:
    """Return an address that nobody has."""
    if kind == "narrow":
        return bytes((198, 18 + secrets.randbelow(2))) + secrets.token_bytes(2)
    return bytes((11 + secrets.randbelow(100),)) + secrets.token_bytes(3)


def frame(mac: bytes, address: bytes, port: int, cookies: str) -> bytes:
    """Return a forged first message of IKE in UDP, IPv4 and Ethernet."""
    message = (bytes(4) if port == NAT_PORT else b"") + ike_sa_init(cookies)
    udp = struct.pack(">HHHH", 1024 + secrets.randbelow(60000), port, 8 + len(message), 0)
    addresses = address + socket.inet_aton("10.9.0.1")
    head = struct.pack(">BBHIBBH", 0x45, 0, 28 + len(message), 0, 64, 17, 0) + addresses
    total = sum(struct.unpack(">10H", head))
    while total > 0xFFFF:
        total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack(">H", total ^ 0xFFFF) + head[12:]
    return mac + bytes(6) + struct.pack(">H", ETH_P_IP) + head + udp + message


def ike_sa_init(cookies: str) -> bytes:
    """Return a request that a real initiator could send: SA, KE, nonce, NAT detection.

    A forged cookie stands before them if there are to be cookies.
    """
    transforms = [(1, 20, b"\x80\x0e\x01\x00"), (2, 5, b""), (4, 31, b"")]
    parts = b"".join(
        struct.pack(">BBHBBH", 0 if kind == 4 else 3, 0, 8 + len(attr), kind, 0, code) + attr
        for kind, code, attr in transforms
    )
    proposal = struct.pack(">BBHBBBB", 0, 0, 8 + len(parts), 1, 1, 0, 3) + parts
    bodies = [
        (33, proposal),
        (34, struct.pack(">HH", 31, 0) + secrets.token_bytes(32)),
        (40, secrets.token_bytes(32)),
        (41, struct.pack(">BBH", 0, 0, 16388) + secrets.token_bytes(20)),
        (41, struct.pack(">BBH", 0, 0, 16389) + secrets.token_bytes(20)),
    ]
    if cookies == "forged":
        bodies.insert(0, (41, struct.pack(">BBH", 0, 0, 16390) + secrets.token_bytes(22)))
    kinds = [kind for kind, _ in bodies[1:]] + [0]
    chain = b"".join(
        struct.pack(">BBH", following, 0, 4 + len(body)) + body
        for (_, body), following in zip(bodies, kinds, strict=True)
    )
    spi = secrets.token_bytes(8)
    return (
        spi
        + bytes(8)
        + struct.pack(">BBBBII", bodies[0][0], 0x20, 34, 8, 0, 28 + len(chain))
        + chain
    )


def sink() -> None:
    """Read and forget until killed."""
    reading = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    reading.bind(("10.9.0.1", SINK_PORT))
    print("ready", flush=True)
    while True:
        reading.recv(65535)


# The world ----------------------------------------------------------------------------------------


class Quiet(Daemon):
    """A daemon that logs as it would in a real place."""

    def begin(self) -> None:
        """Start the process at the level `info`."""
        program = str(Path(sys.executable).with_name("ikeway"))
        arguments = [program, "serve", "-c", str(self._file), "--run-dir", str(self.run_dir)]

        def start() -> "subprocess.Popen[bytes]":
            with self._log.open("ab") as log:
                return subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stderr=log)

        self._process = self._namespace.inside(start)

    @property
    def pid(self) -> int:
        """The daemon's process id."""
        return self._process.pid if self._process else 0


def config(name: str, peer: str, here: str, there: str, **more: object) -> dict[str, object]:
    """Return the configuration of one end of a tunnel."""
    connection = {"peer": peer, "local_auth": "psk", "peer_auth": ["psk"], "peer_id": "*"}
    connection |= {"local_ts": [here], "peer_ts": [there], "liveness": "10s"}
    return {
        "host": {"identity": name},
        "credentials": {"secrets": [{"id": "*", "psk": PSK}]},
        "connections": {"lab": connection},
        **more,
    }


@contextmanager
def world(folder: Path) -> Iterator[tuple[list[Namespace], Quiet, Quiet, Quiet]]:
    """Yield the namespaces and the daemons of gateway, site and client, two of them connected."""
    with ExitStack() as stack:
        gateway, site, net = spaces = stack.enter_context(namespaces(3))
        connect(gateway, site, "site0")
        connect(gateway, net)
        for end, interface, address in (
            (gateway, "site0", "10.8.0.1/24"),
            (site, "site0", "10.8.0.2/24"),
            (gateway, "outer0", "10.9.0.1/24"),
            (net, "outer0", "10.9.0.2/24"),
            (gateway, "lo", "10.1.0.1/32"),
            (site, "lo", "10.2.0.1/32"),
        ):
            end.add_address(interface, address)
        gateway.ip("route", "add", "default", "via", "10.9.0.2")
        for key in ("all", "default", "outer0"):
            gateway.run("sysctl", "-qw", f"net.ipv4.conf.{key}.rp_filter=0")
        both = {"site": ("10.8.0.2", "10.2.0.0/16"), "client": ("any", "10.3.0.0/16")}
        table = config("gateway", "any", "10.1.0.0/16", "10.0.0.0/8")
        table["connections"] = {
            name: config("", peer, "10.1.0.0/16", ts)["connections"]["lab"]  # type: ignore[index]
            for name, (peer, ts) in both.items()
        }
        null = {"dataplane": {"backend": "null"}}
        daemons = (
            Quiet(folder / "gateway", gateway, table),
            Quiet(folder / "site", site, config("site", "10.8.0.1", "10.2.0.0/16", "10.1.0.0/16")),
            Quiet(
                folder / "client",
                net,
                config("client", "10.9.0.1", "10.3.0.0/16", "10.1.0.0/16", **null),
            ),
        )
        for daemon in daemons:
            stack.callback(daemon.stop)
            daemon.begin()
        for daemon in daemons:
            daemon.ready()
        daemons[1].initiate()
        until(lambda: bool(daemons[1].children()), 10.0)
        time.sleep(0.5)
        yield (spaces, *daemons)


def until(done: Any, patience: float) -> float:
    """Wait until something is so; return how long that took, or infinity."""
    begin = time.monotonic()
    while not done():
        if time.monotonic() > begin + patience:
            return float("inf")
        time.sleep(0.005)
    return time.monotonic() - begin


@contextmanager
def program(where: Namespace, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """Run this file as another program, which is ready when this yields."""
    made = where.start(sys.executable, __file__, *arguments, stdout=subprocess.PIPE)
    try:
        if made.stdout:
            made.stdout.readline()
        yield made
    finally:
        made.kill()
        made.wait()


# Measuring ----------------------------------------------------------------------------------------


def spent(pid: int) -> float:
    """Return the seconds of processor time that a process used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def resident(pid: int) -> float:
    """Return the memory of a process in MiB."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4 / 1024


def lost(gateway: Namespace, port: int) -> int:
    """Return how many datagrams found the queues of a port full, so far."""
    rows = [line.split() for line in gateway.run("cat", "/proc/net/udp").splitlines()[1:]]
    return sum(int(row[-1]) for row in rows if int(row[1].rpartition(":")[2], 16) == port)


def iperf(gateway: Namespace, site: Namespace, seconds: int) -> "subprocess.Popen[str]":
    """Start TCP through the tunnel."""
    server = gateway.start("iperf3", "-s", "-1", "-B", "10.1.0.1", stdout=subprocess.DEVNULL)
    time.sleep(0.4)
    command = ("iperf3", "-J", "-c", "10.1.0.1", "-B", "10.2.0.1", "-t", str(seconds), "-O", "1")
    client = site.start(*command, stdout=subprocess.PIPE)
    client.server = server  # type: ignore[attr-defined]
    return client


def gigabits(running: "subprocess.Popen[str]") -> float:
    """Return what TCP got, once it is done."""
    out, _ = running.communicate(timeout=60)
    running.server.wait(10)  # type: ignore[attr-defined]
    return json.loads(out)["end"]["sum_received"]["bits_per_second"] / 1e9  # type: ignore[no-any-return]


def connects(client: Quiet, times: int) -> list[float]:
    """Connect and disconnect; return how long each took."""
    taken = []
    for _ in range(times):
        begin = time.monotonic()
        client.initiate()
        took = until(lambda: bool(client.established()), 12.0)
        taken.append(time.monotonic() - begin if took != float("inf") else took)
        for sa in client.sas():
            client.disconnect(sa.id)
        until(lambda: not client.sas(), 5.0)
        time.sleep(0.2)
    return taken


def measure(made: Any, options: argparse.Namespace, what: str) -> dict[str, Any]:
    """Measure once: in quiet, with the flood to the sink, or with the flood to the daemon."""
    (gateway, site, net), daemon, _, client = made
    mac = json.loads(gateway.ip("-j", "link", "show", "outer0"))[0]["address"]
    with ExitStack() as stack:
        sent: subprocess.Popen[str] | None = None
        if what != "quiet":
            port = SINK_PORT if what == "sink" else options.port
            if what == "sink":
                stack.enter_context(program(gateway, "--as-sink"))
            kinds = options.sources, options.cookies
            arguments = ("--as-flood", str(options.rate), str(port), *kinds, mac)
            sent = stack.enter_context(program(net, *arguments))
            time.sleep(1.0)
            before = lost(gateway, port)
        running = iperf(gateway, site, options.seconds)
        cpu, begin = spent(daemon.pid), time.monotonic()
        rate = gigabits(running)
        load = (spent(daemon.pid) - cpu) / (time.monotonic() - begin)
        result = {"what": what, "gbits": rate, "load": load, "rss": resident(daemon.pid)}
        if sent is not None:
            result["lost"] = (lost(gateway, port) - before) / (
                options.rate * (time.monotonic() - begin)
            )
        if what == "flood":
            result["connects"] = connects(client, options.connects)
            result["rss"] = resident(daemon.pid)
        if sent is not None:
            sent.kill()
            counts = [int(line) for line in (sent.stdout or ()) if line.strip().isdigit()]
            result["sent"] = counts[-1] / len(counts) if counts else 0
    time.sleep(1.0)
    return result


def main() -> None:
    """Measure all three in turn, and print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=int, default=50_000, help="datagrams a second")
    parser.add_argument("--seconds", type=int, default=6)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--connects", type=int, default=5)
    parser.add_argument("--port", type=int, choices=[IKE_PORT, NAT_PORT], default=IKE_PORT)
    parser.add_argument("--sources", choices=sorted(SOURCES), default="narrow")
    parser.add_argument("--cookies", choices=["none", "forged"], default="none")
    options = parser.parse_args()
    say(f"{os.cpu_count()} cores, kernel {platform.release()}; to port {options.port}")
    say(f"forged sources: {options.sources}; cookies: {options.cookies}\n")
    titles = "TCP Gbit/s, median (runs)", "sent/s", "lost", "load", "RSS MiB", "connects s"
    say(f"| | {' | '.join(titles)} |")
    say("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder, world(Path(folder)) as made:
        results: dict[str, list[dict[str, Any]]] = {"quiet": [], "sink": [], "flood": []}
        for _ in range(options.runs):
            for what, found in results.items():
                found.append(measure(made, options, what))
        for what, found in results.items():
            say(row(what, found))
        share = median(results["flood"], "gbits") / median(results["sink"], "gbits")
        say(f"\nTCP share beside the sink: {share:.2f}")
        log = (Path(folder) / "gateway" / "ikeway.log").read_text().splitlines()
        say(f"lines in the gateway's log: {len(log)}")


def row(what: str, found: list[dict[str, Any]]) -> str:
    """Return a row of the table."""
    runs = " ".join(f"{one['gbits']:.2f}" for one in found)
    taken = sorted(one for each in found for one in each.get("connects", []))
    times = f"{statistics.median(taken):.2f} (longest {taken[-1]:.2f})" if taken else ""
    sent = f"{statistics.median(one['sent'] for one in found):.0f}" if "sent" in found[0] else ""
    share = f"{median(found, 'lost'):.0%}" if "lost" in found[0] else ""
    cells = [what, f"{median(found, 'gbits'):.2f} ({runs})", sent, share]
    cells += [f"{median(found, 'load'):.2f}", f"{max(one['rss'] for one in found):.0f}", times]
    return f"| {' | '.join(cells)} |"


def median(found: list[dict[str, Any]], key: str) -> float:
    """Return the median of a measurement."""
    return statistics.median(one[key] for one in found)


def say(line: str) -> None:
    """Print a line at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    if sys.argv[1:2] == ["--as-flood"]:
        flood(int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:7])
    elif sys.argv[1:2] == ["--as-sink"]:
        sink()
    else:
        main()
