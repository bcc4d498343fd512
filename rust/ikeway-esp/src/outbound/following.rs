// SPDX-License-Identifier: Apache-2.0
//! Whether an SA carries later fragments of packets that it is for (RFC 4301 §7).

use std::sync::Arc;

use super::OutboundSa;
use crate::fragments::without_ports;
use crate::inner::Flow;

impl OutboundSa {
    /// Returns the SA with later fragments following their first one (RFC 4301 §7.3), as the peer agreed
    /// to. That is done before anybody else has it, and for SAs in tunnel mode that tell ports apart.
    #[must_use]
    pub fn following(mut self) -> Self {
        let follows = !self.is_transport() && self.policy().has_ports();
        if let Some(sealing) = Arc::get_mut(&mut self.sealing) {
            sealing.follows = follows;
        }
        self
    }

    pub(crate) fn follows(&self) -> bool {
        self.sealing.follows
    }

    /// Whether later fragments of a packet with these selectors, which are the SA's, may go on it.
    #[must_use]
    pub fn takes_later(&self, flow: &Flow) -> bool {
        !self.is_transport() && (self.follows() || self.policy().selects(&without_ports(*flow)))
    }
}
