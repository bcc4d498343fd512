# SPDX-License-Identifier: Apache-2.0
"""RFC 7296 §2.6: the short way says what the long one does, and takes nothing else."""

import pytest

from ikeway.ike import besieged
from ikeway.wire.message import Flags, Header, Message
from ikeway.wire.payloads import Notify
from ikeway.wire.registry import ExchangeType, NotifyType, PayloadType
from support.forge import first_message, with_header
from support.hosts import GCM

MESSAGE = first_message(GCM.psk())


def test_the_answer_is_the_one_that_the_codec_makes() -> None:
    cookie = bytes(range(22))
    answer = besieged.ask(MESSAGE.encode(), cookie)
    made = Message.decode(answer)
    assert made.payloads == (Notify(NotifyType.COOKIE, cookie),)
    assert made.header == Header(
        MESSAGE.header.spi_i,
        bytes(8),
        PayloadType.NOTIFY,
        2,
        0,
        ExchangeType.IKE_SA_INIT,
        Flags.RESPONSE,
        0,
    )
    assert made.encode() == answer


def test_a_first_request_takes_the_short_way() -> None:
    assert besieged.is_first(MESSAGE.encode())


@pytest.mark.parametrize(
    "other",
    [
        b"",
        bytes(28),
        MESSAGE.encode()[:-1],
        MESSAGE.encode() + b"\0",
        with_header(MESSAGE, spi_i=bytes(8)).encode(),
        with_header(MESSAGE, spi_r=b"8 octets").encode(),
        with_header(MESSAGE, message_id=1).encode(),
        with_header(MESSAGE, flags=Flags.RESPONSE).encode(),
        with_header(MESSAGE, exchange=ExchangeType.IKE_AUTH).encode(),
    ],
)
def test_all_else_takes_the_long_way(other: bytes) -> None:
    assert not besieged.is_first(other)
