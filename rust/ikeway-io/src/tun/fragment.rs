// SPDX-License-Identifier: Apache-2.0
//! Cuts an IPv4 packet that may be fragmented into fragments (RFC 791 §3.2).

use ikeway_esp::Refusal;

use super::checksum::{finish, sum};
use super::layout::put;

const MORE: u16 = 0x2000;
const OFFSET: u16 = 0x1fff;
const UNIT: usize = 8;
const MIN_HEADER: usize = 20;
/// An option with this bit is in every fragment (RFC 791 §3.1).
const COPIED: u8 = 0x80;
const END: u8 = 0;
const NOTHING: u8 = 1;

/// Calls `take` with each fragment of a packet, none longer than `most`.
///
/// # Errors
/// [`Refusal::TooLong`] if so little carries nothing, and those of `take`.
pub(crate) fn fragments<F>(packet: &[u8], most: usize, mut take: F) -> Result<(), Refusal>
where
    F: FnMut(&[u8]) -> Result<(), Refusal>,
{
    let header = usize::from(packet.first().ok_or(Refusal::Malformed)? & 0x0f) * 4;
    let (first, payload) = packet
        .split_at_checked(header)
        .filter(|(first, _)| first.len() >= MIN_HEADER)
        .ok_or(Refusal::Malformed)?;
    let later = copied(first);
    let place = u16::from_be_bytes([first[6], first[7]]);
    let mut done = 0;
    let mut octets = Vec::with_capacity(most);
    while done < payload.len() {
        let head = if done == 0 { first } else { &later };
        let room = most.checked_sub(head.len()).ok_or(Refusal::TooLong)? / UNIT * UNIT;
        if room == 0 {
            return Err(Refusal::TooLong);
        }
        let part = payload.get(done..payload.len().min(done + room)).unwrap_or_default();
        let is_last = done + part.len() == payload.len();
        let units = u16::try_from(done / UNIT).map_err(|_| Refusal::TooLong)?;
        let offset = (place & OFFSET).checked_add(units).filter(|offset| *offset <= OFFSET);
        let flags = if is_last { place & !OFFSET } else { place & !OFFSET | MORE };
        octets.clear();
        octets.extend_from_slice(head);
        octets.extend_from_slice(part);
        finish_header(&mut octets, head.len(), flags | offset.ok_or(Refusal::TooLong)?)
            .ok_or(Refusal::TooLong)?;
        take(&octets)?;
        done += part.len();
    }
    Ok(())
}

/// Returns all fragments of a packet, as [`fragments`] makes them.
#[cfg(any(test, feature = "fuzzing"))]
pub(crate) fn cut(packet: &[u8], most: usize) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut parts = Vec::new();
    fragments(packet, most, |part| {
        parts.push(part.to_vec());
        Ok(())
    })?;
    Ok(parts)
}

/// Writes length, place and checksum.
fn finish_header(packet: &mut [u8], header: usize, place: u16) -> Option<()> {
    let length = u16::try_from(packet.len()).ok()?;
    put(packet, 0, [0x40 | u8::try_from(header / 4).ok()?])?;
    put(packet, 2, length.to_be_bytes())?;
    put(packet, 6, place.to_be_bytes())?;
    put(packet, 10, [0; 2])?;
    let checksum = finish(sum(packet.get(..header)?));
    put(packet, 10, checksum)
}

/// Returns the header of later fragments: with those options that are copied.
fn copied(first: &[u8]) -> Vec<u8> {
    let (fixed, mut options) = first.split_at(MIN_HEADER);
    let mut header = fixed.to_vec();
    while let [kind, rest @ ..] = options {
        let length = match (*kind, rest.first()) {
            (END, _) => break,
            (NOTHING, _) => 1,
            (_, Some(length)) if *length >= 2 => usize::from(*length),
            _ => break,
        };
        let Some((option, after)) = options.split_at_checked(length) else { break };
        if kind & COPIED != 0 {
            header.extend_from_slice(option);
        }
        options = after;
    }
    header.resize(header.len().next_multiple_of(4), END);
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packet(options: &[u8], payload: usize, place: u16) -> Vec<u8> {
        let mut octets = vec![0x45 + u8::try_from(options.len() / 4).unwrap(), 0, 0, 0, 0, 7];
        octets.extend(place.to_be_bytes());
        octets.extend([64, 17, 0, 0, 10, 1, 0, 1, 10, 2, 0, 1]);
        octets.extend(options);
        octets.extend((0..payload).map(|octet| u8::try_from(octet % 251).unwrap()));
        let length = u16::try_from(octets.len()).unwrap();
        octets[2..4].copy_from_slice(&length.to_be_bytes());
        octets
    }

    #[test]
    fn fragments_fit_and_hold_all_of_the_packet() {
        for (payload, most) in [(1380, 1300), (1380, 576), (3000, 69), (9, 28)] {
            let whole = packet(&[], payload, 0);
            let parts = cut(&whole, most).unwrap();
            let mut joined: Vec<u8> = Vec::new();
            for (number, part) in parts.iter().enumerate() {
                assert!(part.len() <= most);
                assert_eq!(usize::from(u16::from_be_bytes([part[2], part[3]])), part.len());
                assert_eq!(finish(sum(&part[..20])), [0; 2]);
                let place = u16::from_be_bytes([part[6], part[7]]);
                assert_eq!(usize::from(place & OFFSET) * 8, joined.len());
                assert_eq!(place & MORE != 0, number + 1 < parts.len());
                joined.extend(&part[20..]);
            }
            assert_eq!(joined, whole[20..]);
        }
    }

    /// RFC 791 §3.2: a fragment that is cut again keeps its place, and stays one of more.
    #[test]
    fn a_fragment_is_cut_again() {
        let parts = cut(&packet(&[], 800, MORE + 100), 420).unwrap();
        let places: Vec<u16> =
            parts.iter().map(|part| u16::from_be_bytes([part[6], part[7]])).collect();
        assert_eq!(places, [MORE + 100, MORE + 150]);
        assert_eq!(cut(&packet(&[], 800, OFFSET), 420), Err(Refusal::TooLong));
    }

    #[test]
    fn options_are_in_the_fragments_that_they_are_for() {
        let options = [0x83, 4, 0, 0, 1, 7, 3, 4];
        let parts = cut(&packet(&options, 800, 0), 420).unwrap();
        assert_eq!(parts[0][20..28], options);
        assert_eq!((parts[1][0], &parts[1][20..24]), (0x46, &[0x83, 4, 0, 0][..]));
    }

    /// I1: any octets are survived.
    #[test]
    fn what_is_no_packet_is_refused() {
        assert_eq!(cut(&[0x41; 30], 100), Err(Refusal::Malformed));
        assert_eq!(cut(&[], 100), Err(Refusal::Malformed));
        assert_eq!(cut(&packet(&[], 100, 0), 27), Err(Refusal::TooLong));
        assert_eq!(cut(&packet(&[], 100, 0), 10), Err(Refusal::TooLong));
        for length in [0, 1, 255] {
            assert!(cut(&packet(&[0x83, length, 0, 0], 100, 0), 60).is_ok());
        }
    }
}
