// SPDX-License-Identifier: Apache-2.0
//! Packets of the host while an SA tells ports apart: later fragments go where their first one went
//! (RFC 4301 §7.3).

use ikeway_esp::{Flow, Leaving, Refusal};

use super::Lane;
use crate::tun::{HEADER_OCTETS, Handed};

impl Lane {
    /// Does what is done with a packet of these selectors, once it is known which way it goes.
    #[inline(never)]
    pub(super) fn sort(&mut self, flow: Flow, octets: &mut [u8]) -> Result<(), Refusal> {
        let packet = octets.get(HEADER_OCTETS..).unwrap_or_default();
        let leaving = self.table.sort(flow, packet, || self.start.elapsed())?;
        let Leaving::With(flow, waited) = leaving else { return Ok(()) };
        let carried = self.carry(&flow, Handed::read(octets)?);
        for packet in waited {
            self.take(&mut [&[0; HEADER_OCTETS], packet.as_slice()].concat());
        }
        if carried? { Ok(()) } else { self.spring(&flow, octets) }
    }

    /// Gives up fragments whose first one did not come.
    #[cold]
    pub(super) fn forget_fragments(&mut self) {
        for _ in 0..self.table.give_up(|| self.start.elapsed()) {
            self.reporter.refuse_own(Refusal::StrayFragment);
        }
    }
}
