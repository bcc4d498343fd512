# SPDX-License-Identifier: Apache-2.0
"""What an audit says of each algorithm (RFC 8247)."""

import pytest

from ikeway.policy.algorithms import ALGORITHMS, UNENCRYPTED
from ikeway.policy.grades import Grade, judge
from ikeway.wire.registry import EncrId, IntegId, KeMethod, PrfId, TransformType

KINDS = {
    TransformType.ENCR: EncrId,
    TransformType.PRF: PrfId,
    TransformType.INTEG: IntegId,
    TransformType.KE: KeMethod,
}
NOT_FOR_IKE = {one for one in EncrId if one > 31}
NOT_ALONE = {KeMethod.NONE, IntegId.NONE}
GMAC = {IntegId.AES_128_GMAC, IntegId.AES_192_GMAC, IntegId.AES_256_GMAC}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
def test_every_algorithm_for_ike_that_has_a_name_is_judged(kind: TransformType) -> None:
    unknown = judge(kind, 65535)
    for one in KINDS[kind]:
        if one not in NOT_FOR_IKE | NOT_ALONE | GMAC:
            assert judge(kind, one) != unknown, one.name


@pytest.mark.parametrize("row", ALGORITHMS, ids=lambda row: row.word)
def test_what_needs_an_opt_in_is_weak_and_all_else_is_not(row: object) -> None:
    is_named = row.type is TransformType.ENCR and row.id in UNENCRYPTED  # type: ignore[attr-defined]
    if row.type in KINDS and not is_named:  # type: ignore[attr-defined]
        grade = judge(row.type, row.id).grade  # type: ignore[attr-defined]
        assert (grade <= Grade.WEAK) == row.is_legacy  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (TransformType.ENCR, EncrId.DES),
        (TransformType.PRF, PrfId.HMAC_MD5),
        (TransformType.INTEG, IntegId.HMAC_MD5_96),
        (TransformType.INTEG, IntegId.DES_MAC),
        (TransformType.INTEG, IntegId.KPDK_MD5),
        (TransformType.KE, KeMethod.MODP_768),
        (TransformType.KE, KeMethod.MODP_1024_160),
    ],
)
def test_what_rfc_8247_forbids_is_broken(kind: TransformType, code: int) -> None:
    """RFC 8247 §2.1 to §2.4: MUST NOT."""
    assert judge(kind, code).grade is Grade.BROKEN
    assert judge(kind, code).why
