# SPDX-License-Identifier: Apache-2.0
"""FreeRADIUS on the loopback as an EAP server, and just enough of RADIUS to talk to it."""

import hashlib
import hmac
import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ikeway.auth.eap.packet import Code, EapType, Packet
from ikeway.auth.eap.peer import EapPeer
from ikeway.auth.eap.progress import Outcome
from support.strongswan import wait_until

PROGRAM: Final = shutil.which("freeradius") or "/usr/sbin/freeradius"
SECRET: Final = b"testing123"
ACCEPT, CHALLENGE = 2, 11
_SALT: Final = 2
_EAP, _STATE, _VENDOR, _SIGNED = 79, 24, 26, 80
_MICROSOFT: Final = (311).to_bytes(4)
_SEND_KEY, _RECEIVE_KEY = 16, 17
CONFIG: Final = """
prefix = /usr
libdir = /usr/lib/freeradius
logdir = FOLDER
run_dir = FOLDER
client here {
  ipaddr = 127.0.0.1
  secret = testing123
  require_message_authenticator = yes
}
modules {
  pap {
  }
  mschap {
    use_mppe = yes
  }
  files {
    filename = FOLDER/users
  }
  eap {
    default_eap_type = METHOD
    md5 {
    }
    mschapv2 {
    }
    tls-config common {
      private_key_file = PKI/ecdsa-server.key
      certificate_file = PKI/ecdsa-server.crt
      ca_file = PKI/ecdsa-ca.crt
      cipher_list = "DEFAULT"
      ecdh_curve = ""
      tls_min_version = "TLS"
      tls_max_version = "TLS"
    }
    tls {
      tls = common
    }
    ttls {
      tls = common
      default_eap_type = mschapv2
      virtual_server = inside
    }
    peap {
      tls = common
      default_eap_type = mschapv2
      virtual_server = inside
    }
  }
}
server outside {
  listen {
    type = auth
    ipaddr = 127.0.0.1
    port = PORT
  }
  authorize {
    eap {
      ok = return
    }
    files
    pap
  }
  authenticate {
    Auth-Type MS-CHAP {
      mschap
    }
    eap
  }
}
server inside {
  authorize {
    mschap
    eap {
      ok = return
    }
    files
    pap
  }
  authenticate {
    Auth-Type PAP {
      pap
    }
    Auth-Type MS-CHAP {
      mschap
    }
    eap
  }
}
"""


@dataclass(frozen=True)
class Verdict:
    """How it ended: for the server by its code, and for us; `key` is the one that it would use."""

    code: int
    outcome: Outcome | None
    key: bytes


@contextmanager
def freeradius(folder: Path, pki: Path, method: str, tls: str) -> Iterator[int]:
    """Run a server that knows carol, and give its port."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    text = CONFIG
    values = {"FOLDER": folder, "PKI": pki, "METHOD": method, '"TLS"': f'"{tls}"', "PORT": port}
    for word, value in values.items():
        text = text.replace(word, str(value))
    (folder / "radiusd.conf").write_text(text)
    (folder / "dictionary").write_text("$INCLUDE /usr/share/freeradius/dictionary\n")
    (folder / "users").write_text('carol Cleartext-Password := "correct horse"\n')
    log = folder / "log"
    with log.open("w") as out:
        process = subprocess.Popen([PROGRAM, "-X", "-d", folder], stdout=out, stderr=out)
    try:
        wait_until(lambda: "Ready to process" in log.read_text(), 10.0, "FreeRADIUS")
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


def talk(peer: EapPeer, user: bytes, port: int) -> Verdict:
    """Let a peer of ours talk to the server until one of them ends it."""
    eap = Packet(Code.RESPONSE, 0, EapType.IDENTITY, user).encode()
    state = b""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        line.settimeout(10)
        line.connect(("127.0.0.1", port))
        for number in range(60):
            asked = _request(number, user, eap, state)
            line.send(asked)
            code, eap, state, keys = _read(line.recv(4096))
            progress = peer.handle(eap)
            if progress.outcome is not None or code != CHALLENGE or progress.reply is None:
                sealed = keys.get(_RECEIVE_KEY), keys.get(_SEND_KEY)
                key = b"".join(_opened(one, asked[4:20]) for one in sealed if one)
                return Verdict(code, progress.outcome, key)
            eap = progress.reply
    raise AssertionError("they do not come to an end")


def _request(number: int, user: bytes, eap: bytes, state: bytes) -> bytes:
    parts = [_attribute(1, user)]
    parts += [_attribute(_EAP, eap[at : at + 253]) for at in range(0, len(eap), 253)]
    parts += [_attribute(_STATE, state)] if state else []
    body = b"".join(parts) + _attribute(_SIGNED, bytes(16))
    packet = bytes([1, number]) + (20 + len(body)).to_bytes(2) + os.urandom(16) + body
    return packet[:-16] + hmac.digest(SECRET, packet, "md5")


def _attribute(kind: int, value: bytes) -> bytes:
    return bytes([kind, len(value) + 2]) + value


def _read(packet: bytes) -> tuple[int, bytes, bytes, dict[int, bytes]]:
    eap, state, keys, at = b"", b"", dict[int, bytes](), 20
    while at < len(packet):
        kind, value = packet[at], packet[at + 2 : at + packet[at + 1]]
        if kind == _EAP:
            eap += value
        elif kind == _STATE:
            state = value
        elif kind == _VENDOR and value[:4] == _MICROSOFT:
            keys[value[4]] = value[6:]
        at += packet[at + 1]
    return packet[0], eap, state, keys


def _opened(sealed: bytes, authenticator: bytes) -> bytes:
    """Return a key of MPPE (RFC 2548 §2.4.2)."""
    mixed, plain = authenticator + sealed[:_SALT], b""
    for at in range(_SALT, len(sealed), 16):
        block = sealed[at : at + 16]
        stream = hashlib.md5(SECRET + mixed).digest()
        plain += bytes(a ^ b for a, b in zip(block, stream, strict=True))
        mixed = block
    return plain[1 : 1 + plain[0]]
