# SPDX-License-Identifier: Apache-2.0
"""What a probe found, with a grade for it all and the reasons."""

from dataclasses import dataclass
from typing import Any, Final

from ikeway.client.probe.greeting import Greeting, ServerCertificate
from ikeway.client.probe.questions import Accepted
from ikeway.policy.algorithms import ADDITIONAL
from ikeway.policy.distinct import Choice
from ikeway.policy.grades import Grade, Judgement, judge
from ikeway.wire.message import Message
from ikeway.wire.payloads import Notify, VendorId
from ikeway.wire.registry import NotifyType, TransformType
from ikeway.wire.transforms import TRANSFORM_IDS

KINDS: Final = (
    (TransformType.KE, "key exchange"),
    (ADDITIONAL[0], "post-quantum"),
    (TransformType.ENCR, "encryption"),
    (TransformType.INTEG, "integrity"),
    (TransformType.PRF, "PRF"),
)
_MARKS: Final = {Grade.BROKEN: "F", Grade.WEAK: "C", Grade.FAIR: "B", Grade.STRONG: "A"}
_IN_EVERY_ANSWER: Final = frozenset(
    {NotifyType.NAT_DETECTION_SOURCE_IP, NotifyType.NAT_DETECTION_DESTINATION_IP}
)


@dataclass(frozen=True, slots=True)
class Found:
    """One algorithm that the peer accepts."""

    kind: str
    name: str
    judgement: Judgement


@dataclass(frozen=True, slots=True)
class Findings:
    """All of it. `mark` is from A+ to F, "-" where nothing is accepted; `reasons` say why."""

    host: str
    port: int
    found: tuple[Found, ...]
    extensions: tuple[str, ...]
    vendors: tuple[str, ...]
    greeting: Greeting | None
    silence: str
    mark: str
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return it as values that JSON has."""
        return {
            "host": self.host,
            "port": self.port,
            "grade": self.mark,
            "reasons": list(self.reasons),
            "algorithms": [
                {
                    "type": one.kind,
                    "name": one.name,
                    "grade": one.judgement.grade.name.lower(),
                    "why": one.judgement.why,
                }
                for one in self.found
            ],
            "extensions": list(self.extensions),
            "vendor_ids": list(self.vendors),
            "authentication": _greeting_json(self.greeting),
            "authentication_error": self.silence,
        }


def conclude(
    peer: tuple[str, int],
    accepted: Accepted,
    answer: Message | None,
    greeting: Greeting | None,
    silence: str = "",
) -> Findings:
    """Return the findings. `answer` is a full IKE_SA_INIT response, `silence` why none greeted."""
    found = tuple(
        Found(title, _name(kind, choice), judge(kind, choice[0]))
        for kind, title in KINDS
        for choice in accepted.of(kind)
    )
    mark, reasons = _grade(found, accepted, greeting)
    return Findings(
        *peer, found, _extensions(answer), _vendors(answer), greeting, silence, mark, reasons
    )


def _grade(
    found: tuple[Found, ...], accepted: Accepted, greeting: Greeting | None
) -> tuple[str, tuple[str, ...]]:
    if not accepted.is_any:
        return "-", ("no IKEv2 suite that we know is accepted, or none from our address",)
    floor = _floor(accepted)
    bad = tuple(
        f"{one.name} ({one.judgement.grade.name.lower()}): {one.judgement.why}"
        for one in sorted(found, key=lambda one: one.judgement.grade)
        if one.judgement.grade <= Grade.WEAK
    )
    shown = greeting.certificate if greeting else None
    if shown and shown.weakness:
        return "F", (f"certificate: {shown.weakness}", *bad)
    if bad:
        return _MARKS[min(one.judgement.grade for one in found)], bad
    if accepted.of(ADDITIONAL[0]):
        return ("A+" if floor is Grade.STRONG else "A"), ()
    return _MARKS[floor], ("no post-quantum key exchange: recorded today, read some day",)


def _floor(accepted: Accepted) -> Grade:
    """Return the best grade that every type reaches: what two good peers would agree on."""
    kinds = [kind for kind, _ in KINDS if accepted.of(kind)]
    return min(max(judge(kind, code).grade for code, _ in accepted.of(kind)) for kind in kinds)


def _name(kind: TransformType, choice: Choice) -> str:
    code, bits = choice
    registry = TRANSFORM_IDS.get(kind, TRANSFORM_IDS[TransformType.KE])
    name = registry(code).name
    return f"{name}_{bits}" if bits else name


def _extensions(answer: Message | None) -> tuple[str, ...]:
    if answer is None:
        return ()
    kinds = (one.type for one in answer.all(Notify))
    return tuple(
        sorted({one.name for one in kinds if not one.is_error and one not in _IN_EVERY_ANSWER})
    )


def _vendors(answer: Message | None) -> tuple[str, ...]:
    if answer is None:
        return ()
    octets = (one.data for one in answer.all(VendorId))
    return tuple(_text(one) for one in octets)


def _text(octets: bytes) -> str:
    is_text = len(octets) > 0 and all(0x20 <= one < 0x7F for one in octets)
    return octets.decode() if is_text else octets.hex()


def _greeting_json(greeting: Greeting | None) -> dict[str, Any] | None:
    if greeting is None:
        return None
    return {
        "suite": greeting.suite,
        "identity": greeting.identity,
        "method": greeting.method,
        "eap": greeting.offers_eap,
        "refused": greeting.refused,
        "certificate": _certificate_json(greeting.certificate),
    }


def _certificate_json(shown: ServerCertificate | None) -> dict[str, Any] | None:
    if shown is None:
        return None
    return {
        "subject": shown.subject,
        "issuer": shown.issuer,
        "names": list(shown.names),
        "key": shown.key,
        "not_after": shown.not_after.isoformat(),
        "weakness": shown.weakness,
    }
