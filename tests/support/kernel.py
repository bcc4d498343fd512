# SPDX-License-Identifier: Apache-2.0
"""SAs and policies of a Linux kernel as lines for `ip -batch`, and who answers behind them."""

from typing import Final

from ikeway.model.esp import ChildSa, EspKeys, Mode
from ikeway.model.selectors import TrafficSelector
from support.suites import (
    AH,
    AH_SUITES,
    CBC,
    CCM_ICV,
    CHACHA,
    GCM_ICV,
    GMAC,
    IMPLICIT,
    NULL,
    SUITES,
    Suite,
)

MODULES: Final = (
    *("ccm", "cmac", "xcbc", "des_generic", "cbc", "hmac", "sha1_generic", "sha256_generic"),
    *("sha512_generic", "crypto_null", "echainiv", "rfc7539", "udp_tunnel"),
)
"""Some are part of the kernel, or have another name there: what is missing shows in the test."""
ECHO_PORT: Final = 7777
ECHO: Final = """
import socket, sys
encap = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
encap.setsockopt(socket.IPPROTO_UDP, 100, 2)  # UDP_ENCAP, UDP_ENCAP_ESPINUDP
encap.bind(("", 4500))
echo = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
echo.setsockopt(socket.IPPROTO_IP, 8, 1)  # IP_PKTINFO: it answers from where it was asked
echo.bind(("", int(sys.argv[1])))
while True:
    octets, control, _, source = echo.recvmsg(65535, 64)
    echo.sendmsg([octets], control, 0, source)
"""

_AUTH: Final = {
    2: ("hmac(sha1)", 96),
    5: ("xcbc(aes)", 96),
    8: ("cmac(aes)", 96),
    12: ("hmac(sha256)", 128),
    13: ("hmac(sha384)", 192),
    14: ("hmac(sha512)", 256),
}

KERNEL_AH_SUITES: Final = tuple(suite for suite in AH_SUITES if suite.integ in _AUTH)
"""Linux has no AES-GMAC for AH."""
KERNEL_SUITES: Final = tuple(suite for suite in SUITES if suite.encr not in IMPLICIT)
"""Linux has no IVs that are not sent."""


def pair_lines(child: ChildSa, suite: Suite, number: int) -> tuple[str, ...]:
    """Return the lines of both halves of a pair as the kernel's side sees it."""
    (local_ts,), (peer_ts,) = child.local_ts, child.peer_ts
    ours, peers = child.local.address, child.peer.address
    outgoing = f"src {ours} dst {peers}"
    incoming = f"src {peers} dst {ours}"
    return (
        _state(incoming, child.spi_in, suite, child, child.keys_in, number),
        _state(outgoing, child.spi_out, suite, child, child.keys_out, number),
        _policy("out", local_ts, peer_ts, outgoing, child.mode, number, _protocol(suite)),
        _policy("in", peer_ts, local_ts, incoming, child.mode, number, _protocol(suite)),
    )


def _state(way: str, spi: int, suite: Suite, child: ChildSa, keys: EspKeys, number: int) -> str:
    # RFC 4302 §2.6: AH over IPv4 is aligned to four octets; to eight, unless the kernel is asked.
    is_aligned_to_four = suite.encr == AH and child.local.address.version == 4
    flags = [*(["esn"] if child.suite.esn else []), *(["align4"] if is_aligned_to_four else [])]
    encap = "encap espinudp 4500 4500 0.0.0.0" if suite.encr != AH else ""
    return (
        f"xfrm state add {way} proto {_protocol(suite)} spi {spi:#x} reqid {number} "
        f"mode {child.mode.value} replay-window 64 {'flag ' if flags else ''}{' '.join(flags)} "
        f"{_algorithms(suite, keys)} {encap}"
    )


def _protocol(suite: Suite) -> str:
    return "ah" if suite.encr == AH else "esp"


def _policy(
    way: str,
    source: TrafficSelector,
    target: TrafficSelector,
    path: str,
    mode: Mode,
    number: int,
    protocol: str,
) -> str:
    ports = [
        f"{word} {ts.port_start}"
        for word, ts in (("sport", source), ("dport", target))
        if ts.port_start == ts.port_end
    ]
    template = path if mode is Mode.TUNNEL else ""
    return (
        f"xfrm policy add dir {way} src {source.start} dst {target.start} proto udp "
        f"{' '.join(ports)} tmpl {template} proto {protocol} reqid {number} mode {mode.value}"
    )


def _algorithms(suite: Suite, keys: EspKeys) -> str:
    encr, integ = keys.encr.octets.hex(), keys.integ.octets.hex()
    if suite.integ:
        name, bits = _AUTH[suite.integ]
        auth = f"auth-trunc {name} 0x{integ} {bits}"
        if suite.encr == AH:
            return auth
        cipher = {NULL: "ecb(cipher_null)", CBC: "cbc(aes)"}.get(suite.encr, "cbc(des3_ede)")
        return f"{auth} enc {cipher} {f'0x{encr}' if encr else chr(34) * 2}"
    if suite.encr in CHACHA:
        return f"aead rfc7539esp(chacha20,poly1305) 0x{encr} 128"
    if suite.encr == GMAC:
        return f"aead rfc4543(gcm(aes)) 0x{encr} 128"
    name = "rfc4309(ccm(aes))" if suite.encr in CCM_ICV else "rfc4106(gcm(aes))"
    return f"aead {name} 0x{encr} {8 * (CCM_ICV | GCM_ICV)[suite.encr]}"
