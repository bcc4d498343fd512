// SPDX-License-Identifier: Apache-2.0
//! Explicit congestion notification through a tunnel (RFC 6040 §4, RFC 7296 §2.24), and the traffic
//! class.

use crate::error::Refusal;

const NOT_CAPABLE: u8 = 0;
const ECT_1: u8 = 1;
const ECT_0: u8 = 2;
const CONGESTED: u8 = 3;

/// Returns the octet of an IP packet that holds its differentiated services and ECN fields.
///
/// The outer header gets the same (RFC 4301 §5.1.2, RFC 6040 §4.1 normal mode).
pub(crate) fn traffic_class(packet: &[u8]) -> u8 {
    match packet {
        [version, class, ..] if version >> 4 == 4 => *class,
        [high, low, ..] if high >> 4 == 6 => high << 4 | low >> 4,
        _ => 0,
    }
}

/// Whether the class of an outer header says that the network is congested.
pub(crate) const fn is_congested(class: u8) -> bool {
    class & CONGESTED == CONGESTED
}

/// Carries over to the inner packet what the network said about congestion in the outer header.
///
/// # Errors
/// [`Refusal::Congested`] if there was congestion and the inner packet's sender cannot be told but
/// by loss.
pub fn carry_congestion(inner: &mut [u8], outer_class: u8) -> Result<(), Refusal> {
    let wanted = match (traffic_class(inner) & CONGESTED, outer_class & CONGESTED) {
        (NOT_CAPABLE, CONGESTED) => return Err(Refusal::Congested),
        (ECT_0 | ECT_1, CONGESTED) => CONGESTED,
        (ECT_0, ECT_1) => ECT_1,
        _ => return Ok(()),
    };
    match inner.first().map(|first| first >> 4) {
        Some(4) => set_ipv4(inner, wanted),
        _ => set_ipv6(inner, wanted),
    }
    .ok_or(Refusal::Malformed)
}

/// Changes the field, and the header's checksum by the difference (RFC 1624 equation 3).
fn set_ipv4(packet: &mut [u8], ecn: u8) -> Option<()> {
    let before = u16::from_be_bytes(*packet.first_chunk()?);
    let class = packet.get_mut(1)?;
    *class = *class & !CONGESTED | ecn;
    let after = u16::from_be_bytes(*packet.first_chunk()?);
    let place: &mut [u8; 2] = packet.get_mut(10..)?.first_chunk_mut()?;
    let sum = [!u16::from_be_bytes(*place), !before, after].map(u32::from).iter().sum::<u32>();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    *place = (!u16::try_from(folded).ok()?).to_be_bytes();
    Some(())
}

fn set_ipv6(packet: &mut [u8], ecn: u8) -> Option<()> {
    let octet = packet.get_mut(1)?;
    *octet = *octet & !(CONGESTED << 4) | ecn << 4;
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{ipv4_packet, ipv6_packet};

    /// CF-J27: RFC 6040 §4.2, figure 4: what comes out for each inner and outer field; `None` is a
    /// drop.
    const FIGURE_4: [[Option<u8>; 4]; 4] = [
        [Some(0), Some(0), Some(0), None],
        [Some(1), Some(1), Some(1), Some(3)],
        [Some(2), Some(1), Some(2), Some(3)],
        [Some(3), Some(3), Some(3), Some(3)],
    ];

    #[test]
    fn every_pair_of_fields_comes_out_as_figure_4_says() {
        for (inner, row) in (0_u8..).zip(FIGURE_4) {
            for (outer, wanted) in (0_u8..).zip(row) {
                for mut packet in [ipv4_packet(8), ipv6_packet(8)] {
                    set_class(&mut packet, 0xb8 | inner);
                    let result = carry_congestion(&mut packet, outer).ok();
                    let seen = result.map(|()| traffic_class(&packet));
                    assert_eq!(seen, wanted.map(|ecn| 0xb8 | ecn), "inner {inner} outer {outer}");
                    assert!(packet[0] >> 4 == 6 || header_sum(&packet) == 0xffff);
                }
            }
        }
    }

    #[test]
    fn octets_that_are_no_packet_have_no_class() {
        assert_eq!([traffic_class(&[]), traffic_class(&[0x45]), traffic_class(&[0, 9])], [0; 3]);
    }

    fn set_class(packet: &mut [u8], class: u8) {
        if packet[0] >> 4 == 6 {
            packet[0] = 0x60 | class >> 4;
            packet[1] = class << 4;
        } else {
            packet[1] = class;
            packet[10..12].fill(0);
            let sum = !header_sum(packet);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
        }
    }

    fn header_sum(packet: &[u8]) -> u16 {
        let words = packet[..20].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1]));
        let sum: u32 = words.sum();
        u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
    }
}
