// SPDX-License-Identifier: Apache-2.0
//! Hears what routers say of our packets, on raw sockets of ICMP, off the way of packets.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, ipproto, recv, socket_with};

use super::BLIND_MTU;
use super::claim::Claim;
use crate::bell::Bell;
use crate::lanes::Lanes;
use crate::udp::outcome;
use crate::wiring::Wiring;

/// Claims that are looked into in a while: whoever sends more is no router on our path.
const PER_WHILE: u32 = 32;
const WHILE: Duration = Duration::from_secs(1);
/// As much of a message as is looked at.
const OCTETS: usize = 1024;

const SOL_RAW: i32 = 255;
const ICMP_FILTER: i32 = 1;
const ICMPV6_FILTER: i32 = 1;
const UNREACHABLE: u32 = 3;
const TOO_BIG: u32 = 2;

/// The sockets, as far as this process may have them: of IPv4 and of IPv6.
pub(crate) struct Ears {
    sockets: Vec<(OwnedFd, Read)>,
    bell: Bell,
}

type Read = fn(&[u8], u16) -> Option<Claim>;

/// Returns ears that hear what concerns paths, and `bell` to stop by; deaf ones where this process has
/// no right to any.
pub(crate) fn listen(bell: Bell) -> Ears {
    let families: [(Option<OwnedFd>, Read); 2] =
        [(open_ipv4().ok(), Claim::of_ipv4), (open_ipv6().ok(), Claim::of_ipv6)];
    let sockets = families.into_iter().filter_map(|(socket, read)| Some((socket?, read)));
    Ears { sockets: sockets.collect(), bell }
}

impl Ears {
    /// Calls `take` with each claim about packets from our port, until the engine stops.
    pub(crate) fn run(&self, wiring: &Wiring, port: u16, take: impl Fn(Claim)) {
        let mut ready = vec![PollFd::new(&self.bell, PollFlags::IN)];
        ready.extend(self.sockets.iter().map(|(socket, _)| PollFd::new(socket, PollFlags::IN)));
        let mut octets = [0; OCTETS];
        let (mut began, mut taken) = (Instant::now(), 0);
        wiring.repeat(|| {
            // An interrupted wait is a short wait.
            let _ = poll(&mut ready, None);
            for (socket, read) in &self.sockets {
                while let Ok((length, _)) = recv(socket, &mut octets[..], RecvFlags::DONTWAIT) {
                    if began.elapsed() >= WHILE {
                        (began, taken) = (Instant::now(), 0);
                    }
                    let message = octets.get(..length).unwrap_or_default();
                    if taken < PER_WHILE
                        && let Some(claim) = read(message, port)
                    {
                        taken += 1;
                        take(claim);
                    }
                }
            }
        });
    }
}

fn open_ipv4() -> Result<OwnedFd, Errno> {
    let socket = raw(AddressFamily::INET, ipproto::ICMP)?;
    filter(&socket, SOL_RAW, ICMP_FILTER, &!(1_u32 << UNREACHABLE))?;
    Ok(socket)
}

fn open_ipv6() -> Result<OwnedFd, Errno> {
    let socket = raw(AddressFamily::INET6, ipproto::ICMPV6)?;
    let mut blocked = [u32::MAX; 8];
    blocked[0] = !(1 << TOO_BIG);
    filter(&socket, libc::IPPROTO_ICMPV6, ICMPV6_FILTER, &blocked)?;
    Ok(socket)
}

fn raw(family: AddressFamily, protocol: rustix::net::Protocol) -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(family, SocketType::RAW, flags, Some(protocol))
}

/// Leaves out the types of messages whose bits are set.
fn filter<T>(socket: impl AsFd, level: i32, option: i32, blocked: &T) -> Result<(), Errno> {
    let size = libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0);
    let value = std::ptr::from_ref(blocked).cast();
    // SAFETY: `blocked` lives through the call, and `size` is its size.
    outcome(unsafe { libc::setsockopt(socket.as_fd().as_raw_fd(), level, option, value, size) })
}

impl Claim {
    /// Learns what a router says of a path, if that is one of ours.
    ///
    /// Who does not show the SPI of a packet may never have seen one: it is believed only as far as no
    /// path is narrower, as a rule.
    pub(crate) fn check(self, lanes: &Lanes, wiring: &Wiring) {
        let (paths, reporter) = (Arc::clone(&wiring.paths), wiring.reporter.clone());
        let mtu = if self.spi.is_some() { self.mtu } else { self.mtu.max(BLIND_MTU) };
        lanes.post_to_sender(move |table| {
            if table.sends_to(self.peer, self.spi) {
                paths.hear(self.peer, mtu, &reporter);
            }
        });
    }
}
