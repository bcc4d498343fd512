# SPDX-License-Identifier: Apache-2.0
"""ikeway and charon as responders without packets, on one address of the loopback."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding

from ike_load.papers import DOMAIN, INSIDE, PSK, SERVER, Papers

ADDRESS: Final = "127.0.0.2"
SUITE: Final = "aes256gcm16-prfsha256-x25519"
START: Final = 30.0
LIFTED: Final = (
    "half_open",
    "cookies_from",
    "puzzles_from",
    "source_cookies_from",
    "source_half_open",
    "network_half_open",
    "source_rate",
    "total_rate",
)
_HERE: Final = Path(__file__).parent


@contextmanager
def ikeway(folder: Path, papers: Papers | None, workers: int = 1) -> Iterator[int]:
    """Run `ikeway serve` without a data plane; yield the number of its first process."""
    folder.mkdir()
    (folder / "ikeway.toml").write_text(_ikeway_config(folder, papers, workers))
    program = [sys.executable, "-m", "ikeway.cli.main", "serve", "-c", str(folder / "ikeway.toml")]
    program += ["--run-dir", str(folder / "run"), "--log-level", "warning"]
    process = subprocess.Popen(program, stdin=subprocess.DEVNULL)
    try:
        _wait((folder / "run" / "control.sock").exists, process)
        yield process.pid
    finally:
        process.kill()
        process.wait()


def _ikeway_config(folder: Path, papers: Papers | None, workers: int) -> str:
    proof = "psk"
    lines = [f'[host]\nidentity = "{SERVER}"\nlisten = ["{ADDRESS}"]']
    if workers > 1:
        lines += [f"workers = {workers}"]
    if papers is None:
        secret = folder / "site.psk"
        secret.write_bytes(PSK)
        secret.chmod(0o600)
        lines += [f'[[credentials.secrets]]\nid = "*@{DOMAIN}"\npsk = "file:site.psk"']
    else:
        proof = "certificate"
        certificate, key = papers.server()
        (folder / "server.crt").write_bytes(certificate)
        (folder / "server.key").write_bytes(key)
        (folder / "server.key").chmod(0o600)
        (folder / "ca.crt").write_bytes(papers.authority.public_bytes(Encoding.PEM))
        lines += ['[credentials]\ncertificate = "server.crt"\nkey = "server.key"']
        lines += ['authorities = ["ca.crt"]']
    lines += [
        f'[connections.load]\nrole = "responder"\npeer_id = "*@{DOMAIN}"',
        f'local_auth = "{proof}"\npeer_auth = ["{proof}"]\nencapsulation = "nat"',
        f'local_ts = ["0.0.0.0/0"]\npeer_ts = ["{INSIDE}"]\nliveness = "1h"',
        f'ike = ["{SUITE}"]\nesp = ["aes256gcm16"]',
        '[dataplane]\nbackend = "null"',
        # As charon without cookies: what few hosts send here is a load and no attack.
        "[limits]",
        *(f"{limit} = 100000" for limit in LIFTED),
    ]
    return "\n".join(lines) + "\n"


@contextmanager
def charon(folder: Path, papers: Papers | None, lab: Path) -> Iterator[int]:
    """Run strongSwan's charon with a kernel that does nothing; yield the number of its process."""
    folder.mkdir()
    library = folder / "fake_kernel.so"
    source = str(_HERE / "fake_kernel.c")
    subprocess.run(["cc", "-shared", "-fPIC", "-O2", "-o", library, source], check=True)
    (folder / "strongswan.conf").write_text((_HERE / "charon.conf").read_text())
    (folder / "swanctl.conf").write_text(_swanctl(papers))
    files = folder / "files"
    if papers is not None:
        _charon_papers(files, papers)
    tool = [str(lab / "peer-strongswan")]
    options = {
        "--conf": folder / "swanctl.conf",
        "--strongswan-conf": folder / "strongswan.conf",
        "--cas": "none",
        "--env": f"LD_PRELOAD={library}",
    } | ({"--swanctl-dir": files} if papers is not None else {})
    words = [str(word) for pair in options.items() for word in pair]
    environment = os.environ | {"LAB_RUN": str(folder)}
    said = subprocess.run(
        [*tool, "up", "load", *words], check=True, env=environment, stdout=subprocess.PIPE
    )
    process = int(json.loads(said.stdout)["pid"])
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _charon_papers(files: Path, papers: Papers) -> None:
    for name in ("x509", "x509ca", "private"):
        (files / name).mkdir(parents=True)
    certificate, key = papers.server()
    (files / "x509" / "server.crt").write_bytes(certificate)
    (files / "private" / "server.key").write_bytes(key)
    (files / "x509ca" / "ca.crt").write_bytes(papers.authority.public_bytes(Encoding.PEM))


def _swanctl(papers: Papers | None) -> str:
    auth = "psk" if papers is None else "pubkey"
    mine = "" if papers is None else "certs = server.crt"
    return f"""
connections {{
  load {{
    version = 2
    local_addrs = {ADDRESS}
    proposals = {SUITE}
    mobike = no
    unique = never
    rekey_time = 0s
    dpd_delay = 0s
    send_certreq = no
    local {{
      auth = {auth}
      id = {SERVER}
      {mine}
    }}
    remote {{
      auth = {auth}
      id = *@{DOMAIN}
    }}
    children {{
      net {{
        esp_proposals = aes256gcm16
        local_ts = 0.0.0.0/0
        remote_ts = {INSIDE}
        rekey_time = 0s
      }}
    }}
  }}
}}
secrets {{
  ike-load {{
    secret = "{PSK.decode()}"
  }}
}}
"""


def _wait(is_true: Callable[[], bool], process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + START
    while not is_true():
        if process.poll() is not None or time.monotonic() > end:
            raise RuntimeError(f"ikeway did not start: {process.returncode}")
        time.sleep(0.05)


def lab_folder() -> Path | None:
    """Return the folder with `peer-strongswan`, if there is one."""
    lab = os.environ.get("IKEWAY_LAB") or ""
    return Path(lab) if shutil.which(f"{lab}/peer-strongswan") else None
