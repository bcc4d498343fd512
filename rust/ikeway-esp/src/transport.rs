// SPDX-License-Identifier: Apache-2.0
//! Transport mode in UDP: what stands in for the inner IP header, and the checksums that NATs broke
//! (RFC 4303 §3.1.1, RFC 3948 §3.1.2).

use std::net::IpAddr;

use crate::error::{InstallError, Refusal};
use crate::selector::Policy;

const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;
/// The hosts are neighbours as far as they know.
const HOP_LIMIT: u8 = 64;
const DONT_FRAGMENT: u8 = 0x40;

const HOP_BY_HOP: u8 = 0;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const ICMPV6: u8 = 58;

/// The two hosts of a pair in transport mode, as this one sees them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hosts {
    local: IpAddr,
    peer: IpAddr,
    original: Option<(IpAddr, IpAddr)>,
}

impl Hosts {
    /// Returns the hosts of a pair.
    ///
    /// `original` is what the peer has as our address and as its own, if a NAT changes any: the
    /// checksums of its packets are made with them.
    ///
    /// # Errors
    /// [`InstallError::NotTheHosts`] if an address is of another family or the selectors name
    /// others: whoever may send for others needs a tunnel.
    pub fn new(
        (local, peer): (IpAddr, IpAddr),
        original: Option<(IpAddr, IpAddr)>,
        policy: &Policy,
    ) -> Result<Self, InstallError> {
        let is_ipv4 = local.is_ipv4();
        let originals = original.map_or([local, peer], |(local, peer)| [local, peer]);
        let is_one_family = [peer].iter().chain(&originals).all(|ip| ip.is_ipv4() == is_ipv4);
        if is_one_family && policy.is_between(local, peer) {
            Ok(Self { local, peer, original })
        } else {
            Err(InstallError::NotTheHosts { local, peer })
        }
    }

    /// Returns the next header and the payload that ESP carries of a packet from here.
    ///
    /// # Errors
    /// [`Refusal::Fragment`] if it is one (RFC 4303 §3.3.4), or has headers that only the way reads:
    /// they cannot stand before a UDP header that the host writes. [`Refusal::Malformed`] if its
    /// header is not whole.
    pub(crate) fn unwrap(packet: &[u8]) -> Result<(u8, &[u8]), Refusal> {
        match packet.first().map(|first| first >> 4) {
            Some(4) => unwrap_ipv4(packet),
            Some(6) => unwrap_ipv6(packet),
            _ => None,
        }
        .ok_or(Refusal::Malformed)?
    }

    /// Puts the packet that the peer sent at the end of `buffer`, with an IP header made anew.
    ///
    /// `class` is the octet of the outer header that holds differentiated services and ECN.
    ///
    /// # Errors
    /// [`Refusal::TooLong`] if no IP packet has so much payload.
    pub(crate) fn rebuild(
        &self,
        next: u8,
        payload: &[u8],
        class: u8,
        buffer: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        let start = buffer.len();
        self.push_header(next, payload.len(), class, buffer).ok_or(Refusal::TooLong)?;
        let payload_at = buffer.len();
        buffer.extend_from_slice(payload);
        if let (Some((local, peer)), Some(upper)) = (self.original, buffer.get_mut(payload_at..)) {
            let before = sum(local) + sum(peer);
            let after = sum(self.local) + sum(self.peer);
            amend(next, upper, before, after);
        }
        debug_assert!(buffer.len() > start);
        Ok(())
    }

    fn push_header(&self, next: u8, payload: usize, class: u8, buffer: &mut Vec<u8>) -> Option<()> {
        match (self.peer, self.local) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let length = u16::try_from(IPV4_HEADER + payload).ok()?.to_be_bytes();
                let mut header = [0; IPV4_HEADER];
                header[..4].copy_from_slice(&[0x45, class, length[0], length[1]]);
                header[6] = DONT_FRAGMENT;
                header[8..10].copy_from_slice(&[HOP_LIMIT, next]);
                header[12..16].copy_from_slice(&source.octets());
                header[16..].copy_from_slice(&destination.octets());
                let checksum = !fold(sum_octets(&header));
                header[10..12].copy_from_slice(&checksum.to_be_bytes());
                buffer.extend_from_slice(&header);
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                let length = u16::try_from(payload).ok()?.to_be_bytes();
                buffer.extend_from_slice(&[0x60 | class >> 4, class << 4, 0, 0]);
                buffer.extend_from_slice(&[length[0], length[1], next, HOP_LIMIT]);
                buffer.extend_from_slice(&source.octets());
                buffer.extend_from_slice(&destination.octets());
            }
            // `new` has seen to it.
            _ => return None,
        }
        Some(())
    }
}

type Unwrapped<'packet> = Result<(u8, &'packet [u8]), Refusal>;

fn unwrap_ipv4(packet: &[u8]) -> Option<Unwrapped<'_>> {
    let header = usize::from(packet.first()? & 0x0f) * 4;
    let fragment: [u8; 2] = *packet.get(6..)?.first_chunk()?;
    if u16::from_be_bytes(fragment) & 0x3fff != 0 {
        return Some(Err(Refusal::Fragment));
    }
    let length: [u8; 2] = *packet.get(2..)?.first_chunk()?;
    let end = usize::from(u16::from_be_bytes(length));
    let payload = packet.get(header.max(IPV4_HEADER)..end)?;
    Some(Ok((*packet.get(9)?, payload)))
}

fn unwrap_ipv6(packet: &[u8]) -> Option<Unwrapped<'_>> {
    let next = *packet.get(6)?;
    if matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT) {
        return Some(Err(Refusal::Fragment));
    }
    let length: [u8; 2] = *packet.get(4..)?.first_chunk()?;
    let end = IPV6_HEADER + usize::from(u16::from_be_bytes(length));
    Some(Ok((next, packet.get(IPV6_HEADER..end)?)))
}

/// Amends a checksum whose pseudo header had other addresses (RFC 1624 equation 3). What else is
/// wrong with it stays wrong, so that the host still sees it.
fn amend(protocol: u8, upper: &mut [u8], before: u32, after: u32) {
    let place = match protocol {
        TCP => 16,
        UDP => 6,
        ICMPV6 => 2,
        _ => return,
    };
    let Some(field) = upper.get_mut(place..).and_then(<[u8]>::first_chunk_mut::<2>) else {
        return;
    };
    let seen = u16::from_be_bytes(*field);
    // UDP says "none" with zero (RFC 768).
    if protocol == UDP && seen == 0 {
        return;
    }
    let sum = u32::from(!seen) + u32::from(!fold(before)) + u32::from(fold(after));
    let amended = !fold(sum);
    let is_none = protocol == UDP && amended == 0;
    *field = if is_none { [0xff; 2] } else { amended.to_be_bytes() };
}

fn sum(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(address) => sum_octets(&address.octets()),
        IpAddr::V6(address) => sum_octets(&address.octets()),
    }
}

pub(crate) fn sum_octets(octets: &[u8]) -> u32 {
    let (pairs, _) = octets.as_chunks::<2>();
    pairs.iter().map(|pair| u32::from(u16::from_be_bytes(*pair))).sum()
}

pub(crate) fn fold(sum: u32) -> u16 {
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    u16::try_from(folded).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
