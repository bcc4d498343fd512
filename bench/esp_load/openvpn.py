# SPDX-License-Identifier: Apache-2.0
"""OpenVPN 2.6 between two peers that know each other's certificate by its fingerprint."""

import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from esp_load.programs import installed
from esp_load.tunnels import FAR, NEAR, Maker, Tunnel, UnavailableError, cable, running
from support.tunnel import OUTER

START: Final = 15.0
READY: Final = "Initialization Sequence Completed"


def openvpn(kind: str, *, dco: bool = False) -> Maker:
    """Return what makes a tunnel over a `tun` or `tap` interface, with or without its module."""

    @contextmanager
    def make(folder: Path) -> Iterator[Tunnel]:
        program = installed("openvpn", "openvpn")
        if dco and not _has_module():
            raise UnavailableError("this kernel has no ovpn or ovpn-dco module")
        papers = [_papers(folder, name) for name in ("near", "far")]
        with cable() as (near, far), ExitStack() as stack:
            pids = []
            for side, namespace in ((1, far), (0, near)):
                options = _options(folder, kind, side, papers[1 - side], dco=dco)
                pids.append(stack.enter_context(running(namespace, program, *options, cwd=folder)))
            for name in ("far", "near"):
                _wait(folder / f"{name}.log")
            yield Tunnel(near, far, FAR, "vpn0", (pids[1], pids[0]))

    return make


def _options(folder: Path, kind: str, side: int, fingerprint: str, *, dco: bool) -> list[str]:
    name = ("near", "far")[side]
    own, other = (NEAR, FAR) if side == 0 else (FAR, NEAR)
    inner = [own, other] if kind == "tun" else [own, "255.0.0.0"]
    options = ["--dev", "vpn0", "--dev-type", kind, "--proto", "udp4", "--ifconfig", *inner]
    options += ["--local", OUTER[side][0], "--remote", OUTER[1 - side][0], "--topology", "p2p"]
    options += ["--tls-server", "--dh", "none"] if side else ["--tls-client"]
    options += ["--cert", str(folder / f"{name}.crt"), "--key", str(folder / f"{name}.key")]
    options += ["--peer-fingerprint", fingerprint, "--data-ciphers", "AES-256-GCM"]
    options += ["--log", str(folder / f"{name}.log"), "--verb", "3"]
    return options if dco else [*options, "--disable-dco"]


def _wait(log: Path) -> None:
    until = time.monotonic() + START
    while not (log.exists() and READY in log.read_text(errors="replace")):
        if time.monotonic() > until:
            last = log.read_text(errors="replace").splitlines()[-3:] if log.exists() else []
            raise UnavailableError(f"OpenVPN did not start: {' / '.join(last)}")
        time.sleep(0.1)


def _papers(folder: Path, name: str) -> str:
    """Write a key and a certificate by itself; return its fingerprint."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder(subject, subject, key.public_key())
    builder = builder.serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - timedelta(days=1))
    certificate = builder.not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / f"{name}.key").write_bytes(private)
    (folder / f"{name}.key").chmod(0o600)
    (folder / f"{name}.crt").write_bytes(certificate.public_bytes(Encoding.PEM))
    return certificate.fingerprint(hashes.SHA256()).hex(":")


def _has_module() -> bool:
    modules = (["modprobe", "--dry-run", "--quiet", name] for name in ("ovpn", "ovpn-dco-v2"))
    return any(subprocess.run(one, check=False).returncode == 0 for one in modules)
