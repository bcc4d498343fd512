// SPDX-License-Identifier: Apache-2.0
//! Reads of the inner packet what selectors and trailers need: version, length, addresses,
//! protocol, ports (RFC 4301 §4.4.1.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::error::Refusal;

/// IPv4 as a next header.
pub(crate) const IPV4: u8 = 4;
/// IPv6 as a next header.
pub(crate) const IPV6: u8 = 41;

const IPV4_HEADER: usize = 20;
pub(crate) const IPV6_HEADER: usize = 40;
/// More extension headers than any sender has a use for; bounds the work per packet.
pub(crate) const MAX_EXTENSIONS: usize = 8;

const ICMP: u8 = 1;
const ICMPV6: u8 = 58;
const MOBILITY: u8 = 135;

/// One of the two port fields of a packet, as selectors see it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Port {
    /// A value that can be read.
    Known(u16),
    /// The packet has none, or it is in another fragment.
    Hidden,
    /// The protocol has no such field on this side: ICMP and Mobility Header have one only (RFC
    /// 4301 §4.4.1.3).
    Absent,
}

/// The selectors of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Flow {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Next layer protocol.
    pub protocol: u8,
    /// Source port, or ICMP type and code, or Mobility Header type.
    pub source_port: Port,
    /// Destination port.
    pub destination_port: Port,
}

impl Flow {
    /// Returns the selectors of the IP packet that `octets` start with.
    ///
    /// # Errors
    /// [`Refusal::Malformed`] if its headers are not whole.
    pub fn read(octets: &[u8]) -> Result<Self, Refusal> {
        Self::judge(octets, |flow| *flow)
    }

    /// Returns what `judgement` says of the selectors of the IP packet that `octets` start with.
    ///
    /// Each IP version has a way of its own, so that on neither the selectors are in memory: to
    /// write them in parts and read them as a whole takes longer than to judge them.
    #[inline]
    pub(crate) fn judge<T>(octets: &[u8], judgement: impl Fn(&Self) -> T) -> Result<T, Refusal> {
        match octets.first().map(|first| first >> 4) {
            Some(4) => read_ipv4(octets).map(|flow| judgement(&flow)),
            Some(6) => read_ipv6(octets).map(|flow| judgement(&flow)),
            _ => None,
        }
        .ok_or(Refusal::Malformed)
    }
}

/// Returns the length that the IP packet at the start of `octets` gives itself, header included.
///
/// # Errors
/// [`Refusal::Malformed`] if it is shorter than its header or longer than `octets`.
#[inline]
pub fn inner_length(octets: &[u8]) -> Result<usize, Refusal> {
    let length = match octets.first().map(|first| first >> 4) {
        Some(4) => ipv4_length(octets),
        Some(6) => word(octets, 4).map(|payload| IPV6_HEADER + usize::from(payload)),
        _ => None,
    };
    length.filter(|length| *length <= octets.len()).ok_or(Refusal::Malformed)
}

/// Returns the next header value of tunnel mode for an IP packet, or `None` if it is none.
pub(crate) fn next_header(octets: &[u8]) -> Option<u8> {
    match octets.first()? >> 4 {
        4 => Some(IPV4),
        6 => Some(IPV6),
        _ => None,
    }
}

#[inline]
fn ipv4_length(octets: &[u8]) -> Option<usize> {
    let header = ipv4_header(octets)?;
    word(octets, 2).map(usize::from).filter(|length| *length >= header)
}

#[inline]
pub(crate) fn ipv4_header(octets: &[u8]) -> Option<usize> {
    let header = usize::from(octets.first()? & 0x0f) * 4;
    (header >= IPV4_HEADER && header <= octets.len()).then_some(header)
}

#[inline]
fn read_ipv4(octets: &[u8]) -> Option<Flow> {
    let header = ipv4_header(octets)?;
    let is_later_fragment = word(octets, 6)? & 0x1fff != 0;
    let protocol = *octets.get(9)?;
    let source: [u8; 4] = *octets.get(12..)?.first_chunk()?;
    let destination: [u8; 4] = *octets.get(16..)?.first_chunk()?;
    let upper = if is_later_fragment { None } else { octets.get(header..) };
    let [source_port, destination_port] = ports(protocol, upper);
    Some(Flow {
        source: Ipv4Addr::from(source).into(),
        destination: Ipv4Addr::from(destination).into(),
        protocol,
        source_port,
        destination_port,
    })
}

fn read_ipv6(octets: &[u8]) -> Option<Flow> {
    let source: [u8; 16] = *octets.get(8..)?.first_chunk()?;
    let destination: [u8; 16] = *octets.get(24..)?.first_chunk()?;
    let (protocol, upper) = skip_extensions(*octets.get(6)?, octets.get(IPV6_HEADER..)?)?;
    let [source_port, destination_port] = ports(protocol, upper);
    Some(Flow {
        source: Ipv6Addr::from(source).into(),
        destination: Ipv6Addr::from(destination).into(),
        protocol,
        source_port,
        destination_port,
    })
}

/// Returns the next layer protocol and its octets, which a later fragment does not have.
fn skip_extensions(mut protocol: u8, mut octets: &[u8]) -> Option<(u8, Option<&[u8]>)> {
    for _ in 0..MAX_EXTENSIONS {
        let length = match protocol {
            // Hop-by-Hop Options, Routing, Destination Options (RFC 8200 §4.3, §4.4, §4.6).
            0 | 43 | 60 => (usize::from(*octets.get(1)?) + 1) * 8,
            // Fragment (RFC 8200 §4.5).
            44 if word(octets, 2)? & 0xfff8 != 0 => return Some((*octets.first()?, None)),
            44 => 8,
            _ => return Some((protocol, Some(octets))),
        };
        protocol = *octets.first()?;
        octets = octets.get(length..)?;
    }
    None
}

#[inline]
fn ports(protocol: u8, upper: Option<&[u8]>) -> [Port; 2] {
    let known =
        |offset| upper.and_then(|octets| word(octets, offset)).map_or(Port::Hidden, Port::Known);
    match protocol {
        // TCP, UDP, DCCP, SCTP, UDP-Lite.
        6 | 17 | 33 | 132 | 136 => [known(0), known(2)],
        // Type and code are one number of 16 bits (RFC 7296 §3.13.1).
        ICMP | ICMPV6 => [known(0), Port::Absent],
        MOBILITY => {
            let kind = upper.and_then(|octets| octets.get(2)).map(|kind| u16::from(*kind) << 8);
            [kind.map_or(Port::Hidden, Port::Known), Port::Absent]
        }
        _ => [Port::Hidden, Port::Hidden],
    }
}

pub(crate) fn word(octets: &[u8], offset: usize) -> Option<u16> {
    octets.get(offset..)?.first_chunk().map(|octets| u16::from_be_bytes(*octets))
}
