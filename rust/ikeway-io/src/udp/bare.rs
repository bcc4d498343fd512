// SPDX-License-Identifier: Apache-2.0
//! The raw socket of a listening address, for ESP that is in no UDP: IP protocol 50 (RFC 4303 §2).

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, bind, ipproto, socket_with};

use super::socket::{ESP_BUFFER, mark, prepare};

/// What the routing rules of a tunnel let pass around it, as they do port 4500.
const OUTER_MARK: u32 = 4500;

/// The port of an address that has none.
pub(crate) const NO_PORT: u16 = 0;

/// Whether what goes there, or comes from there, is ESP in no UDP.
pub(crate) const fn is_bare(address: SocketAddr) -> bool {
    address.port() == NO_PORT
}

/// Returns a socket that hears the protocol at this address, or nothing where this process has no
/// right to one.
pub(crate) fn open(ip: IpAddr) -> Result<Option<OwnedFd>, Errno> {
    let family = if ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let protocol: Option<Protocol> = Some(ipproto::ESP);
    let socket = match socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, protocol) {
        Ok(socket) => socket,
        Err(Errno::PERM | Errno::ACCESS | Errno::PROTONOSUPPORT) => return Ok(None),
        Err(errno) => return Err(errno),
    };
    let address = SocketAddr::new(ip, NO_PORT);
    bind(&socket, &address)?;
    prepare(&socket, address, ESP_BUFFER)?;
    mark(&socket, OUTER_MARK)?;
    Ok(Some(socket))
}
