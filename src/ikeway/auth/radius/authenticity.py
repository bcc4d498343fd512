# SPDX-License-Identifier: Apache-2.0
"""Which RADIUS packets are genuine, and how ours are made so.

Whatever answers an Access-Request has to carry a Message-Authenticator: the Response Authenticator
alone, MD5 over what an attacker chose in part, can be forged (Blast-RADIUS, CVE-2024-3596).
"""

from dataclasses import replace
from typing import Final

from ikeway.auth.radius.packet import AUTHENTICATOR_OCTETS, HEADER, Attribute, Packet
from ikeway.auth.radius.registry import AttributeType, Code
from ikeway.crypto.mac import require_equal
from ikeway.crypto.md5 import OCTETS, hmac_md5, md5
from ikeway.model.errors import IntegrityError
from ikeway.model.secret import Secret

_ZERO: Final = bytes(AUTHENTICATOR_OCTETS)
_ACCESS: Final = frozenset({Code.ACCESS_ACCEPT, Code.ACCESS_REJECT, Code.ACCESS_CHALLENGE})
_BLANK: Final = Attribute(AttributeType.MESSAGE_AUTHENTICATOR, _ZERO)


def seal_access(request: Packet, secret: Secret) -> bytes:
    """Return the octets of an Access-Request, or a Status-Server.

    Its authenticator has to be random. The Message-Authenticator stands first (RFC 3579 §3.2).
    """
    return _with_code(replace(request, attributes=(_BLANK, *request.attributes)), secret).encode()


def seal_request(request: Packet, secret: Secret) -> bytes:
    """Return a request whose authenticator is a digest (RFC 2866 §3, RFC 5176 §2.3)."""
    octets = replace(request, authenticator=_ZERO).encode()
    return _with_authenticator(octets, md5(octets, secret.octets))


def seal_reply(reply: Packet, request: Packet, secret: Secret) -> bytes:
    """Return the octets of what we answer to an order of the server (RFC 5176 §2.3, §3.4)."""
    blank = replace(reply, authenticator=request.authenticator)
    blank = replace(blank, attributes=(_BLANK, *reply.attributes))
    octets = _with_code(blank, secret).encode()
    return _with_authenticator(octets, md5(octets, secret.octets))


def open_reply(octets: bytes, request: bytes, secret: Secret) -> Packet:
    """Return the server's reply to a request of ours, once it is proven to be that.

    Raises:
        MalformedError: it is no RADIUS packet.
        IntegrityError: it answers another request, its maker does not have the secret, or it
            answers an Access-Request without a Message-Authenticator.
    """
    reply, asked = Packet.decode(octets), Packet.decode(request)
    if reply.identifier != asked.identifier:
        raise IntegrityError(f"RADIUS reply {reply.identifier} to request {asked.identifier}")
    bound = replace(reply, authenticator=asked.authenticator)
    digest = md5(bound.encode(), secret.octets)
    require_equal(digest, reply.authenticator, "a RADIUS Response Authenticator")
    _check_code(bound, secret, is_required=reply.code in _ACCESS)
    return reply


def open_request(octets: bytes, secret: Secret) -> Packet:
    """Return an order of the server, once it is proven to be one (RFC 5176 §2.3).

    A digest with a secret over the whole order proves it, so that the Message-Authenticator, which
    many senders leave out, is checked where it is there (§3.4).

    Raises:
        MalformedError: it is no RADIUS packet.
        IntegrityError: its maker does not have the secret.
    """
    request = Packet.decode(octets)
    blank = replace(request, authenticator=_ZERO)
    digest = md5(blank.encode(), secret.octets)
    require_equal(digest, request.authenticator, "a RADIUS Request Authenticator")
    _check_code(blank, secret, is_required=False)
    return request


def _check_code(packet: Packet, secret: Secret, *, is_required: bool) -> None:
    codes = packet.all(AttributeType.MESSAGE_AUTHENTICATOR)
    if not codes and not is_required:
        return
    if len(codes) != 1:
        raise IntegrityError(f"{packet.code.name} with {len(codes)} Message-Authenticators, not 1")
    require_equal(_code(packet, secret), codes[0], "a RADIUS Message-Authenticator")


def _with_code(packet: Packet, secret: Secret) -> Packet:
    return _with_value(packet, _code(packet, secret))


def _code(packet: Packet, secret: Secret) -> bytes:
    """Return the code over the packet, with zeros where the code goes (RFC 3579 §3.2)."""
    return hmac_md5(secret.octets, _with_value(packet, bytes(OCTETS)).encode())


def _with_value(packet: Packet, code: bytes) -> Packet:
    value = Attribute(AttributeType.MESSAGE_AUTHENTICATOR, code)
    return replace(
        packet,
        attributes=tuple(value if one.type is value.type else one for one in packet.attributes),
    )


def _with_authenticator(octets: bytes, authenticator: bytes) -> bytes:
    return octets[: HEADER.size - AUTHENTICATOR_OCTETS] + authenticator + octets[HEADER.size :]
