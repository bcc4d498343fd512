// SPDX-License-Identifier: Apache-2.0
//! Lowers the segment size that a SYN announces to what the tunnel carries whole (RFC 9293 §3.7.1).
//!
//! A host behind a gateway learns of the tunnel's MTU by ICMP only, which many networks drop.

use std::ops::Range;

use super::layout::{Layout, TCP, octets, put};

const SYN: u8 = 0x02;
const TCP_HEADER: usize = 20;
const END: u8 = 0;
const NOTHING: u8 = 1;
const MAX_SEGMENT: u8 = 2;
const OPTION_OCTETS: u8 = 4;

/// Lowers the announcement of a packet that has one above what `mtu` allows, which only those few
/// ask for.
pub(crate) fn clamp(packet: &mut [u8], mtu: impl FnOnce() -> usize) {
    if has_syn(packet) {
        // What is no whole TCP header stays as it is.
        let _ = clamp_syn(packet, mtu());
    }
}

/// Whether a packet may be a SYN: the look that every packet gets.
fn has_syn(packet: &[u8]) -> bool {
    let place = match packet.first() {
        Some(first) if first >> 4 == 4 && packet.get(9) == Some(&TCP) => {
            usize::from(first & 0x0f) * 4
        }
        Some(first) if first >> 4 == 6 && packet.get(6) == Some(&TCP) => 40,
        _ => return false,
    };
    packet.get(place + 13).is_some_and(|flags| flags & SYN != 0)
}

#[cold]
fn clamp_syn(packet: &mut [u8], mtu: usize) -> Option<()> {
    let layout = Layout::of(packet).filter(|layout| layout.protocol == TCP)?;
    let place = announcement(packet, layout.network + TCP_HEADER..layout.headers)?;
    let headers = TCP_HEADER + if layout.is_ipv6 { 40 } else { 20 };
    let most = u16::try_from(mtu.checked_sub(headers)?).unwrap_or(u16::MAX);
    let announced = octets::<2>(packet, place)?;
    if u16::from_be_bytes(announced) > most {
        // A checksum that is wrong already must not become right.
        let is_intact = layout.is_intact(packet);
        put(packet, place, most.to_be_bytes())?;
        if is_intact {
            layout.set_checksum(packet)?;
        }
    }
    Some(())
}

/// Returns where the size stands among the options.
fn announcement(packet: &[u8], options: Range<usize>) -> Option<usize> {
    let mut place = options.start;
    while place < options.end {
        match *packet.get(place)? {
            END => return None,
            NOTHING => place += 1,
            kind => {
                let length = *packet.get(place + 1)?;
                if kind == MAX_SEGMENT && length == OPTION_OCTETS {
                    return (place + 4 <= options.end).then_some(place + 2);
                }
                // A length below 2 would never end.
                place += usize::from(length).max(2);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A SYN with these options, and its checksum.
    fn syn(is_ipv6: bool, flags: u8, options: &[u8]) -> Vec<u8> {
        let mut packet = if is_ipv6 {
            let mut header = vec![0x60, 0, 0, 0, 0, 0, TCP, 64];
            header.extend(0..32);
            header
        } else {
            vec![0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, TCP, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1]
        };
        let network = packet.len();
        let words = u8::try_from(5 + options.len() / 4).unwrap();
        packet.extend([
            0x1b,
            0x58,
            0,
            80,
            0,
            0,
            0,
            1,
            0,
            0,
            0,
            0,
            words << 4,
            flags,
            1,
            0,
            0,
            0,
            0,
            0,
        ]);
        packet.extend(options);
        let (length, headers) = (packet.len(), packet.len());
        let layout = Layout { is_ipv6, protocol: TCP, network, headers };
        layout.set_length(&mut packet, length).unwrap();
        layout.set_checksum(&mut packet).unwrap();
        packet
    }

    #[test]
    fn a_syn_announces_no_more_than_the_tunnel_carries() {
        for (is_ipv6, wanted) in [(false, 1360_u16), (true, 1340)] {
            for flags in [SYN, SYN | 0x10] {
                let mut packet = syn(is_ipv6, flags, &[1, 1, 1, 1, 2, 4, 5, 180, 4, 2, 1, 1]);
                clamp(&mut packet, || 1400);
                let layout = Layout::of(&packet).unwrap();
                assert!(layout.is_intact(&packet));
                let place = layout.network + TCP_HEADER + 6;
                assert_eq!(octets(&packet, place), Some(wanted.to_be_bytes()));
            }
        }
    }

    #[test]
    fn what_is_small_enough_or_announces_nothing_stays_as_it_is() {
        let options: [&[u8]; 6] =
            [&[2, 4, 2, 0], &[4, 2, 1, 1], &[], &[0, 2, 4, 255], &[2, 3, 255, 0], &[9, 0, 0, 2]];
        for option in options {
            for flags in [SYN, 0x10] {
                let packet = syn(false, flags, option);
                let mut after = packet.clone();
                clamp(&mut after, || 1400);
                assert_eq!(after, packet);
            }
        }
        let data = syn(false, 0x10, &[2, 4, 255, 255]);
        let mut after = data.clone();
        clamp(&mut after, || 1400);
        assert_eq!(after, data, "only a SYN announces");
    }

    #[test]
    fn a_damaged_syn_stays_damaged() {
        let mut packet = syn(false, SYN, &[2, 4, 5, 180]);
        packet[4 + 20] ^= 1;
        clamp(&mut packet, || 1400);
        assert!(!Layout::of(&packet).unwrap().is_intact(&packet));
    }

    /// I1: any octets are survived.
    #[test]
    fn stumps_are_left_alone() {
        let whole = syn(false, SYN, &[2, 4, 5, 180]);
        for length in 0..whole.len() {
            clamp(&mut whole[..length].to_vec(), || 1400);
        }
        clamp(&mut syn(true, SYN, &[2, 4, 5, 180]), || 40);
    }
}
