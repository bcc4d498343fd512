# SPDX-License-Identifier: Apache-2.0
"""PRFs and integrity algorithms against the vectors of their RFCs."""

from typing import Any

import pytest

from ikeway.crypto.integ import integrity
from ikeway.crypto.prf import prf
from support.vectors import cases


@pytest.mark.conformance("CF-H08")
@pytest.mark.parametrize("case", cases("macs", kind="prf"))
def test_a_prf_gives_the_output_of_its_rfc(case: dict[str, Any]) -> None:
    """Keys shorter and longer than the fixed size of XCBC and CMAC are among them."""
    assert prf(case["code"]).compute(case["key"], case["data"]) == case["output"]


@pytest.mark.parametrize("case", cases("macs", kind="integ"))
def test_an_integrity_algorithm_gives_the_value_of_its_rfc(case: dict[str, Any]) -> None:
    row = integrity(case["code"])
    assert row.compute(case["key"], case["data"]) == case["output"]
    row.verify(case["key"], case["output"], case["data"])


@pytest.mark.parametrize(
    ("prf_code", "integ_code"), [(4, 5), (8, 8)], ids=["AES-XCBC-96", "AES-CMAC-96"]
)
def test_the_96_bit_forms_are_the_first_octets_of_the_whole_code(
    prf_code: int, integ_code: int
) -> None:
    """RFC 3566 §4 and RFC 4494 §2: the vectors of RFC 4434 and RFC 4615 with 16-octet keys."""
    for param in cases("macs", kind="prf", code=prf_code):
        case = param.values[0]
        if len(case["key"]) == 16:
            icv = integrity(integ_code).compute(case["key"], case["data"])
            assert icv == case["output"][:12]
