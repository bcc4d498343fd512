# SPDX-License-Identifier: Apache-2.0
"""What hides the shape of traffic, as far as a peer takes it (RFC 7296 §1.3.1)."""

from ikeway.model.esp import Mode
from ikeway.model.traffic_flow import OPEN, TrafficFlow
from ikeway.policy.connection import ChildPolicy
from ikeway.wire.message import Message
from ikeway.wire.registry import NotifyType


def agreed(policy: ChildPolicy, mode: Mode, said: Message) -> TrafficFlow:
    """Return what is done to the packets that we send on a Child SA; `said` is the peer's message.

    One that does not take padding gets neither that nor dummies, which would be known by their
    length. In transport mode padding could not be told from payload.
    """
    takes_padding = said.notify(NotifyType.ESP_TFC_PADDING_NOT_SUPPORTED) is None
    return policy.traffic_flow if takes_padding and mode is Mode.TUNNEL else OPEN
