# SPDX-License-Identifier: Apache-2.0
"""The Linux kernel as data plane: its SAs and policies, asked for by netlink (RFC 4301 §4.4).

`messages` says how things are written, `algorithms` how the kernel calls ours, `flows` what one
policy is for, `policies` which SA sends what, `channel` asks the kernel and `told` understands what
it tells by itself. `plane` is the adapter.
"""

from ikeway.dataplane.xfrm.plane import XfrmDataPlane

__all__ = ["XfrmDataPlane"]
