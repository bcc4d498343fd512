// SPDX-License-Identifier: Apache-2.0
//! Where the headers of a TCP or UDP packet are, and the fields that cutting and joining change.

use ikeway_esp::inner_length;

use super::checksum::{finish, fold, pseudo, sum};

const IPV6_HEADER: usize = 40;
const IPV4_HEADER: usize = 20;

pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
const TCP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;

/// The headers of a packet, which are whole: IP without extension headers, then TCP or UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Layout {
    pub(crate) is_ipv6: bool,
    pub(crate) protocol: u8,
    /// Octets of the IP header.
    pub(crate) network: usize,
    /// Octets of all headers.
    pub(crate) headers: usize,
}

impl Layout {
    /// Returns the layout of a packet that fills `packet`, unless it is a fragment or of another
    /// kind.
    pub(crate) fn of(packet: &[u8]) -> Option<Self> {
        if inner_length(packet) != Ok(packet.len()) {
            return None;
        }
        let is_ipv6 = packet.first()? >> 4 == 6;
        let (network, protocol) = if is_ipv6 {
            (IPV6_HEADER, *packet.get(6)?)
        } else {
            // More fragments, or not the first.
            let is_fragment = u16::from_be_bytes(octets(packet, 6)?) & 0x3fff != 0;
            (!is_fragment).then_some((usize::from(packet.first()? & 0x0f) * 4, *packet.get(9)?))?
        };
        let transport = match protocol {
            TCP => usize::from(packet.get(network + 12)? >> 4) * 4,
            UDP => UDP_HEADER,
            _ => return None,
        };
        let headers = network + transport;
        let is_whole = headers <= packet.len() && (protocol != TCP || transport >= TCP_HEADER);
        is_whole.then_some(Self { is_ipv6, protocol, network, headers })
    }

    /// Whether the IP header is as short as it can be, so that it has no options.
    pub(crate) const fn has_plain_header(&self) -> bool {
        self.is_ipv6 || self.network == IPV4_HEADER
    }

    /// Returns where the checksum of TCP or UDP stands, from the start of that header.
    pub(crate) const fn checksum_offset(&self) -> usize {
        if self.protocol == TCP { 16 } else { 6 }
    }

    /// Whether the checksum of TCP or UDP is right.
    pub(crate) fn is_intact(&self, packet: &[u8]) -> bool {
        let Some(upper) = packet.get(self.network..) else { return false };
        self.pseudo(packet, upper.len())
            .is_some_and(|pseudo| fold(pseudo + sum(upper)) == [0xff; 2])
    }

    /// Sets the length fields of IP and UDP to those of a packet of `length` octets, and IPv4's
    /// checksum.
    pub(crate) fn set_length(&self, packet: &mut [u8], length: usize) -> Option<()> {
        if self.is_ipv6 {
            put(packet, 4, number(length.checked_sub(IPV6_HEADER)?)?)?;
        } else {
            put(packet, 2, number(length)?)?;
            put(packet, 10, [0; 2])?;
            let checksum = finish(sum(packet.get(..self.network)?));
            put(packet, 10, checksum)?;
        }
        if self.protocol == UDP {
            put(packet, self.network + 4, number(length.checked_sub(self.network)?)?)?;
        }
        Some(())
    }

    /// Sets the checksum of TCP or UDP of a packet whose other fields are final.
    pub(crate) fn set_checksum(&self, packet: &mut [u8]) -> Option<()> {
        let place = self.network + self.checksum_offset();
        put(packet, place, [0; 2])?;
        let upper = packet.get(self.network..)?;
        let checksum = finish(self.pseudo(packet, upper.len())? + sum(upper));
        // UDP says "none" with zero, so it writes a zero as minus zero (RFC 768).
        let is_none = self.protocol == UDP && checksum == [0; 2];
        put(packet, place, if is_none { [0xff; 2] } else { checksum })
    }

    /// Sets the checksum to the sum of the pseudo header, for the kernel to add the rest.
    pub(crate) fn set_partial_checksum(&self, packet: &mut [u8], length: usize) -> Option<()> {
        let sum = self.pseudo(packet, length.checked_sub(self.network)?)?;
        put(packet, self.network + self.checksum_offset(), fold(sum))
    }

    fn pseudo(&self, packet: &[u8], upper: usize) -> Option<u64> {
        let addresses = if self.is_ipv6 { 8..IPV6_HEADER } else { 12..IPV4_HEADER };
        Some(pseudo(packet.get(addresses)?, self.protocol, upper))
    }
}

/// Returns octets at a place of a packet.
pub(crate) fn octets<const N: usize>(packet: &[u8], place: usize) -> Option<[u8; N]> {
    packet.get(place..)?.first_chunk().copied()
}

/// Writes octets to a place of a packet.
pub(crate) fn put<const N: usize>(packet: &mut [u8], place: usize, value: [u8; N]) -> Option<()> {
    *packet.get_mut(place..)?.first_chunk_mut()? = value;
    Some(())
}

fn number(length: usize) -> Option<[u8; 2]> {
    u16::try_from(length).ok().map(u16::to_be_bytes)
}
