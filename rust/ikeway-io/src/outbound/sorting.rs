// SPDX-License-Identifier: Apache-2.0
//! Packets of the host while an SA tells ports apart: later fragments go where their first one went
//! (RFC 4301 §7.3).

use ikeway_esp::{Flow, Leaving, OutboundSa, Refusal};

use super::Lane;
use crate::path_mtu::Narrow;
use crate::tun::{HEADER_OCTETS, Handed};
use crate::waiting::wait;

impl Lane {
    /// Does what is done with a packet of these selectors, once it is known which way it goes.
    #[inline(never)]
    pub(super) fn sort(&mut self, flow: Flow, octets: &mut [u8]) -> Result<(), Refusal> {
        let packet = octets.get(HEADER_OCTETS..).unwrap_or_default();
        let leaving = self.table.sort(flow, packet, || self.start.elapsed())?;
        let (flow, waited) = match leaving {
            Leaving::With(flow, waited) => (flow, waited),
            Leaving::Behind(flow, sa) => return self.end(&sa, &flow, Handed::read(octets)?),
            Leaving::Waits => return Ok(()),
        };
        let carried = self.carry(&flow, Handed::read(octets)?);
        for packet in waited {
            self.take(&mut [&[0; HEADER_OCTETS], packet.as_slice()].concat());
        }
        if carried? { Ok(()) } else { self.spring(&flow, octets) }
    }

    /// Sends a later fragment on an SA that has a successor. How it is sent is settled as for any.
    fn end(&mut self, sa: &OutboundSa, flow: &Flow, mut handed: Handed<'_>) -> Result<(), Refusal> {
        if let Some(backlog) = sa.backlog() {
            return wait(sa, backlog, flow, &mut handed, &self.tun);
        }
        let path = self.sender.path(sa, handed.packet())?;
        let most = self.paths.longest_inner(sa).filter(|_| !self.sender.is_free(path));
        let most = most.unwrap_or(usize::from(u16::MAX));
        Narrow { sa, path, most }.send(
            &mut handed,
            flow,
            &mut self.sender,
            (&self.tun, &self.reporter),
        )
    }

    /// Gives up fragments whose first one did not come.
    #[cold]
    pub(super) fn forget_fragments(&mut self) {
        for _ in 0..self.table.give_up(|| self.start.elapsed()) {
            self.reporter.refuse_own(Refusal::StrayFragment);
        }
    }
}
