// SPDX-License-Identifier: Apache-2.0
//! Who decides how long a packet may be: never the kernel, by what it has heard, but its interface
//! (RFC 4301 §8.2.1).

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, socket_with};

use super::bare::OUTER_MARK;
use super::socket::{mark, outcome, set_option};

/// Where any port does: nothing is sent.
const DISCARD: u16 = 9;

/// Has a socket send with DF as much as its interface takes.
pub(super) fn bind_together(socket: impl AsFd, ip: IpAddr) -> Result<(), Errno> {
    if ip.is_ipv4() {
        set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_PROBE)
    } else {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_PROBE)
    }
}

/// Has routers fragment what a socket sends.
pub(super) fn let_fragment(socket: impl AsFd, ip: IpAddr) -> Result<(), Errno> {
    if ip.is_ipv4() {
        set_option(socket, libc::IPPROTO_IP, libc::IP_MTU_DISCOVER, libc::IP_PMTUDISC_DONT)
    } else {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_MTU_DISCOVER, libc::IPV6_PMTUDISC_DONT)
    }
}

/// Returns what the way to a peer carries as far as this host knows, after its interface refused a
/// packet.
pub(crate) fn known_mtu(peer: IpAddr) -> Option<u16> {
    let family = if peer.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None).ok()?;
    // As packets of ESP, around the tunnel.
    mark(&socket, OUTER_MARK).ok()?;
    connect(&socket, &SocketAddr::new(peer, DISCARD)).ok()?;
    let mtu = if peer.is_ipv4() {
        number(&socket, libc::IPPROTO_IP, libc::IP_MTU)
    } else {
        number(&socket, libc::IPPROTO_IPV6, libc::IPV6_MTU)
    };
    u16::try_from(mtu.ok()?).ok()
}

fn number(socket: &OwnedFd, level: i32, name: i32) -> Result<i32, Errno> {
    let mut value = 0_i32;
    let mut size = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(0);
    let (place, length) = ((&raw mut value).cast(), &raw mut size);
    // SAFETY: `value` and `size`, which is its size, live through the call.
    outcome(unsafe { libc::getsockopt(socket.as_raw_fd(), level, name, place, length) })?;
    Ok(value)
}
