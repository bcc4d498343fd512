# SPDX-License-Identifier: Apache-2.0
"""Null authentication with Libreswan, which has it too (RFC 7619)."""

from pathlib import Path

import pytest

from ikeway.model.identity import ANONYMOUS
from support.inguest import Meeting
from support.libreswan import Libreswan
from support.link import FIRST, OURS_NETWORKS, SECOND
from support.pair import INITIATOR, RESPONDER

pytestmark = [pytest.mark.interop, pytest.mark.system, pytest.mark.xdist_group("guest")]

CONF = """\
config setup
\tlogfile=/out/pluto.log
\tlogtime=yes
\tuniqueids=no
\tdnssec-enable=no
conn lab
\tleft={left}
\tright={right}
\tleftid=%null
\trightid=%null
\tleftauth=null
\trightauth=null
\tikev2=insist
\tike=aes_gcm256-sha2_256-dh31
\tesp=aes_gcm256
\ttype=tunnel
\trightsubnet={ours}
\tauto=add
"""


@pytest.mark.parametrize("role", [INITIATOR, RESPONDER])
def test_two_that_prove_nothing_have_a_tunnel(meet: Meeting, tmp_path: Path) -> None:
    """§2.1: each AUTH is of the sender's own SK_p; both IDs are ID_NULL and empty."""
    conf = tmp_path / "ipsec.conf"
    ours = OURS_NETWORKS[4]
    conf.write_text(CONF.format(left=SECOND[4], right=FIRST[4], ours=ours))
    anybody = {
        "local_auth": "null",
        "peer_auth": ["null"],
        "peer_id": "*",
        "local_ts": [ours],
        "peer_ts": ["dynamic"],
    }
    pair = meet(Libreswan, ikeway=anybody, peer={"conf": str(conf)})
    pair.connect()
    (sa,) = pair.ikeway.established()
    assert sa.peer.id == str(ANONYMOUS)
    assert len(sa.weak) == 2
    assert "using authby=null and ID_NULL" in pair.peer.log()
