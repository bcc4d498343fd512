// SPDX-License-Identifier: Apache-2.0
//! Sockets for what routers may fragment: whether they may is a matter of the socket, not of a
//! datagram (RFC 791 §3.1, RFC 4301 §8.1).

use std::net::IpAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;

use super::bare::Bare;
use super::mtu::let_fragment;
use super::{bare, steering};

/// Those of a listening address, one for all queues: in UDP, and bare if it has bare ones.
pub(crate) struct Free {
    pub(crate) esp: Vec<OwnedFd>,
    pub(crate) bare: Vec<OwnedFd>,
}

impl Free {
    /// Returns them; `esp` is bound already.
    pub(super) fn open(esp: OwnedFd, ip: IpAddr, has_bare: bool) -> Result<Self, Errno> {
        prepare(&esp, ip)?;
        let bare = if has_bare { vec![bare::open_one(ip, Bare::Esp)?] } else { Vec::new() };
        for socket in &bare {
            prepare(socket, ip)?;
        }
        Ok(Self { esp: vec![esp], bare })
    }
}

/// Has a socket send without DF, and hear nothing: what comes in is for its siblings.
///
/// It is the last of the group that shares the port, where the steering sends nothing; a raw one
/// would hear a copy of everything.
fn prepare(socket: &OwnedFd, ip: IpAddr) -> Result<(), Errno> {
    steering::deafen(socket)?;
    let_fragment(socket, ip)
}
