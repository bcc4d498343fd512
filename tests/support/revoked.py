# SPDX-License-Identifier: Apache-2.0
"""CRLs and OCSP responses of every odd shape, and a web server that has them."""

import threading
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.keypair import PrivateKey
from support.pki import NOW

Extensions = Sequence[tuple[x509.ExtensionType, bool]]
Answer = Callable[[bytes], tuple[int, dict[str, str], bytes]]


def crl(
    issuer: Certificate,
    key: PrivateKey,
    revoked: Sequence[Certificate | tuple[Certificate, x509.ReasonFlags]] = (),
    extensions: Extensions = (),
    days: tuple[float, float] = (-1, 7),
    now: datetime = NOW,
    digest: Any = None,
) -> bytes:
    """A CRL in DER with exactly these extensions."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.handle.subject)
        .last_update(now + timedelta(days=days[0]))
        .next_update(now + timedelta(days=days[1]))
    )
    for value, critical in extensions:
        builder = builder.add_extension(value, critical)
    for each in revoked:
        certificate, reason = each if isinstance(each, tuple) else (each, None)
        entry = x509.RevokedCertificateBuilder().serial_number(certificate.serial)
        entry = entry.revocation_date(now + timedelta(days=days[0]))
        if reason:
            entry = entry.add_extension(x509.CRLReason(reason), critical=False)
        builder = builder.add_revoked_certificate(entry.build())
    signed = builder.sign(key.handle, digest or hashes.SHA256())  # type: ignore[arg-type]
    return signed.public_bytes(Encoding.DER)


def ocsp_response(
    certificate: Certificate,
    issuer: Certificate,
    signer: tuple[Certificate, PrivateKey],
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    hours: tuple[float, float | None] = (-1, 24),
    nonce: bytes | None = None,
    now: datetime = NOW,
    with_signer: bool = False,
    by_name: bool = False,
    digest: Any = None,
) -> bytes:
    """An OCSP response in DER."""
    end = None if hours[1] is None else now + timedelta(hours=hours[1])
    is_revoked = status is ocsp.OCSPCertStatus.REVOKED
    builder = ocsp.OCSPResponseBuilder().add_response(
        cert=certificate.handle,
        issuer=issuer.handle,
        algorithm=hashes.SHA1(),
        cert_status=status,
        this_update=now + timedelta(hours=hours[0]),
        next_update=end,
        revocation_time=now + timedelta(hours=hours[0]) if is_revoked else None,
        revocation_reason=x509.ReasonFlags.key_compromise if is_revoked else None,
    )
    encoding = ocsp.OCSPResponderEncoding.NAME if by_name else ocsp.OCSPResponderEncoding.HASH
    builder = builder.responder_id(encoding, signer[0].handle)
    if with_signer:
        builder = builder.certificates([signer[0].handle])
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.sign(signer[1].handle, digest or hashes.SHA256()).public_bytes(Encoding.DER)  # type: ignore[arg-type]


class Web:
    """A web server on loopback. `pages` are what is at each path: octets, or what answers."""

    def __init__(self) -> None:
        self.pages: dict[str, bytes | Answer] = {}
        self.asked: list[str] = []
        self.url = ""

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        self.asked.append(handler.path)
        page = self.pages.get(handler.path)
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        status, headers, octets = 404, {}, b""
        if isinstance(page, bytes):
            status, octets = 200, page
        elif page is not None:
            status, headers, octets = page(body)
        handler.send_response(status)
        for name, value in ({"Content-Length": str(len(octets))} | headers).items():
            if value:
                handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(octets)


@contextmanager
def web(address: str = "127.0.0.1"):  # type: ignore[no-untyped-def]
    """Serve on a free port, in a thread of its own."""
    it = Web()

    class Handler(BaseHTTPRequestHandler):
        timeout = 5

        def do_GET(self) -> None:
            it.answer(self)

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer((address, 0), Handler)
    server.daemon_threads = True
    it.url = f"http://{address}:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield it
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
