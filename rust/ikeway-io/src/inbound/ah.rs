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

impl Lane<'_> {
    /// Takes what is there, up to a batch. Returns whether there was anything.
    pub(super) fn drain_ah<const MESSAGES: usize>(
        &mut self,
        source: &Source<'_>,
        batch: &mut ReceiveBatch<MESSAGES>,
    ) -> bool {
        let has_failed = batch.receive(source.socket).is_err();
        let (runs, octets) = batch.parts();
        let has_some = has_failed || !runs.is_empty();
        for run in runs {
            for place in run.datagrams() {
                self.take_ah(run, octets.get(place).unwrap_or_default());
            }
        }
        self.anew.flush(self.tun);
        has_some
    }

    /// Takes one packet, which is checked and goes on among those that are made anew.
    fn take_ah(&mut self, run: &Run, octets: &[u8]) {
        let start = self.anew.octets.len();
        put(run, octets, &mut self.anew.octets);
        let spi = match ah_spi(self.anew.octets.get(start..).unwrap_or_default()) {
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

/// Puts a packet, with its IP header, at the end of `buffer`.
///
/// The kernel leaves out the header of IPv6. What of it is protected is known nevertheless: version,
/// length, next header, addresses.
fn put(run: &Run, octets: &[u8], buffer: &mut Vec<u8>) {
    if let (IpAddr::V6(source), Some(IpAddr::V6(destination))) = (run.peer.ip(), run.destination) {
        let length = u16::try_from(octets.len()).unwrap_or(0).to_be_bytes();
        let mut header = [0; IPV6_HEADER];
        header[..2].copy_from_slice(&[0x60 | run.class >> 4, run.class << 4]);
        header[4..8].copy_from_slice(&[length[0], length[1], AH, 1]);
        header[8..24].copy_from_slice(&source.octets());
        header[24..].copy_from_slice(&destination.octets());
        buffer.extend_from_slice(&header);
    }
    buffer.extend_from_slice(octets);
}
