# SPDX-License-Identifier: Apache-2.0
"""FreeRADIUS of Debian's package on loopback, with a configuration of its own."""

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ikeway.model.secret import Secret
from support.netns import Namespace

PROGRAM: Final = shutil.which("freeradius", path="/usr/sbin:/usr/bin")
CLIENT: Final = shutil.which("radclient")
SECRET: Final = Secret(b"a secret of the lab")
PASSWORD: Final = "wonderland"  # of a user in a namespace that lives for one test
_PATIENCE: Final = 15.0

Papers = tuple[Path, Path, Path]
"""Certificate, key and authority."""

_CONFIG: Final = """\
prefix = /usr
name = radiusd
raddbdir = {folder}
run_dir = {folder}
logdir = {folder}
libdir = /usr/lib/freeradius
pidfile = {folder}/radiusd.pid
max_requests = 1024
hostname_lookups = no
log {{
  destination = stdout
  auth = yes
}}
security {{
  reject_delay = 0
  status_server = yes
}}
thread pool {{
  start_servers = 1
  max_servers = 4
}}
clients radsec_clients {{
  client radsec {{
    ipaddr = {network}
    proto = tls
    secret = radsec
    require_message_authenticator = yes
  }}
}}
client lab {{
  ipaddr = {network}
  secret = "{secret}"
  require_message_authenticator = yes
}}
modules {{
  pap {{
  }}
  mschap {{
    use_mppe = yes
    require_encryption = yes
    require_strong = yes
  }}
  files {{
    usersfile = {folder}/users
  }}
  detail {{
    filename = {folder}/detail
  }}
  eap {{
    default_eap_type = {method}
    timer_expire = 60
    md5 {{
    }}
    gtc {{
      auth_type = PAP
    }}
    mschapv2 {{
    }}
    tls-config common {{
      private_key_file = {folder}/key.pem
      certificate_file = {folder}/certificate.pem
      ca_file = {folder}/authority.pem
      fragment_size = 1024
      tls_min_version = "1.2"
      tls_max_version = "1.3"
    }}
    tls {{
      tls = common
    }}
    ttls {{
      tls = common
      default_eap_type = mschapv2
      use_tunneled_reply = yes
      virtual_server = inner
    }}
    peap {{
      tls = common
      default_eap_type = mschapv2
      use_tunneled_reply = yes
      virtual_server = inner
    }}
  }}
}}
server default {{
  listen {{
    type = auth
    ipaddr = {host}
    port = {port}
  }}
  listen {{
    type = acct
    ipaddr = {host}
    port = {accounting_port}
  }}
  listen {{
    type = auth
    ipaddr = {host}
    port = {tls_port}
    proto = tcp
    clients = radsec_clients
    tls {{
      private_key_file = {folder}/key.pem
      certificate_file = {folder}/certificate.pem
      ca_file = {folder}/authority.pem
      require_client_cert = no
      tls_min_version = "1.2"
      tls_max_version = "1.2"
    }}
  }}
  authorize {{
    eap {{
      ok = return
    }}
    files
  }}
  authenticate {{
    eap
    Auth-Type PAP {{
      pap
    }}
    Auth-Type MS-CHAP {{
      mschap
    }}
  }}
  accounting {{
    detail
  }}
}}
server inner {{
  authorize {{
    mschap
    eap {{
      ok = return
    }}
    files
    pap
  }}
  authenticate {{
    eap
    Auth-Type PAP {{
      pap
    }}
    Auth-Type MS-CHAP {{
      mschap
    }}
  }}
}}
"""
_USERS: Final = f"""\
alice Cleartext-Password := "{PASSWORD}"
    Framed-IP-Address = 10.66.0.77,
    Class = "staff",
    Session-Timeout = 3600,
    Acct-Interim-Interval = 60
"""


@dataclass(frozen=True, slots=True)
class FreeRadius:
    """A running server: where it listens, and the folder with what it wrote."""

    host: str
    port: int
    accounting_port: int
    tls_port: int
    folder: Path

    def account(self) -> str:
        """Return what it was told of sessions, as its detail file has it."""
        detail = self.folder / "detail"
        return detail.read_text() if detail.exists() else ""

    def log(self) -> str:
        """Return what it printed."""
        return (self.folder / "log").read_text()


@contextmanager
def freeradius(
    folder: Path,
    *,
    method: str = "mschapv2",
    namespace: Namespace | None = None,
    papers: Papers | None = None,
) -> Iterator[FreeRadius]:
    """Run a server until the end of the block, in a namespace of its own or on any free ports."""
    host = "127.0.0.1"
    folder.mkdir(exist_ok=True)
    _papers(folder, papers)
    ports = (1812, 1813, 2083) if namespace else _free_ports(3)
    server = FreeRadius(host, *ports, folder)
    (folder / "radiusd.conf").write_text(
        _CONFIG.format(
            folder=folder,
            network=f"{host}/8",
            secret=SECRET.octets.decode(),
            method=method,
            host=host,
            port=server.port,
            accounting_port=server.accounting_port,
            tls_port=server.tls_port,
        )
    )
    (folder / "users").write_text(_USERS)
    (folder / "dictionary").write_text("")
    assert PROGRAM is not None
    before = ("ip", "netns", "exec", namespace.name) if namespace else ()
    command = [*before, PROGRAM, "-f", "-l", "stdout", "-d", str(folder), "-n", "radiusd", "-xx"]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log) as process:
        try:
            _await_ready(server, process)
            yield server
        finally:
            process.terminate()


def _await_ready(server: FreeRadius, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _PATIENCE
    while "Ready to process requests" not in server.log():
        assert process.poll() is None, server.log()
        assert time.monotonic() < end, server.log()
        time.sleep(0.05)


def _papers(folder: Path, papers: Papers | None) -> None:
    """Copy these papers, or make a self-signed certificate, authority and server in one."""
    names = ("certificate.pem", "key.pem", "authority.pem")
    if papers is not None:
        for paper, name in zip(papers, names, strict=True):
            shutil.copy(paper, folder / name)
        return
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=radius.lab"),
            *("-keyout", folder / "key.pem", "-out", folder / "certificate.pem"),
        ],
        check=True,
        capture_output=True,
    )
    shutil.copy(folder / "certificate.pem", folder / "authority.pem")


def _free_ports(count: int) -> tuple[int, ...]:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return tuple(one.getsockname()[1] for one in sockets)
    finally:
        for one in sockets:
            one.close()
