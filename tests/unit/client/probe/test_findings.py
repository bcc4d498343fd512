# SPDX-License-Identifier: Apache-2.0
"""The grade of a peer, and its reasons."""

import json
from datetime import UTC, datetime

import pytest

from ikeway.client.probe.findings import Findings, conclude
from ikeway.client.probe.greeting import Greeting, ServerCertificate
from ikeway.client.probe.questions import Accepted
from ikeway.policy.algorithms import ADDITIONAL
from ikeway.policy.distinct import Choice
from ikeway.wire.message import Flags, Message
from ikeway.wire.payloads import Notify, VendorId
from ikeway.wire.registry import (
    EncrId,
    ExchangeType,
    IntegId,
    KeMethod,
    NotifyType,
    PrfId,
    TransformType,
)

X25519, MODP_1024, MODP_2048 = (
    (one, 0) for one in (KeMethod.CURVE25519, KeMethod(2), KeMethod(14))
)
GCM, CBC, DES3 = (EncrId.AES_GCM_16, 256), (EncrId.AES_CBC, 256), (EncrId.DES3, 0)
ML_KEM = (KeMethod.ML_KEM_768, 0)
PRF = (PrfId.HMAC_SHA2_384, 0)
PEER = ("vpn.example", 500)


def accepted(
    ke: tuple[Choice, ...], encr: tuple[Choice, ...], additional: tuple[Choice, ...] = ()
) -> Accepted:
    integ = ((IntegId.HMAC_SHA2_256_128, 0),) if CBC in encr else ()
    return Accepted(
        {
            TransformType.KE: ke,
            TransformType.ENCR: encr,
            TransformType.INTEG: integ,
            TransformType.PRF: (PRF,),
            ADDITIONAL[0]: additional,
        }
    )


def graded(found: Accepted, greeting: Greeting | None = None) -> Findings:
    return conclude(PEER, found, None, greeting)


@pytest.mark.parametrize(
    ("found", "mark", "reason"),
    [
        (accepted((X25519,), (GCM,), (ML_KEM,)), "A+", None),
        (accepted((X25519,), (GCM,)), "A", "post-quantum"),
        (accepted((X25519, MODP_2048), (GCM, CBC)), "A", "post-quantum"),
        (accepted((MODP_2048,), (GCM,)), "B", "post-quantum"),
        (accepted((X25519,), (CBC,)), "B", "post-quantum"),
        (accepted((MODP_2048,), (CBC,), (ML_KEM,)), "A", None),
        (accepted((X25519,), (GCM, DES3), (ML_KEM,)), "C", "DES3 (weak)"),
        (accepted((X25519, MODP_1024), (GCM, DES3)), "F", "MODP_1024 (broken)"),
        (Accepted(), "-", "no IKEv2 suite"),
    ],
)
def test_the_worst_that_is_accepted_decides(found: Accepted, mark: str, reason: str | None) -> None:
    findings = graded(found)
    assert findings.mark == mark
    assert reason is None or reason in findings.reasons[0]
    assert (reason is None) == (findings.reasons == ())


def test_a_weak_certificate_spoils_everything() -> None:
    shown = ServerCertificate("CN=a", "CN=ca", (), "", datetime(2030, 1, 1, tzinfo=UTC), "RSA 1024")
    findings = graded(accepted((X25519,), (GCM,), (ML_KEM,)), Greeting("suite", certificate=shown))
    assert (findings.mark, findings.reasons) == ("F", ("certificate: RSA 1024",))


def test_extensions_and_vendors_are_named() -> None:
    said = (
        Notify(NotifyType.NAT_DETECTION_SOURCE_IP, bytes(20)),
        Notify(NotifyType.CHILDLESS_IKEV2_SUPPORTED),
        Notify(NotifyType(40960)),
        VendorId(b"OpenIKED-7.2"),
        VendorId(b"\xff\x00"),
    )
    kind = ExchangeType.IKE_SA_INIT
    answer = Message.build(bytes(8), bytes(8), kind, Flags.RESPONSE, 0, said)
    findings = conclude(PEER, accepted((X25519,), (GCM,)), answer, None, "no answer")
    assert findings.extensions == ("CHILDLESS_IKEV2_SUPPORTED", "UNKNOWN_40960")
    assert findings.vendors == ("OpenIKED-7.2", "ff00")


def test_all_of_it_is_json() -> None:
    shown = ServerCertificate(
        "CN=a", "CN=ca", ("a.example",), "rsa", datetime(2030, 1, 1, tzinfo=UTC)
    )
    greeting = Greeting("suite", "a.example", "RSA_SIGNATURE", shown, offers_eap=True)
    findings = graded(accepted((X25519,), (GCM,)), greeting)
    plain = json.loads(json.dumps(findings.to_json()))
    assert plain["grade"] == "A"
    assert plain["algorithms"][0] == {
        "type": "key exchange",
        "name": "CURVE25519",
        "grade": "strong",
        "why": "",
    }
    assert plain["authentication"]["certificate"]["names"] == ["a.example"]
    assert json.loads(json.dumps(graded(Accepted()).to_json()))["authentication"] is None
