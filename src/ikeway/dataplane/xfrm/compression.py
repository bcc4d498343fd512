# SPDX-License-Identifier: Apache-2.0
"""Compression by the kernel (IPComp, RFC 3173): SAs and templates inside of those of ESP.

What is compressed in tunnel mode has its outer header by then, so that ESP around it is in
transport mode. What does not get smaller comes in ESP alone: the kernel makes an IP-in-IP tunnel
for that beside the SA, and the template is optional for it.
"""

import struct
from dataclasses import replace
from ipaddress import ip_address
from typing import Final

from ikeway.dataplane.xfrm.messages import COMP, Attribute, Sa, Template, attribute
from ikeway.model.address import Endpoint
from ikeway.model.esp import ChildSa, Limits, Mode

_DEFLATE: Final = attribute(Attribute.ALG_COMP, struct.pack("=64sI", b"deflate", 0))

_UNASSIGNED: Final = 0xFFFF
"""For private use (RFC 3173 §3.3): nobody negotiates that index."""


def outer_mode(child: ChildSa) -> Mode:
    """Return the mode of ESP itself."""
    return child.mode if child.ipcomp is None else Mode.TRANSPORT


def compressing(child: ChildSa, reqid: int) -> tuple[tuple[Template, ...], tuple[Template, ...]]:
    """Return what policies want of what leaves and of what arrives, before or after ESP."""
    if child.ipcomp is None:
        return (), ()
    version, ends = child.peer.address.version, (child.local.address, child.peer.address)
    leaving = Template(version, child.mode, reqid, *ends, child.ipcomp.cpi_out, COMP)
    arriving = Template(version, child.mode, reqid, protocol=COMP, is_optional=True)
    return (leaving,), (arriving,)


def trial(if_id: int) -> Sa:
    """Return an SA that nobody's packets meet."""
    nowhere = Endpoint(ip_address("127.0.0.1"), 0)
    return Sa(
        spi=_UNASSIGNED,
        source=nowhere,
        target=nowhere,
        mode=Mode.TUNNEL,
        reqid=0,
        is_in_udp=False,
        has_esn=False,
        window=0,
        limits=Limits(),
        algorithms=_DEFLATE,
        if_id=if_id,
        protocol=COMP,
    )


def compressions(child: ChildSa, around: tuple[Sa, Sa]) -> tuple[Sa, ...]:
    """Return the SAs of compression, of what comes in and of what leaves, if there are any.

    They know addresses only, and have no keys, numbers or limits.
    """
    if child.ipcomp is None:
        return ()
    indices = child.ipcomp.cpi_in, child.ipcomp.cpi_out
    return tuple(
        replace(
            sa,
            spi=cpi,
            source=Endpoint(sa.source.address, 0),
            target=Endpoint(sa.target.address, 0),
            mode=child.mode,
            is_in_udp=False,
            has_esn=False,
            window=0,
            limits=Limits(),
            algorithms=_DEFLATE,
            protocol=COMP,
            pad_to=0,
        )
        for sa, cpi in zip(around, indices, strict=True)
    )
