# SPDX-License-Identifier: Apache-2.0
"""What stands in a certificate, for people and for programs."""

from collections.abc import Mapping
from hashlib import sha256
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from ikeway.crypto.certificate import Certificate
from ikeway.crypto.revocation import distribution_points, responders
from ikeway.model.errors import AuthenticationError

Fact: TypeAlias = str | int | bool | list[str] | None
_USAGES: Final = {
    ExtendedKeyUsageOID.SERVER_AUTH.dotted_string: "serverAuth",
    ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string: "clientAuth",
    ExtendedKeyUsageOID.OCSP_SIGNING.dotted_string: "OCSPSigning",
    ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE.dotted_string: "anyExtendedKeyUsage",
    "1.3.6.1.5.5.8.2.2": "ikeIntermediate",
    "1.3.6.1.5.5.7.3.17": "ipsecIKE",
}


def describe(certificate: Certificate) -> Mapping[str, Fact]:
    """Return the facts of a certificate by their names; what does not apply is None or empty."""
    constraints = certificate.find(x509.BasicConstraints)
    is_authority = constraints is not None and constraints.ca
    usages = certificate.find(x509.ExtendedKeyUsage) or ()
    limits = certificate.find(x509.NameConstraints)
    return {
        "subject": certificate.subject,
        "issuer": certificate.issuer,
        "serial": f"{certificate.serial:x}",
        "names": [str(name) for name in certificate.sans],
        "not_before": certificate.not_before.isoformat(),
        "not_after": certificate.not_after.isoformat(),
        "key": _key(certificate),
        "is_authority": is_authority,
        "path_length": constraints.path_length if constraints and is_authority else None,
        "usages": [_USAGES.get(one.dotted_string, one.dotted_string) for one in usages],
        "permitted": _trees(limits.permitted_subtrees if limits else None),
        "excluded": _trees(limits.excluded_subtrees if limits else None),
        "crls": list(distribution_points(certificate)),
        "ocsp": list(responders(certificate)),
        "sha256": sha256(certificate.der).hexdigest(),
    }


def _key(certificate: Certificate) -> str:
    try:
        public = certificate.public_key
    except AuthenticationError as error:
        return f"not usable: {error.reason}"
    size = f" {public.handle.key_size}" if isinstance(public.handle, rsa.RSAPublicKey) else ""
    return f"{public.algorithm.value}{size}"


def _trees(trees: "list[x509.GeneralName] | None") -> list[str]:
    return [str(getattr(tree, "value", tree)) for tree in trees or ()]
