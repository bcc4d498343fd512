// SPDX-License-Identifier: Apache-2.0
//! Where datagrams of IKE come in: many with one call, and those of a flood go no further.
//!
//! The daemon reads its sockets through this. While it asks everybody for a cookie (RFC 7296 §2.6),
//! first requests are answered here, with a tenth of the work that they are to an interpreter.

mod challenge;

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd, RawFd};

pub use challenge::Challenge;

use crate::error::{Attempt, EngineError};
use crate::udp::{self, Path, RunBatch, SendBatch};
use crate::without::Without;

/// Calls on one socket before others have their turn.
const CALLS: usize = 8;
/// The non-ESP marker (RFC 3948 §2.2).
const MARKER: [u8; 4] = [0; 4];

/// A datagram that is for the daemon.
pub struct Letter {
    /// What stands in it, marker and all.
    pub octets: Vec<u8>,
    /// Where it came from.
    pub peer: SocketAddr,
    /// Which of our addresses it was sent to, where the socket has more than one.
    pub destination: Option<IpAddr>,
}

/// What a look at a socket brought.
#[derive(Default)]
pub struct Taken {
    /// The datagrams that are for the daemon.
    pub letters: Vec<Letter>,
    /// How many first requests were asked for a cookie.
    pub asked: usize,
    /// Whether there may be more.
    pub is_more: bool,
}

/// A socket of the daemon, and the buffers of calls.
pub struct Door {
    socket: OwnedFd,
    local: SocketAddr,
    is_marked: bool,
    receiving: RunBatch,
    sending: SendBatch,
}

impl Door {
    /// Reads the socket with this descriptor, which stays the caller's. `is_marked` says that
    /// messages have a non-ESP marker before them.
    ///
    /// # Errors
    ///
    /// It is no socket of IPv4 or IPv6.
    pub fn new(socket: RawFd, is_marked: bool) -> Result<Self, EngineError> {
        let what = || format!("descriptor {socket}");
        let socket = udp::duplicate(socket).attempt(what)?;
        let name = rustix::net::getsockname(&socket).attempt(what)?;
        let local = SocketAddr::try_from(name).attempt(what)?;
        let (receiving, sending) = (RunBatch::new(), SendBatch::new(Without::default()));
        Ok(Self { socket, local, is_marked, receiving, sending })
    }

    /// Takes what has arrived, without waiting, and answers what the challenge is for.
    pub fn take(&mut self, challenge: Option<&Challenge>) -> Taken {
        let mut taken = Taken { is_more: true, ..Taken::default() };
        for _ in 0..CALLS {
            // An error is an ICMP message about something sent earlier: the next call goes on.
            taken.is_more = self.receiving.receive(&self.socket).unwrap_or(true);
            self.sort(challenge, &mut taken);
            if !taken.is_more {
                break;
            }
        }
        taken
    }

    fn sort(&mut self, challenge: Option<&Challenge>, taken: &mut Taken) {
        let (runs, buffer) = self.receiving.parts();
        for run in runs {
            let ip = run.destination.unwrap_or(self.local.ip());
            let local = SocketAddr::new(ip, self.local.port());
            let path = Path { socket: 0, local, peer: run.peer, class: 0 };
            for datagram in run.datagrams() {
                let octets = buffer.get(datagram).unwrap_or_default();
                let answered = challenge.and_then(|challenge| {
                    answer(challenge, octets, path, self.is_marked, &mut self.sending)
                });
                if answered.is_some() {
                    taken.asked += 1;
                } else {
                    let (octets, peer) = (octets.to_vec(), run.peer);
                    taken.letters.push(Letter { octets, peer, destination: run.destination });
                }
            }
        }
        // What cannot be sent is lost like any other answer.
        self.sending.flush(|_| Some(self.socket.as_fd()));
    }
}

/// Adds the answer to what is sent, if `octets` are a first request.
fn answer(
    challenge: &Challenge,
    octets: &[u8],
    path: Path,
    is_marked: bool,
    sending: &mut SendBatch,
) -> Option<()> {
    let marker = if is_marked { MARKER.as_slice() } else { &[] };
    let request = octets.strip_prefix(marker)?;
    let free = sending.free();
    let (before, out) = free.split_at_mut_checked(marker.len())?;
    let length = match path.peer.ip() {
        IpAddr::V4(ip) => challenge.answer(request, &ip.octets(), out),
        IpAddr::V6(ip) => challenge.answer(request, &ip.octets(), out),
    }?;
    before.copy_from_slice(marker);
    sending.push(path, marker.len() + length);
    Some(())
}
