// SPDX-License-Identifier: Apache-2.0
//! What a fragment says of its place in a datagram (RFC 791 §3.1, RFC 8200 §4.5).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use crate::error::Refusal;
use crate::inner::{IPV6_HEADER, MAX_EXTENSIONS, inner_length, ipv4_header, word};

/// The longest packet; of IPv6, without its header.
const MOST: usize = u16::MAX as usize;

/// Which datagram a fragment is of. IPv6 does not go by the protocol (RFC 8200 §4.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Datagram {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    number: u32,
}

/// A fragment, without its octets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    pub(super) datagram: Datagram,
    /// Where its payload is in that of the datagram.
    pub(super) span: Range<usize>,
    pub(super) is_last: bool,
    /// The next header that it names: of a later fragment of IPv6 that is hearsay.
    protocol: u8,
}

impl Piece {
    /// Returns the place of a fragment, or `None` for a packet that is whole: also one of IPv6 with a
    /// Fragment header that says so (RFC 6946).
    ///
    /// # Errors
    /// [`Refusal::Malformed`] if its headers are not whole, and [`Refusal::BadFragment`] if no host
    /// makes such a fragment: it is empty, reaches beyond the longest datagram, is no multiple of 8
    /// octets though others follow, or is the first one and too short for the header that has the
    /// ports (RFC 1858 §3, RFC 7112).
    pub fn read(octets: &[u8]) -> Result<Option<Self>, Refusal> {
        let packet = octets.get(..inner_length(octets)?).ok_or(Refusal::Malformed)?;
        let found = match packet.first().map(|first| first >> 4) {
            Some(4) => of_ipv4(packet),
            _ => of_ipv6(packet),
        };
        let Some((piece, payload)) = found.ok_or(Refusal::Malformed)? else { return Ok(None) };
        let is_possible = piece.fits(packet.len()) && piece.is_headed(payload);
        if is_possible { Ok(Some(piece)) } else { Err(Refusal::BadFragment) }
    }

    /// Whether a packet is no fragment for sure, as nearly all are: its first header says so.
    #[inline]
    pub(crate) fn is_none_of(packet: &[u8]) -> bool {
        match packet.first().map(|first| first >> 4) {
            Some(4) => word(packet, 6).is_some_and(is_whole),
            _ => packet.get(6).is_some_and(|next| !matches!(next, 0 | 43 | 60 | &FRAGMENT)),
        }
    }

    /// Whether it is the one that has the ports.
    #[must_use]
    pub const fn is_first(&self) -> bool {
        self.span.start == 0
    }

    /// Whether it begins within a header that has ports, flags or the like, as far as its own next
    /// header tells (RFC 4301 §7.2, RFC 3128).
    #[must_use]
    pub const fn is_low(&self) -> bool {
        self.span.start < header_octets(self.protocol)
    }

    /// Whether a host makes such a fragment, `packet` octets long with its headers.
    fn fits(&self, packet: usize) -> bool {
        let octets = self.span.len();
        // What counts in the length of the whole packet, too.
        let headers =
            packet - octets - if self.datagram.source.is_ipv4() { 0 } else { IPV6_HEADER + 8 };
        octets > 0 && self.span.end + headers <= MOST && (self.is_last || octets.is_multiple_of(8))
    }

    fn is_headed(&self, payload: &[u8]) -> bool {
        !self.is_first() || self.has_header(payload).unwrap_or(false)
    }

    /// Whether the first fragment has all of the header that selectors look into, and no Fragment
    /// header behind its own.
    fn has_header(&self, payload: &[u8]) -> Option<bool> {
        let (protocol, upper) = match self.datagram.source {
            IpAddr::V4(_) => (self.protocol, payload),
            IpAddr::V6(_) => behind_options(self.protocol, payload)?,
        };
        let is_again = self.datagram.source.is_ipv6() && protocol == FRAGMENT;
        Some(!is_again && upper.len() >= header_octets(protocol))
    }
}

const FRAGMENT: u8 = 44;

/// Returns the octets of a header that must not be in two fragments, nor be written over.
const fn header_octets(protocol: u8) -> usize {
    match protocol {
        6 => 20,
        33 | 132 => 12,
        // ICMP, UDP, ICMPv6, Mobility Header, UDP-Lite.
        1 | 17 | 58 | 135 | 136 => 8,
        _ => 0,
    }
}

type Found<'packet> = Option<(Piece, &'packet [u8])>;

/// Whether flags and offset of IPv4 are those of a whole packet, also of one that must stay so.
const fn is_whole(place: u16) -> bool {
    place << 2 == 0
}

fn of_ipv4(packet: &[u8]) -> Option<Found<'_>> {
    let place = word(packet, 6)?;
    if is_whole(place) {
        return Some(None);
    }
    let protocol = *packet.get(9)?;
    let source: [u8; 4] = *packet.get(12..)?.first_chunk()?;
    let destination: [u8; 4] = *packet.get(16..)?.first_chunk()?;
    let datagram = Datagram {
        source: Ipv4Addr::from(source).into(),
        destination: Ipv4Addr::from(destination).into(),
        protocol,
        number: word(packet, 4)?.into(),
    };
    let payload = packet.get(ipv4_header(packet)?..)?;
    let start = usize::from(place & 0x1fff) * 8;
    let span = start..start + payload.len();
    Some(Some((Piece { datagram, span, is_last: place & 0x2000 == 0, protocol }, payload)))
}

fn of_ipv6(packet: &[u8]) -> Option<Found<'_>> {
    let source: [u8; 16] = *packet.get(8..)?.first_chunk()?;
    let destination: [u8; 16] = *packet.get(24..)?.first_chunk()?;
    let mut next = *packet.get(6)?;
    let mut octets = packet.get(IPV6_HEADER..)?;
    for _ in 0..MAX_EXTENSIONS {
        let (protocol, rest) = behind_options(next, octets)?;
        if protocol != FRAGMENT {
            return Some(None);
        }
        let (header, payload) = rest.split_first_chunk::<8>()?;
        let [named, _, high, low, number @ ..] = *header;
        let place = u16::from_be_bytes([high, low]);
        if place & 0xfff9 != 0 {
            let datagram = Datagram {
                source: Ipv6Addr::from(source).into(),
                destination: Ipv6Addr::from(destination).into(),
                protocol: 0,
                number: u32::from_be_bytes(number),
            };
            let start = usize::from(place & 0xfff8);
            let span = start..start + payload.len();
            let piece = Piece { datagram, span, is_last: place & 1 == 0, protocol: named };
            return Some(Some((piece, payload)));
        }
        (next, octets) = (named, payload);
    }
    None
}

/// Returns the first header that is no list of options and no route, and its octets.
fn behind_options(mut next: u8, mut octets: &[u8]) -> Option<(u8, &[u8])> {
    for _ in 0..MAX_EXTENSIONS {
        if !matches!(next, 0 | 43 | 60) {
            return Some((next, octets));
        }
        let length = (usize::from(*octets.get(1)?) + 1) * 8;
        next = *octets.first()?;
        octets = octets.get(length..)?;
    }
    None
}
