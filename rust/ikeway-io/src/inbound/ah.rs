// SPDX-License-Identifier: Apache-2.0
//! What comes in through the raw sockets of AH, which protects the IP header too (RFC 4302 §3.4).

use std::net::IpAddr;
use std::ops::Range;

use ikeway_esp::{Delivery, InboundSa, Refusal, Verified, ah_spi};

use super::{Lane, Opened, Source, carry_class, counted, mtu};
use crate::lanes::Lanes;
use crate::udp::{ReceiveBatch, Run};

const AH: u8 = 51;
const IPV6_HEADER: usize = 40;
const LENGTH_AT: usize = 4;
const NEXT_AT: usize = 6;

impl Lane<'_> {
    /// Takes what is there, up to a batch. Returns whether there was anything.
    pub(super) fn drain_ah<const MESSAGES: usize, const CONTROL: usize>(
        &mut self,
        source: &Source<'_>,
        batch: &mut ReceiveBatch<MESSAGES, CONTROL>,
    ) -> bool {
        let has_failed = batch.receive(source.socket).is_err();
        let has_some = has_failed || !batch.parts().0.is_empty();
        for (run, octets, control) in batch.packets() {
            self.take_ah(run, control.extensions(), octets);
        }
        self.anew.flush(self.tun);
        has_some
    }

    /// Takes one packet, which is checked and goes on among those that are made anew.
    fn take_ah<'octets>(
        &mut self,
        run: &Run,
        extensions: impl Iterator<Item = (u8, &'octets [u8])>,
        octets: &[u8],
    ) {
        let start = self.anew.octets.len();
        let whole = put(run, extensions, octets, &mut self.anew.octets);
        let packet = self.anew.octets.get(start..).unwrap_or_default();
        let spi = match whole.ok_or(Refusal::Malformed).and_then(|()| ah_spi(packet)) {
            Ok(spi) => spi,
            Err(refusal) => {
                self.anew.octets.truncate(start);
                return self.reporter.refuse_own(refusal);
            }
        };
        match self.open_ah(spi, run, start) {
            Some(Opened::Stream) => self.pass_stream(spi, Some(run.peer)),
            Some(Opened::Within(place) | Opened::Anew(place)) => {
                self.anew.pass(self.tun, place, || {
                    mtu((self.tun, self.paths), self.table.get(spi), Some(run.peer))
                });
            }
            None => self.anew.octets.truncate(start),
        }
    }

    /// Returns where the packet is that the host gets, if it may pass.
    fn open_ah(&mut self, spi: u32, run: &Run, start: usize) -> Option<Opened> {
        let Some(sa) = self.table.get_mut(spi) else {
            // It may be another program's, or the kernel's: all that hear the protocol hear every
            // packet.
            self.reporter.refuse_own(Refusal::UnknownSpi);
            return None;
        };
        let opened = if sa.delivery() == Delivery::Sorted {
            let mut packet = self.anew.octets.split_off(start);
            verify(sa, &packet, self.lanes, &mut self.scratch).map(|verified| {
                let (seen, room) = ((packet.as_mut_slice(), run.class), &mut self.anew.octets);
                self.streams.sort_ah(sa, &verified, seen, room);
                Opened::Stream
            })
        } else {
            let packet = self.anew.octets.get_mut(start..).unwrap_or_default();
            verify(sa, packet, self.lanes, &mut self.scratch)
                .and_then(|verified| admit(sa, &verified, packet, run.class))
                .map(|inner| Opened::Anew(start + inner.start..start + inner.end))
        };
        counted(opened, sa, self.reporter, run.peer)
    }
}

fn verify(
    sa: &mut InboundSa,
    packet: &[u8],
    lanes: &Lanes,
    scratch: &mut Vec<u8>,
) -> Result<Verified, Refusal> {
    if sa.counters().budget.is_over() {
        return Err(Refusal::Spent);
    }
    let verified = sa.verify_ah(packet, scratch)?;
    if sa.take_proof(&verified) {
        lanes.activate(sa.spi());
    }
    Ok(verified)
}

fn admit(
    sa: &InboundSa,
    verified: &Verified,
    packet: &mut [u8],
    class: u8,
) -> Result<Range<usize>, Refusal> {
    let inner = sa.admit_ah(verified, packet)?;
    if sa.is_tunnel() {
        carry_class(class, packet, &inner)?;
    }
    Ok(inner)
}

/// Puts a packet, with its IP header, at the end of `buffer`; None is that it is not whole.
///
/// The kernel leaves out the header of IPv6. What of it is protected is known nevertheless: version,
/// length, next header, addresses. It gives extension headers beside the packet, but for those of
/// fragments, which are not protected (RFC 4302 App. A2): each names the one that follows here.
fn put<'octets>(
    run: &Run,
    extensions: impl Iterator<Item = (u8, &'octets [u8])>,
    octets: &[u8],
    buffer: &mut Vec<u8>,
) -> Option<()> {
    let (IpAddr::V6(source), Some(IpAddr::V6(destination))) = (run.peer.ip(), run.destination)
    else {
        buffer.extend_from_slice(octets);
        return Some(());
    };
    let start = buffer.len();
    let mut header = [0; IPV6_HEADER];
    header[..2].copy_from_slice(&[0x60 | run.class >> 4, run.class << 4]);
    header[7] = 1;
    header[8..24].copy_from_slice(&source.octets());
    header[24..].copy_from_slice(&destination.octets());
    buffer.extend_from_slice(&header);
    let mut named_at = start + NEXT_AT;
    for (kind, extension) in extensions {
        // What had no room is cut short.
        let units = usize::from(*extension.get(1)?) + 1;
        if extension.len() != units * 8 {
            return None;
        }
        *buffer.get_mut(named_at)? = kind;
        named_at = buffer.len();
        buffer.extend_from_slice(extension);
    }
    *buffer.get_mut(named_at)? = AH;
    buffer.extend_from_slice(octets);
    let payload = u16::try_from(buffer.len() - start - IPV6_HEADER).ok()?;
    *buffer.get_mut(start + LENGTH_AT..)?.first_chunk_mut()? = payload.to_be_bytes();
    Some(())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    const OPTIONS: [u8; 8] = [0, 0, 1, 4, 0, 0, 0, 0];
    const ROUTE: [u8; 8] = [44, 0, 4, 0, 0, 0, 0, 0];
    const PAYLOAD: [u8; 4] = [1, 2, 3, 4];

    fn made(extensions: &[(u8, &[u8])]) -> Option<Vec<u8>> {
        let peer: SocketAddr = "[2001:db8::1]:0".parse().unwrap();
        let run = Run::of(peer, "2001:db8::2".parse().unwrap());
        let mut buffer = vec![7; 3];
        put(&run, extensions.iter().copied(), &PAYLOAD, &mut buffer)?;
        Some(buffer.split_off(3))
    }

    /// RFC 4302 App. A2: what the peer protected had no fragment header, so each header names the
    /// next one that was given.
    #[test]
    fn headers_name_the_ones_that_follow_them() {
        let packet = made(&[(0, &OPTIONS), (60, &OPTIONS), (43, &ROUTE)]).unwrap();
        assert_eq!(packet.len(), 40 + 3 * 8 + 4);
        assert_eq!(packet[4..8], [0, 28, 0, 1]);
        assert_eq!([packet[40], packet[48], packet[56]], [60, 43, AH]);
        assert_eq!(packet[41..48], OPTIONS[1..]);
        assert_eq!(packet[64..], PAYLOAD);
        assert_eq!(made(&[]).unwrap()[4..8], [0, 4, AH, 1]);
    }

    #[test]
    fn headers_that_had_no_room_are_refused() {
        for cut in 0..8 {
            assert_eq!(made(&[(0, &OPTIONS[..cut])]), None);
        }
    }
}
