# SPDX-License-Identifier: Apache-2.0
from support.ladder import psk_ladder

from ikeway.ike import reports


def test_two_hosts_with_a_shared_key_establish_an_ike_sa_with_one_child() -> None:
    """RFC 7296 §1.2: four messages set up the IKE SA and the first Child SA."""
    ladder = psk_ladder()
    ladder.connect()
    for event in ladder.left.events:
        print("L", event)
    for event in ladder.right.events:
        print("R", event)
    assert len(ladder.sent) == 4
    (left,), (right,) = ladder.left.installed.values(), ladder.right.installed.values()
    assert left.keys_in == right.keys_out
    assert left.keys_out == right.keys_in
    assert (left.spi_in, left.spi_out) == (right.spi_out, right.spi_in)
    assert left.local_ts == right.peer_ts
