// SPDX-License-Identifier: Apache-2.0
//! What an ICMP message says of a packet of ours that was too long (RFC 792, RFC 1191 §4, RFC 4443
//! §3.2).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const UNREACHABLE: u8 = 3;
const FRAGMENTATION_NEEDED: u8 = 4;
const TOO_BIG: u8 = 2;
const ICMP_HEADER: usize = 8;
const UDP: u8 = 17;
const ESP: u8 = 50;
const AH: u8 = 51;

/// What routers that do not say theirs have (RFC 1191 §7.1).
const PLATEAUS: [u16; 7] = [8166, 4352, 2002, 1492, 1006, 508, 296];

/// A router says that the path to `peer` carries no more than `mtu` octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Claim {
    pub(crate) peer: IpAddr,
    pub(crate) mtu: u16,
    /// That of the packet, if the message shows so much of it: only who saw one knows it.
    pub(crate) spi: Option<u32>,
}

impl Claim {
    /// Reads what a raw socket of ICMP gives: the IP header, too.
    pub(crate) fn of_ipv4(datagram: &[u8], port: u16) -> Option<Self> {
        let icmp = datagram.get(header_octets(datagram)?..)?;
        let [kind, code, _, _, _, _, high, low, packet @ ..] = icmp else { return None };
        if (*kind, *code) != (UNREACHABLE, FRAGMENTATION_NEEDED) {
            return None;
        }
        let header = header_octets(packet)?;
        let fragment = u16::from_be_bytes([*packet.get(6)?, *packet.get(7)?]);
        let peer: [u8; 4] = *packet.get(16..)?.first_chunk()?;
        let length = u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]);
        let said = u16::from_be_bytes([*high, *low]);
        let mtu = if said == 0 { plateau(length) } else { said };
        let is_ours = fragment << 3 == 0 && mtu < length;
        let spi = spi(from_spi(*packet.get(9)?, packet.get(header..)?, port)?);
        is_ours.then_some(Self { peer: Ipv4Addr::from(peer).into(), mtu, spi })
    }

    /// Reads what a raw socket of ICMPv6 gives: no IP header.
    pub(crate) fn of_ipv6(message: &[u8], port: u16) -> Option<Self> {
        let (head, packet) = message.split_at_checked(ICMP_HEADER)?;
        let mtu = u32::from_be_bytes(*head.get(4..)?.first_chunk()?);
        if *head.first()? != TOO_BIG || packet.first()? >> 4 != 6 {
            return None;
        }
        let length = 40 + u32::from(u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?]));
        let peer: [u8; 16] = *packet.get(24..)?.first_chunk()?;
        let spi = spi(from_spi(*packet.get(6)?, packet.get(40..)?, port)?);
        let mtu = u16::try_from(mtu).ok().filter(|mtu| u32::from(*mtu) < length)?;
        Some(Self { peer: Ipv6Addr::from(peer).into(), mtu, spi })
    }
}

fn header_octets(packet: &[u8]) -> Option<usize> {
    let first = *packet.first()?;
    let octets = usize::from(first & 0x0f) * 4;
    (first >> 4 == 4 && octets >= 20).then_some(octets)
}

/// Returns what can be seen of a packet from its SPI on; `None` is that it was none of ours.
fn from_spi(protocol: u8, octets: &[u8], port: u16) -> Option<&[u8]> {
    let at = match protocol {
        ESP => 0,
        AH => 4,
        UDP if u16::from_be_bytes(*octets.first_chunk()?) == port => 8,
        _ => return None,
    };
    Some(octets.get(at..).unwrap_or_default())
}

fn spi(octets: &[u8]) -> Option<u32> {
    octets.first_chunk().map(|spi| u32::from_be_bytes(*spi))
}

fn plateau(length: u16) -> u16 {
    PLATEAUS.into_iter().find(|mtu| *mtu < length).unwrap_or(68)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ipv4(protocol: u8, length: u16, payload: &[u8]) -> Vec<u8> {
        let [high, low] = length.to_be_bytes();
        let mut packet = vec![0x45, 0, high, low, 0, 1, 0x40, 0, 64, protocol, 0, 0];
        packet.extend([192, 0, 2, 1, 192, 0, 2, 2]);
        packet.extend(payload);
        packet
    }

    fn needed(mtu: u16, packet: &[u8]) -> Vec<u8> {
        let [high, low] = mtu.to_be_bytes();
        let mut icmp = vec![UNREACHABLE, FRAGMENTATION_NEEDED, 0, 0, 0, 0, high, low];
        icmp.extend(packet);
        ipv4(1, 0, &icmp)
    }

    fn in_udp(port: u16) -> Vec<u8> {
        let [high, low] = port.to_be_bytes();
        vec![high, low, 0x11, 0x94, 0, 0, 0, 0, 0, 0, 0x10, 1, 0, 0, 0, 5]
    }

    #[test]
    fn a_router_names_the_path_and_shows_the_packet() {
        let peer = Ipv4Addr::new(192, 0, 2, 2).into();
        let read = |datagram: &[u8]| Claim::of_ipv4(datagram, 4500);
        let spi = Some(0x1001);
        let seen = needed(1300, &ipv4(UDP, 1480, &in_udp(4500)));
        assert_eq!(read(&seen), Some(Claim { peer, mtu: 1300, spi }));
        assert_eq!(read(&seen[..56]), Some(Claim { peer, mtu: 1300, spi: None }));
        let bare = needed(1300, &ipv4(ESP, 1480, &in_udp(0)[8..]));
        assert_eq!(read(&bare), Some(Claim { peer, mtu: 1300, spi }));
        let silent = needed(0, &ipv4(ESP, 1480, &in_udp(0)[8..]));
        assert_eq!(read(&silent).map(|claim| claim.mtu), Some(1006));
    }

    /// CF-U16: RFC 4301 §8.2: what is about no packet of ours, or takes nothing away, says nothing.
    #[test]
    fn what_is_about_no_packet_of_ours_says_nothing() {
        let read = |datagram: &[u8]| Claim::of_ipv4(datagram, 4500);
        assert_eq!(read(&needed(1300, &ipv4(UDP, 1480, &in_udp(500)))), None);
        assert_eq!(read(&needed(1300, &ipv4(6, 1480, &in_udp(4500)))), None);
        assert_eq!(read(&needed(1480, &ipv4(UDP, 1480, &in_udp(4500)))), None);
        let whole = needed(1300, &ipv4(UDP, 1480, &in_udp(4500)));
        for length in 0..56 {
            assert_eq!(read(&whole[..length.min(49)]), None);
        }
        let mut other = whole;
        other[21] = 1;
        assert_eq!(read(&other), None);
    }

    #[test]
    fn ipv6_says_too_big() {
        let mut message = vec![TOO_BIG, 0, 0, 0, 0, 0, 5, 20];
        message.extend([0x60, 0, 0, 0, 5, 180, UDP, 64]);
        message.extend([0xfd; 32]);
        message.extend(in_udp(4500));
        let peer = Ipv6Addr::from([0xfd; 16]).into();
        let claim = Claim { peer, mtu: 1300, spi: Some(0x1001) };
        assert_eq!(Claim::of_ipv6(&message, 4500), Some(claim));
        message[7] = 0;
        message[4] = 1;
        assert_eq!(Claim::of_ipv6(&message, 4500), None);
    }
}
