# SPDX-License-Identifier: Apache-2.0
"""The page of layouts says what the codec does."""

from ikeway.wire.layout import page
from ikeway.wire.payloads import PAYLOADS


def test_the_page_has_every_payload_with_its_type() -> None:
    text = page()
    for body in PAYLOADS:
        assert f"\n## {int(body.payload_type)} {body.__name__}\n" in text


def test_a_payload_is_shown_field_by_field() -> None:
    rows = page().partition("## 41 Notify\n")[2].partition("\n## ")[0].splitlines()[5:]
    assert rows == [
        "| protocol | 1 | IKEv2 Security Protocol Identifiers |",
        "| size of spi | 1 | number |",
        "| type | 2 | IKEv2 Notify Message Error Types and Status Types |",
        "| spi | as told before | octets |",
        "| data | to the end | octets |",
    ]
