// SPDX-License-Identifier: Apache-2.0
//! The sockets of a listening address: one for the IKE of each worker, which the daemon gets, and
//! those for the ESP of each queue, in UDP and bare, which stay here.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use super::bare::Bare;
use super::free::Free;
use super::mtu::bind_together;
use super::{bare, steering};
use crate::error::{Attempt, EngineError};
use crate::without::{Technique, Without};

/// As much as a burst brings while the other end of the machine is busy.
pub(super) const ESP_BUFFER: usize = 8 << 20;
const IKE_BUFFER: usize = 1 << 20;

/// What listens at one address.
pub(crate) struct Listening {
    pub(crate) address: SocketAddr,
    pub(crate) ike: Vec<OwnedFd>,
    pub(crate) esp: Vec<OwnedFd>,
    /// For ESP in no UDP. Of several that cover an address each would get a packet, so addresses
    /// beside their family's wildcard have none.
    pub(crate) bare: Vec<OwnedFd>,
    /// For AH, alike.
    pub(crate) ah: Vec<OwnedFd>,
    pub(crate) free: Free,
}

/// How a port is shared by the sockets that listen there.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    pub(crate) port: u16,
    /// How many sockets for IKE each address has, and for ESP.
    pub(crate) workers: u32,
    pub(crate) queues: NonZeroU32,
    /// Whether the daemon has those for IKE and their steering, from an engine that is gone.
    pub(crate) is_joined: bool,
    pub(crate) without: Without,
}

/// Binds the sockets of an address: those of the workers in their order, then those of the queues.
pub(crate) fn listen(ip: IpAddr, share: Share, is_covered: bool) -> Result<Listening, EngineError> {
    let Share { port, workers, queues, is_joined, without } = share;
    let address = SocketAddr::new(ip, port);
    let what = || format!("UDP port {port} of {ip}");
    if !is_joined {
        // A socket that shares its port joins whoever shares it already, and the steering counts
        // its members.
        bound(address, false).attempt(what)?;
    }
    let group = |count| (0..count).map(|_| bound(address, true)).collect::<Result<Vec<_>, _>>();
    let ike = group(if is_joined { 0 } else { workers }).attempt(what)?;
    let esp = group(queues.get()).attempt(what)?;
    if !is_joined {
        steering::attach(&esp, workers).attempt(|| format!("steering of {}", what()))?;
    }
    for socket in &ike {
        prepare(socket, address, IKE_BUFFER).attempt(what)?;
    }
    for socket in ike.iter().chain(&esp) {
        // On both: the kernel asks either of them whether it may receive several datagrams as one.
        let joins = i32::from(!without.has(Technique::Gro));
        set_option(socket, libc::SOL_UDP, libc::UDP_GRO, joins).attempt(what)?;
    }
    for socket in &esp {
        prepare(socket, address, ESP_BUFFER).attempt(what)?;
        bind_together(socket, ip).attempt(what)?;
    }
    let raw = |what| if is_covered { Ok(Vec::new()) } else { bare::open(ip, what, queues) };
    let bare = raw(Bare::Esp).attempt(|| format!("IP protocol 50 of {ip}"))?;
    let ah = raw(Bare::Ah).attempt(|| format!("IP protocol 51 of {ip}"))?;
    let free = bound(address, true).attempt(what)?;
    prepare(&free, address, ESP_BUFFER).attempt(what)?;
    let free = Free::open(free, ip, !bare.is_empty()).attempt(what)?;
    Ok(Listening { address, ike, esp, bare, ah, free })
}

fn bound(address: SocketAddr, is_shared: bool) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, true)?;
    }
    if is_shared {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    bind(&socket, &address)?;
    Ok(socket)
}

pub(super) fn prepare(socket: &OwnedFd, address: SocketAddr, buffer: usize) -> Result<(), Errno> {
    // Beyond the system's limit only a privileged process may go; what it gets must do.
    if sockopt::set_socket_recv_buffer_size_force(socket, buffer).is_err() {
        sockopt::set_socket_recv_buffer_size(socket, buffer)?;
    }
    if sockopt::set_socket_send_buffer_size_force(socket, buffer).is_err() {
        sockopt::set_socket_send_buffer_size(socket, buffer)?;
    }
    if address.is_ipv4() {
        set_option(socket, libc::IPPROTO_IP, libc::IP_PKTINFO, 1)?;
        set_option(socket, libc::IPPROTO_IP, libc::IP_RECVTOS, 1)
    } else {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_RECVTCLASS, 1)
    }
}

/// Has the rules of routing see this mark on what the socket sends.
pub(super) fn mark(socket: impl AsFd, mark: u32) -> Result<(), Errno> {
    set_option(socket, libc::SOL_SOCKET, libc::SO_MARK, i32::try_from(mark).unwrap_or(0))
}

/// Has the socket take packets with their IP header, and send that as it is.
pub(super) fn writes_headers(socket: impl AsFd, is_ipv4: bool) -> Result<(), Errno> {
    if is_ipv4 {
        set_option(socket, libc::IPPROTO_IP, libc::IP_HDRINCL, 1)
    } else {
        set_option(socket, libc::IPPROTO_IPV6, libc::IPV6_HDRINCL, 1)
    }
}

/// Has a raw socket of IPv6 tell which extension headers stood before what it gives (RFC 3542 §4).
pub(super) fn tell_extensions(socket: impl AsFd) -> Result<(), Errno> {
    for name in [libc::IPV6_RECVHOPOPTS, libc::IPV6_RECVRTHDR, libc::IPV6_RECVDSTOPTS] {
        set_option(&socket, libc::IPPROTO_IPV6, name, 1)?;
    }
    Ok(())
}

pub(super) fn set_option(
    socket: impl AsFd,
    level: i32,
    name: i32,
    value: i32,
) -> Result<(), Errno> {
    let size = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(0);
    // SAFETY: `value` lives through the call, and `size` is its size.
    let result = unsafe {
        libc::setsockopt(socket.as_fd().as_raw_fd(), level, name, (&raw const value).cast(), size)
    };
    outcome(result)
}

/// Returns another descriptor of a socket that somebody else has.
pub(crate) fn duplicate(socket: RawFd) -> Result<OwnedFd, Errno> {
    // SAFETY: the call takes any number, and refuses those that are no descriptor.
    let made = unsafe { libc::fcntl(socket, libc::F_DUPFD_CLOEXEC, 0) };
    outcome(made)?;
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(made) })
}

/// Returns the error of a call that answers -1 for one.
pub(crate) fn outcome(result: libc::c_int) -> Result<(), Errno> {
    if result < 0 { Err(last_errno()) } else { Ok(()) }
}

/// Returns the error of the call that has just failed.
pub(crate) fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
