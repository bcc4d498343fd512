# SPDX-License-Identifier: Apache-2.0
"""AlgorithmIdentifiers as RFC 7427, RFC 8420 and draft-ietf-ipsecme-ikev2-pqc-auth print them."""

import pytest

from ikeway.crypto.sign import scheme_named, scheme_of
from ikeway.model.errors import AuthenticationError

SENT = {
    "RSA_SHA1": "300d06092a864886f70d0101050500",
    "RSA_SHA2_256": "300d06092a864886f70d01010b0500",
    "RSA_SHA2_384": "300d06092a864886f70d01010c0500",
    "RSA_SHA2_512": "300d06092a864886f70d01010d0500",
    "ECDSA_SHA2_256": "300a06082a8648ce3d040302",
    "ECDSA_SHA2_384": "300a06082a8648ce3d040303",
    "ECDSA_SHA2_512": "300a06082a8648ce3d040304",
    "ED25519": "300506032b6570",
    "ED448": "300506032b6571",
    "ML_DSA_44": "300b0609608648016503040311",
    "ML_DSA_65": "300b0609608648016503040312",
    "ML_DSA_87": "300b0609608648016503040313",
}
PSS_A43 = (  # with the trailer field, which DER leaves out
    "304606092a864886f70d01010a3039a00f300d06096086480165030402010500"
    "a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120a303020101"
)
REFUSED = {
    "RSASSA-PSS with empty parameters, which means SHA-1": "300d06092a864886f70d01010a3000",
    "RSASSA-PSS with default parameters, which are SHA-1": (
        "303e06092a864886f70d01010a3031a00b300906052b0e03021a0500a11830160609"
        "2a864886f70d010108300906052b0e03021a0500a203020114a303020101"
    ),
    "DSA with SHA-1": "300906072a8648ce380403",
    "DSA with SHA-256": "300b0609608648016503040302",
    "ECDSA with SHA-1": "300906072a8648ce3d0401",
    "ECDSA with NULL parameters": "300c06082a8648ce3d0403020500",
    "Ed25519 with NULL parameters": "300706032b65700500",
    "MD5 with RSA": "300d06092a864886f70d0101040500",
    "RSASSA-PSS with a salt of 20": PSS_A43.replace("a203020120", "a203020114"),
    "RSASSA-PSS with no salt": PSS_A43.replace("a203020120", "a203020100"),
    "RSASSA-PSS with another trailer": PSS_A43.replace("a303020101", "a303020102"),
    "RSASSA-PSS with MGF1 of SHA-512": PSS_A43.replace("02010500a203", "02030500a203"),
    "a length that is not the shortest": "30810d06092a864886f70d01010b0500",
    "an octet after it": "300d06092a864886f70d01010b050000",
    "nothing": "",
}


@pytest.mark.conformance("CF-N05")
@pytest.mark.parametrize(("name", "text"), SENT.items())
def test_we_send_the_identifier_of_the_appendix(name: str, text: str) -> None:
    assert scheme_named(name).identifier == bytes.fromhex(text)
    assert scheme_of(bytes.fromhex(text)) is scheme_named(name)


@pytest.mark.conformance("CF-N05")
@pytest.mark.parametrize("name", [name for name in SENT if name.startswith("RSA")])
def test_rsa_without_parameters_is_accepted_as_rfc_4055_requires(name: str) -> None:
    absent = bytes.fromhex(SENT[name].removesuffix("0500").replace("300d", "300b", 1))
    assert scheme_of(absent) is scheme_named(name)


@pytest.mark.conformance("CF-N06")
def test_pss_is_known_with_and_without_the_trailer_field() -> None:
    sent = scheme_named("RSA_PSS_SHA2_256").identifier
    assert scheme_of(bytes.fromhex(PSS_A43)).name == "RSA_PSS_SHA2_256"
    assert len(sent) == len(bytes.fromhex(PSS_A43)) - 5
    assert scheme_of(sent).name == "RSA_PSS_SHA2_256"


@pytest.mark.conformance("CF-N06")
@pytest.mark.parametrize("text", REFUSED.values(), ids=REFUSED.keys())
def test_other_identifiers_are_refused(text: str) -> None:
    assert text != PSS_A43
    with pytest.raises(AuthenticationError, match="do not use"):
        scheme_of(bytes.fromhex(text))
