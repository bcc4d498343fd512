// SPDX-License-Identifier: Apache-2.0
//! Tells the sender of a packet that it is too long for the way to the peer: ICMP Fragmentation Needed
//! (RFC 1191 §4), Packet Too Big (RFC 4443 §3.2, RFC 4301 §8.2.1).

use super::checksum::{finish, pseudo, sum};
use super::header::HEADER_OCTETS;
use super::layout::put;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const HOP_LIMIT: u8 = 64;
/// Octets of the packet that come along: the message is no longer than 576 octets (RFC 1812
/// §4.3.2.3), or 1280 (RFC 4443 §2.4).
const SHOWN_IPV4: usize = 548;
const SHOWN_IPV6: usize = 1232;

/// Returns what to write to the interface, or `None` for a packet whose sender is not to be told: a
/// message of ICMP that is an error itself, or from nobody or many (RFC 1122 §3.2.2).
pub(crate) fn too_big(packet: &[u8], mtu: usize) -> Option<Vec<u8>> {
    match packet.first()? >> 4 {
        4 => of_ipv4(packet, mtu),
        6 => of_ipv6(packet, mtu),
        _ => None,
    }
}

fn of_ipv4(packet: &[u8], mtu: usize) -> Option<Vec<u8>> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let (source, destination) = (packet.get(12..16)?, packet.get(16..20)?);
    let is_first = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]) << 3 == 0;
    // Echo and the like are questions; all else is an error, or says nothing that matters.
    let is_error = *packet.get(9)? == ICMP && !matches!(packet.get(header)?, 0 | 8 | 13 | 14);
    let is_one = |address: &[u8]| matches!(address, [1..=223, ..]) && address != [255; 4];
    if !is_first || is_error || !is_one(source) || !is_one(destination) {
        return None;
    }
    let shown = packet.get(..packet.len().min(SHOWN_IPV4))?;
    let mtu = u16::try_from(mtu).unwrap_or(u16::MAX).to_be_bytes();
    let length = u16::try_from(20 + 8 + shown.len()).ok()?.to_be_bytes();
    let mut message = vec![0; HEADER_OCTETS];
    message.extend([0x45, 0xc0, length[0], length[1], 0, 0, 0, 0, HOP_LIMIT, ICMP, 0, 0]);
    // Routed back as the packet came: it is from where the packet was to go.
    message.extend(destination.iter().chain(source));
    let icmp = message.len();
    message.extend([3, 4, 0, 0, 0, 0, mtu[0], mtu[1]]);
    message.extend(shown);
    let checksum = finish(sum(message.get(HEADER_OCTETS..icmp)?));
    put(&mut message, HEADER_OCTETS + 10, checksum)?;
    let checksum = finish(sum(message.get(icmp..)?));
    put(&mut message, icmp + 2, checksum)?;
    Some(message)
}

fn of_ipv6(packet: &[u8], mtu: usize) -> Option<Vec<u8>> {
    let (source, destination) = (packet.get(8..24)?, packet.get(24..40)?);
    let is_error = *packet.get(6)? == ICMPV6 && *packet.get(40)? < 128;
    let is_one = |address: &[u8]| address.first() != Some(&0xff) && address != [0; 16];
    if is_error || !is_one(source) || !is_one(destination) {
        return None;
    }
    let shown = packet.get(..packet.len().min(SHOWN_IPV6))?;
    let length = 8 + shown.len();
    let mut message = vec![0; HEADER_OCTETS];
    message.extend([0x60, 0, 0, 0]);
    message.extend(u16::try_from(length).ok()?.to_be_bytes());
    message.extend([ICMPV6, HOP_LIMIT]);
    message.extend(destination.iter().chain(source));
    let icmp = message.len();
    message.extend([2, 0, 0, 0]);
    message.extend(u32::try_from(mtu).ok()?.to_be_bytes());
    message.extend(shown);
    let addresses = message.get(HEADER_OCTETS + 8..icmp)?;
    let checksum = finish(pseudo(addresses, ICMPV6, length) + sum(message.get(icmp..)?));
    put(&mut message, icmp + 2, checksum)?;
    Some(message)
}
