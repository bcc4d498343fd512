// SPDX-License-Identifier: Apache-2.0
//! The raw sockets of a listening address, for ESP that is in no UDP, IP protocol 50 (RFC 4303 §2), and
//! for AH, which never is: 51 (RFC 4302 §2).

use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, bind, ipproto, socket_with};

use super::mtu::bind_together;
use super::socket::{ESP_BUFFER, mark, prepare, tell_extensions, writes_headers};
use super::steering;

/// What the routing rules of a tunnel let pass around it, as they do port 4500.
pub(super) const OUTER_MARK: u32 = 4500;

/// The port of an address that has none.
pub(crate) const NO_PORT: u16 = 0;

/// What a raw socket carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bare {
    Esp,
    Ah,
}

impl Bare {
    /// Returns how many octets stand before the SPI.
    const fn spi_at(self) -> u32 {
        match self {
            Self::Esp => 0,
            Self::Ah => 4,
        }
    }
}

/// Whether what goes there, or comes from there, is in no UDP.
pub(crate) const fn is_bare(address: SocketAddr) -> bool {
    address.port() == NO_PORT
}

/// Returns sockets that hear the protocol at this address, each what is of its queue; none where this
/// process has no right to any.
pub(crate) fn open(ip: IpAddr, what: Bare, queues: NonZeroU32) -> Result<Vec<OwnedFd>, Errno> {
    let mut sockets = Vec::new();
    for queue in 0..queues.get() {
        match open_one(ip, what) {
            Ok(socket) => {
                // Each would get every packet.
                if queues.get() > 1 {
                    steering::keep_own(&socket, ip.is_ipv4(), what.spi_at(), queue, queues)?;
                }
                sockets.push(socket);
            }
            Err(Errno::PERM | Errno::ACCESS | Errno::PROTONOSUPPORT) => return Ok(Vec::new()),
            Err(errno) => return Err(errno),
        }
    }
    Ok(sockets)
}

/// Returns one that hears all packets.
pub(super) fn open_one(ip: IpAddr, what: Bare) -> Result<OwnedFd, Errno> {
    let family = if ip.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let protocol: Option<Protocol> = Some(match what {
        Bare::Esp => ipproto::ESP,
        Bare::Ah => ipproto::AH,
    });
    let socket = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
    let address = SocketAddr::new(ip, NO_PORT);
    bind(&socket, &address)?;
    prepare(&socket, address, ESP_BUFFER)?;
    mark(&socket, OUTER_MARK)?;
    bind_together(&socket, ip)?;
    if what == Bare::Ah {
        // AH protects the header before it, so it is the engine that writes it.
        writes_headers(&socket, ip.is_ipv4())?;
        if ip.is_ipv6() {
            tell_extensions(&socket)?;
        }
    }
    Ok(socket)
}
