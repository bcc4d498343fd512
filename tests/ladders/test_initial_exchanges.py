# SPDX-License-Identifier: Apache-2.0
import pytest

from ikeway.crypto.keypair import KeyAlgorithm
from support.hosts import Row
from support.ladder import Ladder


def test_two_hosts_with_a_shared_key_establish_an_ike_sa_with_one_child(row: Row) -> None:
    """RFC 7296 §1.2: four messages set up the IKE SA and the first Child SA."""
    ladder = row.psk()
    ladder.connect()
    assert_up(ladder)


@pytest.mark.parametrize("key", list(KeyAlgorithm), ids=lambda key: key.value)
def test_two_hosts_with_certificates_establish_an_ike_sa_with_one_child(
    row: Row, key: KeyAlgorithm
) -> None:
    """RFC 7296 §1.2."""
    ladder = row.certificates(key=key)
    ladder.connect()
    assert_up(ladder)


def assert_up(ladder: Ladder) -> None:
    assert len(ladder.sent) == 4, ladder.left.events + ladder.right.events
    left, right = ladder.left.child, ladder.right.child
    assert (left.keys_in, left.keys_out) == (right.keys_out, right.keys_in)
    assert (left.spi_in, left.spi_out) == (right.spi_out, right.spi_in)
    assert (left.local_ts, left.peer_ts) == (right.peer_ts, right.local_ts)
    assert (left.suite, left.encapsulation) == (right.suite, right.encapsulation)
