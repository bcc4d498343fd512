// SPDX-License-Identifier: Apache-2.0
//! Socket addresses and control messages as the octets that the kernel reads and writes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

const IN_OCTETS: usize = 16;
const IN6_OCTETS: usize = 28;

/// A `sockaddr_in` or `sockaddr_in6`.
#[derive(Clone, Copy)]
#[repr(align(8))]
pub(crate) struct Name {
    octets: [u8; IN6_OCTETS],
    length: usize,
}

impl Name {
    pub(crate) const EMPTY: Self = Self { octets: [0; IN6_OCTETS], length: IN6_OCTETS };

    pub(crate) fn of(address: SocketAddr) -> Self {
        let (family, length) = match address {
            SocketAddr::V4(_) => (libc::AF_INET, IN_OCTETS),
            SocketAddr::V6(_) => (libc::AF_INET6, IN6_OCTETS),
        };
        let mut octets = [0; IN6_OCTETS];
        put(&mut octets, 0, &family_octets(family));
        put(&mut octets, 2, &address.port().to_be_bytes());
        match address.ip() {
            IpAddr::V4(ip) => put(&mut octets, 4, &ip.octets()),
            IpAddr::V6(ip) => put(&mut octets, 8, &ip.octets()),
        }
        Self { octets, length }
    }

    pub(crate) fn read(&self) -> Option<SocketAddr> {
        let family: [u8; 2] = *self.octets.first_chunk()?;
        let port = u16::from_be_bytes(*self.octets.get(2..)?.first_chunk()?);
        if family == family_octets(libc::AF_INET) {
            let ip: [u8; 4] = *self.octets.get(4..)?.first_chunk()?;
            Some((Ipv4Addr::from(ip), port).into())
        } else {
            let ip: [u8; 16] = *self.octets.get(8..)?.first_chunk()?;
            Some((Ipv6Addr::from(ip), port).into())
        }
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.octets.as_mut_ptr().cast()
    }

    pub(crate) fn length(&self) -> libc::socklen_t {
        libc::socklen_t::try_from(self.length).unwrap_or(0)
    }
}

/// The control messages of one datagram.
#[derive(Clone, Copy)]
#[repr(align(8))]
pub(crate) struct Control<const OCTETS: usize = 128> {
    octets: [u8; OCTETS],
    length: usize,
}

/// What was read from control messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Received {
    /// The address that a datagram was sent to.
    pub(crate) destination: Option<IpAddr>,
    /// Differentiated services and ECN of the outer header.
    pub(crate) class: u8,
    /// The length of each of several datagrams that came as one.
    pub(crate) segment: Option<usize>,
}

impl<const OCTETS: usize> Control<OCTETS> {
    pub(crate) const OCTETS: usize = OCTETS;
    pub(crate) const EMPTY: Self = Self { octets: [0; OCTETS], length: 0 };

    /// Asks that the datagram leaves from `source`.
    pub(crate) fn push_source(&mut self, source: IpAddr) {
        match source {
            // struct in_pktinfo: interface, source, destination.
            IpAddr::V4(ip) => {
                let mut info = [0; 12];
                put(&mut info, 4, &ip.octets());
                self.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &info);
            }
            // struct in6_pktinfo: source, interface.
            IpAddr::V6(ip) => {
                let mut info = [0; 20];
                put(&mut info, 0, &ip.octets());
                self.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
            }
        }
    }

    /// Asks that the octets leave as datagrams of `segment` octets each.
    pub(crate) fn push_segment(&mut self, segment: u16) {
        self.push(libc::SOL_UDP, libc::UDP_SEGMENT, &segment.to_ne_bytes());
    }

    /// Asks for these differentiated services and ECN fields in the outer header.
    pub(crate) fn push_class(&mut self, destination: IpAddr, class: u8) {
        let class = i32::from(class).to_ne_bytes();
        match destination {
            IpAddr::V4(_) => self.push(libc::IPPROTO_IP, libc::IP_TOS, &class),
            IpAddr::V6(_) => self.push(libc::IPPROTO_IPV6, libc::IPV6_TCLASS, &class),
        }
    }

    /// Reads what the kernel has written, so many octets.
    pub(crate) fn read(&mut self, length: usize) -> Received {
        self.length = length.min(OCTETS);
        let mut received = Received::default();
        for (level, kind, data) in self.messages() {
            match (level, kind) {
                (libc::IPPROTO_IP, libc::IP_PKTINFO) => {
                    let ip = data.get(8..).and_then(<[u8]>::first_chunk::<4>);
                    received.destination = ip.map(|ip| Ipv4Addr::from(*ip).into());
                }
                (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO) => {
                    received.destination =
                        data.first_chunk::<16>().map(|ip| Ipv6Addr::from(*ip).into());
                }
                // An octet for IPv4, a number for IPv6.
                (libc::IPPROTO_IP, libc::IP_TOS) => {
                    received.class = data.first().copied().unwrap_or(0);
                }
                (libc::IPPROTO_IPV6, libc::IPV6_TCLASS) => {
                    let class = data.first_chunk().map(|class| i32::from_ne_bytes(*class));
                    received.class = class.and_then(|class| u8::try_from(class).ok()).unwrap_or(0);
                }
                (libc::SOL_UDP, libc::UDP_GRO) => {
                    let size = data.first_chunk().map(|size| i32::from_ne_bytes(*size));
                    received.segment = size.and_then(|size| usize::try_from(size).ok());
                }
                _ => (),
            }
        }
        received
    }

    /// Returns the extension headers of IPv6 that stood before what a raw socket gave, each with its
    /// protocol, in their order. Those of fragments are not among them.
    pub(crate) fn extensions(&self) -> impl Iterator<Item = (u8, &[u8])> {
        self.messages().filter_map(|message| match message {
            (libc::IPPROTO_IPV6, libc::IPV6_HOPOPTS, header) => Some((HOP_BY_HOP, header)),
            (libc::IPPROTO_IPV6, libc::IPV6_DSTOPTS, header) => Some((DESTINATION, header)),
            (libc::IPPROTO_IPV6, libc::IPV6_RTHDR, header) => Some((ROUTING, header)),
            _ => None,
        })
    }

    fn messages(&self) -> impl Iterator<Item = (i32, i32, &[u8])> {
        let mut rest = self.octets.get(..self.length).unwrap_or_default();
        std::iter::from_fn(move || {
            let (level, kind, data, after) = next_message(rest)?;
            rest = after;
            Some((level, kind, data))
        })
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut libc::c_void {
        self.octets.as_mut_ptr().cast()
    }

    pub(crate) const fn length(&self) -> usize {
        self.length
    }

    fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        let start = self.length;
        put(&mut self.octets, start, &(HEADER + data.len()).to_ne_bytes());
        put(&mut self.octets, start + size_of::<usize>(), &level.to_ne_bytes());
        put(&mut self.octets, start + size_of::<usize>() + 4, &kind.to_ne_bytes());
        put(&mut self.octets, start + HEADER, data);
        self.length = start + (HEADER + data.len()).next_multiple_of(size_of::<usize>());
    }
}

/// The protocols of extension headers (RFC 8200 §4).
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const DESTINATION: u8 = 60;

/// `struct cmsghdr`: length, level, type.
const HEADER: usize = size_of::<libc::cmsghdr>();

fn next_message(octets: &[u8]) -> Option<(i32, i32, &[u8], &[u8])> {
    let length = usize::from_ne_bytes(*octets.first_chunk()?);
    let level = i32::from_ne_bytes(*octets.get(size_of::<usize>()..)?.first_chunk()?);
    let kind = i32::from_ne_bytes(*octets.get(size_of::<usize>() + 4..)?.first_chunk()?);
    let data = octets.get(HEADER..length)?;
    let after = octets.get(length.checked_next_multiple_of(size_of::<usize>())?..).unwrap_or(&[]);
    Some((level, kind, data, after))
}

fn family_octets(family: libc::c_int) -> [u8; 2] {
    u16::try_from(family).unwrap_or(0).to_ne_bytes()
}

fn put(octets: &mut [u8], offset: usize, value: &[u8]) {
    if let Some(place) = octets.get_mut(offset..offset + value.len()) {
        place.copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_reads_as_it_was_written() {
        for text in ["192.0.2.1:4500", "[2001:db8::1]:500"] {
            let address: SocketAddr = text.parse().unwrap();
            assert_eq!(Name::of(address).read(), Some(address));
        }
    }

    #[test]
    fn control_messages_read_as_the_kernel_lays_them_out() {
        let mut control = <Control>::EMPTY;
        control.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &[0, 0, 0, 0, 1, 1, 1, 1, 192, 0, 2, 7]);
        control.push(libc::IPPROTO_IP, libc::IP_TOS, &[3]);
        control.push(libc::SOL_UDP, libc::UDP_GRO, &1400_i32.to_ne_bytes());
        let wanted = Received {
            destination: Some("192.0.2.7".parse().unwrap()),
            class: 3,
            segment: Some(1400),
        };
        assert_eq!(control.read(control.length()), wanted);
        assert_eq!(control.read(3), Received::default());
    }
}
