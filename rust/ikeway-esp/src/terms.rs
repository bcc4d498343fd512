// SPDX-License-Identifier: Apache-2.0
//! What both halves of a pair of SAs abide by; they have it in one place.

use crate::counters::Counters;
use crate::ipcomp::Ipcomp;
use crate::outer::Outer;
use crate::selector::Policy;
use crate::transport::Hosts;

/// The terms of a pair, and what is counted of it.
#[derive(Debug)]
pub struct Terms {
    /// The selectors.
    pub policy: Policy,
    /// The counters.
    pub counters: Counters,
    /// The hosts of a pair in transport mode; none is tunnel mode.
    pub hosts: Option<Box<Hosts>>,
    /// The compression, if there is any.
    pub ipcomp: Option<Ipcomp>,
    /// What is done to the outer headers of what is sent.
    pub outer: Outer,
}

impl Terms {
    /// Returns those of a pair in tunnel mode that does no more than it must.
    #[must_use]
    pub fn new(policy: Policy) -> Self {
        let (counters, outer) = (Counters::default(), Outer::default());
        Self { policy, counters, hosts: None, ipcomp: None, outer }
    }
}
