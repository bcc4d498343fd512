# SPDX-License-Identifier: Apache-2.0
"""One class for each payload of RFC 7296 §3; `PAYLOADS` names them all."""

from typing import Final

from ikeway.wire.attributes import Attribute, CfgAttributeValue
from ikeway.wire.codec import Body
from ikeway.wire.payloads.authentication import Authentication
from ikeway.wire.payloads.certificate import Certificate, CertificateRequest
from ikeway.wire.payloads.configuration import Configuration
from ikeway.wire.payloads.delete import Delete
from ikeway.wire.payloads.eap import Eap
from ikeway.wire.payloads.encrypted import Encrypted, EncryptedFragment, Sealed
from ikeway.wire.payloads.identification import Identification, IdI, IdR
from ikeway.wire.payloads.key_exchange import KeyExchange, Nonce
from ikeway.wire.payloads.notify import Notify
from ikeway.wire.payloads.puzzle import PuzzleSolution
from ikeway.wire.payloads.security_association import Proposal, SecurityAssociation, Transform
from ikeway.wire.payloads.traffic_selectors import RawSelector, TrafficSelectors, TsI, TsR
from ikeway.wire.payloads.unknown import Unknown
from ikeway.wire.payloads.vendor import VendorId

PAYLOADS: Final[tuple[type[Body], ...]] = (
    SecurityAssociation,
    KeyExchange,
    IdI,
    IdR,
    Certificate,
    CertificateRequest,
    Authentication,
    Nonce,
    Notify,
    Delete,
    VendorId,
    TsI,
    TsR,
    Encrypted,
    Configuration,
    Eap,
    EncryptedFragment,
    PuzzleSolution,
)
"""Every payload that this release decodes; all others are `Unknown`."""

__all__ = [
    "PAYLOADS",
    "Attribute",
    "Authentication",
    "Certificate",
    "CertificateRequest",
    "CfgAttributeValue",
    "Configuration",
    "Delete",
    "Eap",
    "Encrypted",
    "EncryptedFragment",
    "IdI",
    "IdR",
    "Identification",
    "KeyExchange",
    "Nonce",
    "Notify",
    "Proposal",
    "PuzzleSolution",
    "RawSelector",
    "Sealed",
    "SecurityAssociation",
    "TrafficSelectors",
    "Transform",
    "TsI",
    "TsR",
    "Unknown",
    "VendorId",
]
