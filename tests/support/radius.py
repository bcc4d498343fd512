# SPDX-License-Identifier: Apache-2.0
"""The other side of RADIUS, for tests: a server's seals, by RFC 2865 §3 and RFC 2548 §2.4.2."""

import hashlib
import hmac
from dataclasses import replace

from ikeway.auth.radius.packet import Attribute, Packet
from ikeway.auth.radius.registry import MICROSOFT, AttributeType, Code, MicrosoftType
from ikeway.model.secret import Secret

SECRET = Secret(b"a RADIUS secret")


def digest(*parts: bytes) -> bytes:
    """Return MD5 over the parts."""
    return hashlib.md5(b"".join(parts), usedforsecurity=False).digest()


def replied(
    request: bytes,
    code: Code,
    *attributes: Attribute,
    secret: Secret = SECRET,
    is_authentic: bool = True,
) -> bytes:
    """Return a server's reply; without Message-Authenticator if it is not to be authentic."""
    asked = Packet.decode(request)
    blank = Attribute(AttributeType.MESSAGE_AUTHENTICATOR, bytes(16))
    kept = (blank, *attributes) if is_authentic else attributes
    reply = Packet(code, asked.identifier, asked.authenticator, kept)
    if is_authentic:
        mac = hmac.digest(secret.octets, reply.encode(), "md5")
        reply = replace(reply, attributes=(replace(blank, value=mac), *attributes))
    octets = reply.encode()
    return octets[:4] + digest(octets, secret.octets) + octets[20:]


def hidden(key: bytes, salt: bytes, authenticator: bytes, secret: Secret = SECRET) -> bytes:
    """Return an MS-MPPE key as a server hides it."""
    plain = bytes((len(key),)) + key
    plain = plain.ljust(-(-len(plain) // 16) * 16, b"\0")
    cipher, before = b"", authenticator + salt
    for at in range(0, len(plain), 16):
        pad = digest(secret.octets, before)
        before = bytes(one ^ two for one, two in zip(plain[at : at + 16], pad, strict=True))
        cipher += before
    return salt + cipher


def mppe(kind: MicrosoftType, value: bytes) -> Attribute:
    """Return a Microsoft attribute."""
    body = MICROSOFT.to_bytes(4) + bytes((kind, len(value) + 2)) + value
    return Attribute(AttributeType.VENDOR_SPECIFIC, body)
