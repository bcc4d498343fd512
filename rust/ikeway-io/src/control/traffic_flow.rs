// SPDX-License-Identifier: Apache-2.0
//! How a pair hides the shape of its traffic, as the daemon says it (RFC 4303 §2.6, §2.7).

use std::time::Duration;

use ikeway_esp::OutboundSa;
use serde::Deserialize;

use super::messages::Mode;
use crate::error::EngineError;
use crate::pacing;

/// Field by field as `ikeway.model.traffic_flow.TrafficFlow`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrafficFlow {
    /// Inner packets are padded up to so many octets, or the MTU.
    pad_to: usize,
    dummies: Option<Dummies>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Dummies {
    per_second: f64,
    is_random: bool,
}

impl TrafficFlow {
    /// Returns the SA, of a pair in this mode, with its packets padded, none longer than `mtu`.
    pub(super) fn applied(
        &self,
        outbound: OutboundSa,
        mode: &Mode,
        mtu: usize,
    ) -> Result<OutboundSa, EngineError> {
        if *mode == Mode::Transport || outbound.is_ah() {
            let what = "only ESP in tunnel mode has padding and dummies: nobody else can tell them";
            return Err(EngineError::Unsupported(what.to_owned()));
        }
        Ok(if self.pad_to == 0 { outbound } else { outbound.padded(self.pad_to.min(mtu)) })
    }

    /// Returns when dummies leave, if any do.
    pub(super) fn dummies(&self) -> Result<Option<pacing::Dummies>, EngineError> {
        self.dummies.map(Dummies::read).transpose()
    }
}

impl Dummies {
    fn read(self) -> Result<pacing::Dummies, EngineError> {
        let every = Duration::try_from_secs_f64(self.per_second.recip());
        let every = every.ok().filter(|every| !every.is_zero());
        let every = every.ok_or_else(|| {
            EngineError::Request(format!("{} dummies a second are no rate", self.per_second))
        })?;
        Ok(pacing::Dummies { every, is_random: self.is_random })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_of_packets() {
        let read = |per_second| Dummies { per_second, is_random: false }.read();
        assert_eq!(read(4.0).unwrap().every, Duration::from_millis(250));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
