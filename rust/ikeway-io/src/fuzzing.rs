// SPDX-License-Identifier: Apache-2.0
//! What the engine makes of octets before it touches a socket or an interface; only for the fuzzer.

use std::cell::RefCell;
use std::io::IoSlice;
use std::net::IpAddr;

use ikeway_esp::Refusal;

pub use crate::control::fuzzing::read;
use crate::path_mtu::Claim;
use crate::tun::{Coalescer, HEADER_OCTETS, Handed, Sink};

/// Returns what a message of ICMP claims about a path: the peer, the MTU, and the SPI that it shows.
#[must_use]
pub fn claim(message: &[u8], is_ipv6: bool, port: u16) -> Option<(IpAddr, u16, Option<u32>)> {
    let read = if is_ipv6 { Claim::of_ipv6 } else { Claim::of_ipv4 };
    read(message, port).map(|claim| (claim.peer, claim.mtu, claim.spi))
}

/// Returns the packets that one read of the interface becomes.
///
/// # Errors
/// Why it is none.
pub fn cut(read: &mut [u8]) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut packets = Vec::new();
    Handed::read(read)?.each(|packet| {
        packets.push(packet.to_vec());
        Ok(())
    })?;
    Ok(packets)
}

/// Returns what is written to the interface for packets that came in together, each with its header.
#[must_use]
pub fn join(packets: &[Vec<u8>], joins_udp: bool) -> Vec<Vec<u8>> {
    let (mut buffer, written) = (packets.concat(), Written::default());
    let (mut coalescer, mut start) = (Coalescer::new(joins_udp), 0);
    for packet in packets {
        coalescer.push(&written, &mut buffer, start..start + packet.len());
        start += packet.len();
    }
    coalescer.flush(&written, &mut buffer);
    written.0.into_inner()
}

/// Returns the fragments of a packet, none longer than `most`.
///
/// # Errors
/// Why there are none.
pub fn fragment(packet: &[u8], most: usize) -> Result<Vec<Vec<u8>>, Refusal> {
    crate::tun::cut(packet, most)
}

/// Octets of the header that says how a packet is to be cut.
pub const OFFLOAD_OCTETS: usize = HEADER_OCTETS;

#[derive(Default)]
struct Written(RefCell<Vec<Vec<u8>>>);

impl Sink for Written {
    fn write(&self, parts: &[IoSlice<'_>]) {
        self.0.borrow_mut().push(parts.iter().flat_map(|part| part.to_vec()).collect());
    }
}
