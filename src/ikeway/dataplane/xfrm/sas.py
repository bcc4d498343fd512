# SPDX-License-Identifier: Apache-2.0
"""The two SAs of a pair as the kernel takes them."""

from dataclasses import replace
from typing import Final

from ikeway.dataplane.xfrm.algorithms import KernelSuite
from ikeway.dataplane.xfrm.compression import outer_mode
from ikeway.dataplane.xfrm.messages import AH, ESP, Sa
from ikeway.model.address import OUTER_MARK
from ikeway.model.errors import HostError
from ikeway.model.esp import ChildSa, Encapsulation, Mode
from ikeway.model.outer import DontFragment, OuterHeader

WINDOW_MOST: Final = 4096
_OUTBOUND_WINDOW: Final = 32
"""The kernel wants one where sequence numbers are extended, though it checks nothing there."""


def protocol_of(child: ChildSa) -> int:
    """Return the IP protocol of a pair's packets, where they are not in UDP."""
    return AH if child.suite.is_ah else ESP


def sas(child: ChildSa, reqid: int, if_id: int) -> tuple[Sa, Sa]:
    """Return the SA of what comes in, and that of what leaves.

    Raises:
        HostError: the kernel cannot do what the pair asks for.
    """
    if child.replay_window > WINDOW_MOST:
        raise HostError(f"the kernel's replay window is {WINDOW_MOST} packets at most")
    _check_shape(child)
    if child.traffic_flow.stream is not None:
        raise HostError("the kernel's ESP has no IP-TFS; the engine does")
    if child.traffic_flow.dummies is not None:
        raise HostError("the kernel sends no dummy packets; the engine does")
    if child.later_fragments and child.tells_ports_apart:
        raise HostError("the kernel does not follow fragments to their ports; the engine does")
    _check(child.outer)
    suite, is_in_udp = KernelSuite(child.suite), child.encapsulation is Encapsulation.UDP
    if child.suite.is_ah and is_in_udp:
        raise HostError("AH cannot go into UDP")
    inbound = Sa(
        spi=child.spi_in,
        source=child.peer,
        target=child.local,
        mode=outer_mode(child),
        reqid=reqid,
        is_in_udp=is_in_udp,
        has_esn=child.suite.esn,
        window=child.replay_window,
        limits=child.limits,
        algorithms=suite.attributes(child.keys_in),
        if_id=if_id,
        protocol=protocol_of(child),
    )
    outbound = replace(
        inbound,
        spi=child.spi_out,
        source=child.local,
        target=child.peer,
        window=_OUTBOUND_WINDOW,
        algorithms=suite.attributes(child.keys_out),
        mark=OUTER_MARK,
        pad_to=child.traffic_flow.pad_to,
        is_fragmentable=child.outer.df is DontFragment.CLEAR,
        hides_dscp=child.outer.dscp == 0,
    )
    return inbound, outbound


def _check_shape(child: ChildSa) -> None:
    """What transport mode sends would come back to the interface that it was routed into.

    ESP around what is compressed is in transport mode itself, and such SAs are of one IP version.
    """
    if child.mode is Mode.TRANSPORT:
        raise HostError("the kernel's interface carries tunnels only; the engine does both modes")
    version = child.peer.address.version
    selectors = *child.local_ts, *child.peer_ts
    if child.ipcomp is not None and any(ts.start.version != version for ts in selectors):
        raise HostError(
            f"the kernel compresses only IPv{version} in a tunnel over IPv{version}; the engine all"
        )


def _check(outer: OuterHeader) -> None:
    """The kernel copies both fields, or leaves them zero (xfrm4_mode_tunnel)."""
    if outer.dscp not in {None, 0}:
        raise HostError(f"the kernel copies the DSCP or hides it; it does not set {outer.dscp}")
    if outer.df is DontFragment.SET:
        raise HostError("the kernel copies DF or clears it; it does not set it")
    if outer.path_mtu:
        raise HostError(
            "the kernel learns the path's MTU; give its route to the peer an mtu instead"
        )
