// SPDX-License-Identifier: Apache-2.0
//! The outer header of tunnel mode (RFC 4302 §3.1.2, RFC 4301 §5.1.2).

use std::net::IpAddr;

use super::{AH, ipv4, ipv6};

const HOP_LIMIT: u8 = 64;
const DONT_FRAGMENT: u8 = 0x40;
const IPV4_OCTETS: usize = 20;

/// Returns how long a header between these addresses is.
pub(super) const fn octets(local: IpAddr) -> usize {
    if local.is_ipv4() { IPV4_OCTETS } else { ipv6::HEADER }
}

/// Writes it to the beginning of `buffer`, without its length. `None` is that there is no room, or
/// that the addresses are of two families.
pub(super) fn write((local, peer): (IpAddr, IpAddr), class: u8, buffer: &mut [u8]) -> Option<()> {
    match (local, peer) {
        (IpAddr::V4(local), IpAddr::V4(peer)) => {
            let header: &mut [u8; IPV4_OCTETS] = buffer.first_chunk_mut()?;
            *header = [0; IPV4_OCTETS];
            (header[0], header[1], header[6]) = (0x45, class, DONT_FRAGMENT);
            (header[8], header[ipv4::PROTOCOL_AT]) = (HOP_LIMIT, AH);
            header[12..16].copy_from_slice(&local.octets());
            header[16..].copy_from_slice(&peer.octets());
        }
        (IpAddr::V6(local), IpAddr::V6(peer)) => {
            let header: &mut [u8; ipv6::HEADER] = buffer.first_chunk_mut()?;
            header[..8].copy_from_slice(&[
                0x60 | class >> 4,
                class << 4,
                0,
                0,
                0,
                0,
                AH,
                HOP_LIMIT,
            ]);
            header[8..24].copy_from_slice(&local.octets());
            header[24..].copy_from_slice(&peer.octets());
        }
        _ => return None,
    }
    Some(())
}
