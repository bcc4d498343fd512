# SPDX-License-Identifier: Apache-2.0
"""Messages for people, in the notation of RFC 7296 §1.2: `IKE_AUTH request 1 [IDi AUTH SA]`."""

from ikeway.wire.codec import Body
from ikeway.wire.message import Header
from ikeway.wire.payloads import (
    Authentication,
    Certificate,
    CertificateRequest,
    Configuration,
    Delete,
    Eap,
    IdI,
    IdR,
    KeyExchange,
    Nonce,
    Notify,
    SecurityAssociation,
    TsI,
    TsR,
    Unknown,
    VendorId,
)

_NAMES: dict[type[Body], str] = {
    SecurityAssociation: "SA",
    KeyExchange: "KE",
    Nonce: "Nonce",
    IdI: "IDi",
    IdR: "IDr",
    Certificate: "CERT",
    CertificateRequest: "CERTREQ",
    Authentication: "AUTH",
    VendorId: "V",
    TsI: "TSi",
    TsR: "TSr",
    Eap: "EAP",
    Configuration: "CP",
    Delete: "D",
    Notify: "N",
}


def name_of(kind: type[Body]) -> str:
    """Return the name of a payload in that notation."""
    return _NAMES.get(kind, kind.__name__)


def describe(header: Header, payloads: tuple[Body, ...]) -> str:
    """Return one line that says what a message is and what it has."""
    kind = "request" if header.is_request else "response"
    names = " ".join(name(body) for body in payloads[:24])
    return f"{header.exchange.name} {kind} {header.message_id} [{names}]"


def name(body: Body) -> str:
    """Return the name of one payload, with what kind of Notify, Delete or CP it is."""
    match body:
        case Notify():
            return f"N({body.type.name})"
        case Delete():
            return f"D({body.protocol.name})"
        case Configuration():
            return f"CP({body.type.name})"
        case Unknown():
            return f"?{int(body.type)}"
        case _:
            return name_of(type(body))
