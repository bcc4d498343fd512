# SPDX-License-Identifier: Apache-2.0
"""The keys of policies, which stand before all connections (RFC 4301 §4.4.1)."""

from typing import Annotated

from ikeway.config.parsed import choice, written
from ikeway.config.terms import Selector, Table
from ikeway.model.policies import Action

_EVERYTHING = ["0.0.0.0/0", "::/0"]


class PolicyTable(Table):
    """`[policies.NAME]`: what may go around connections, nowhere, or through them only.

    Policies are asked before connections, in the order of the file; the first that fits decides.
    """

    action: Annotated[Action, choice(Action)]
    """`bypass`: in clear, by the host's own routes; `discard`: nowhere; `protect`: through a Child
    SA, and never in clear, also while there is none."""

    local_ts: list[Selector] = written(_EVERYTHING, min_length=1)
    """Our side of the traffic, written as in connections: `10.1.0.0/16[tcp/25]`. By default
    everything."""

    peer_ts: list[Selector] = written(_EVERYTHING, min_length=1)
    """The other side. By default everything."""
