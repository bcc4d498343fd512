// SPDX-License-Identifier: Apache-2.0
//! How a pair hides the shape of its traffic, as the daemon says it (RFC 4303 §2.6, §2.7, RFC 9347).

use std::sync::Arc;
use std::time::Duration;

use ikeway_esp::{BreakerLimits, Congestion, Dialogue, InboundSa, OutboundSa, Reassembly};
use serde::Deserialize;

use super::messages::Mode;
use crate::clock;
use crate::error::EngineError;
use crate::pacing::{self, Beat};

/// How long a packet of a stream is waited for that others have overtaken.
const PATIENCE: Duration = Duration::from_millis(100);

/// The longest time between two packets that is a rate.
const SLOWEST: Duration = Duration::from_secs(3600);

/// Field by field as `ikeway.model.traffic_flow.TrafficFlow`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrafficFlow {
    /// Inner packets are padded up to so many octets, or the MTU.
    pad_to: usize,
    dummies: Option<Dummies>,
    stream: Option<Stream>,
}

#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Dummies {
    per_second: f64,
    is_random: bool,
}

/// Packets of one size at a constant rate; how many may overtake one of the peer's.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stream {
    packet_octets: usize,
    per_second: f64,
    reorder: usize,
    may_fragment: bool,
    /// Whether either side wants to be told of congestion, and whether that slows us down.
    reports: bool,
    is_controlled: bool,
    /// What stops a stream that is not.
    breaker: Option<Breaker>,
}

/// The part of packets that may be lost, and for how many seconds more may.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct Breaker {
    lost: f64,
    seconds: f64,
}

/// A pair that hides what it is told to, and what it sends by the clock for that.
pub(super) struct Hiding {
    pub(super) inbound: InboundSa,
    pub(super) outbound: OutboundSa,
    pub(super) beat: Option<Beat>,
}

impl TrafficFlow {
    /// Returns a pair of this mode as it is to be; no packet is padded to more than `mtu`.
    pub(super) fn hide(
        &self,
        (inbound, outbound): (InboundSa, OutboundSa),
        mode: &Mode,
        mtu: usize,
    ) -> Result<Hiding, EngineError> {
        if *mode == Mode::Transport || outbound.is_ah() {
            let what = "only ESP in tunnel mode hides the shape of traffic";
            return Err(EngineError::Unsupported(what.to_owned()));
        }
        if let Some(stream) = self.stream {
            return stream.hide(inbound, outbound);
        }
        let beat = self.dummies.map(Dummies::read).transpose()?.map(Beat::from);
        let is_padded = self.pad_to > 0;
        let outbound = if is_padded { outbound.padded(self.pad_to.min(mtu)) } else { outbound };
        Ok(Hiding { inbound, outbound, beat })
    }
}

impl Dummies {
    fn read(self) -> Result<pacing::Dummies, EngineError> {
        Ok(pacing::Dummies { every: every(self.per_second)?, is_random: self.is_random })
    }
}

impl Stream {
    fn hide(self, inbound: InboundSa, outbound: OutboundSa) -> Result<Hiding, EngineError> {
        let every = every(self.per_second)?;
        let too_small = || {
            EngineError::Request(format!("packets of {} octets are no stream", self.packet_octets))
        };
        let breaker = self.breaker.map(Breaker::read).transpose()?;
        let dialogue = self.reports.then(Arc::<Dialogue>::default);
        let congestion = dialogue.clone().map(|dialogue| {
            let (congestion, now) = (Congestion::new(dialogue), clock::now());
            match breaker {
                _ if self.is_controlled => {
                    let octets = u16::try_from(self.packet_octets).unwrap_or(u16::MAX);
                    congestion.controlled(self.per_second, octets, now)
                }
                Some(limits) => congestion.guarded(limits, every, now),
                None => congestion,
            }
        });
        let (octets, may_fragment) = (self.packet_octets, self.may_fragment);
        let stream = pacing::Stream::new(&outbound, every, octets, may_fragment, congestion);
        let stream = stream.ok_or_else(too_small)?;
        let outbound = stream.join(outbound);
        let reassembly = Reassembly::new(self.reorder, PATIENCE).reporting(dialogue);
        let inbound = inbound.streamed(reassembly);
        let beat = Some(Beat::Stream(Box::new(stream)));
        Ok(Hiding { inbound, outbound, beat })
    }
}

impl Breaker {
    fn read(self) -> Result<BreakerLimits, EngineError> {
        let interval = Duration::try_from_secs_f64(self.seconds).ok();
        let interval = interval.filter(|time| !time.is_zero() && *time <= SLOWEST);
        let is_part = self.lost > 0.0 && self.lost <= 1.0;
        let no_breaker = || {
            let (lost, seconds) = (self.lost, self.seconds);
            EngineError::Request(format!("a loss of {lost} in {seconds} seconds is no breaker"))
        };
        let interval = interval.filter(|_| is_part).ok_or_else(no_breaker)?;
        Ok(BreakerLimits { lost: self.lost, interval })
    }
}

/// Returns the time between two packets.
fn every(per_second: f64) -> Result<Duration, EngineError> {
    let every = Duration::try_from_secs_f64(per_second.recip()).ok();
    let every = every.filter(|every| !every.is_zero() && *every <= SLOWEST);
    every.ok_or_else(|| EngineError::Request(format!("{per_second} packets a second are no rate")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_number_of_packets() {
        assert_eq!(every(4.0).unwrap(), Duration::from_millis(250));
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e300, 1e-9] {
            assert!(every(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_breaker_has_a_part_and_a_time() {
        assert!(Breaker { lost: 1.0, seconds: 0.5 }.read().is_ok());
        for lost in [0.0, -1.0, 1.1, f64::NAN] {
            assert!(Breaker { lost, seconds: 30.0 }.read().is_err(), "{lost}");
        }
        for seconds in [0.0, -1.0, 1e9, f64::NAN, f64::INFINITY] {
            assert!(Breaker { lost: 0.2, seconds }.read().is_err(), "{seconds}");
        }
    }
}
