// SPDX-License-Identifier: Apache-2.0
//! Which packets of an inbound SA that tells ports apart pass (RFC 4301 §5.2, §7.2, §7.3).

use std::time::Duration;

use super::leaving::without_ports;
use super::piece::Piece;
use super::tracker::Tracker;
use crate::error::Refusal;
use crate::inner::{Flow, Port};
use crate::selector::Policy;

/// Datagrams of one SA that are in the middle: no other SA's have less room for them.
pub(super) const MAX_KNOWN: usize = 256;

/// Judges the packets of one SA.
#[derive(Debug, Default)]
pub(crate) struct Sorter {
    /// None on an SA that has only later fragments: no first one is awaited (§7.2).
    tracker: Option<Tracker>,
}

impl Sorter {
    /// Returns what also lets later fragments follow their first one (§7.3).
    pub(crate) fn tracking() -> Self {
        Self { tracker: Some(Tracker::new(MAX_KNOWN)) }
    }

    /// Calls `take` with each packet that passes now: this one, others that waited for it, or none
    /// because it waits.
    ///
    /// # Errors
    /// [`Refusal`] says why something goes no further; the other packets do.
    pub(crate) fn sort(
        &mut self,
        policy: &Policy,
        inner: &[u8],
        now: Duration,
        mut take: impl FnMut(&[u8]),
    ) -> Result<(), Refusal> {
        let flow = Flow::read(inner)?;
        let is_admitted = policy.admits(&flow);
        match (Piece::read(inner)?, &mut self.tracker) {
            (Some(piece), Some(tracker))
                if piece.is_first() && is_admitted && !policy.admits(&without_ports(flow)) =>
            {
                let waited = tracker.lead(&piece, flow, now)?;
                take(inner);
                release(tracker, &waited, now, take)
            }
            (Some(piece), _) if !piece.is_first() && is_admitted && piece.is_low() => {
                Err(Refusal::BadFragment)
            }
            (Some(piece), Some(tracker)) if !piece.is_first() && !is_admitted => {
                match tracker.follow(&piece, now) {
                    Ok(_) => take(inner),
                    Err(Refusal::StrayFragment) if may_follow(policy, &flow) => {
                        tracker.hold(&piece, inner, now)?;
                    }
                    Err(Refusal::StrayFragment) => return Err(Refusal::SelectorMismatch),
                    Err(refusal) => return Err(refusal),
                }
                Ok(())
            }
            _ if is_admitted => {
                take(inner);
                Ok(())
            }
            _ => Err(Refusal::SelectorMismatch),
        }
    }

    /// Gives up what has waited long enough.
    pub(crate) fn forget(&mut self, now: Duration) {
        if let Some(tracker) = &mut self.tracker {
            tracker.forget(now);
        }
    }

    /// Returns when there is something to give up, unless something comes before.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.tracker.as_ref()?.deadline()
    }

    /// Returns how many were given up since the last time.
    pub(crate) fn take_lost(&mut self) -> u64 {
        self.tracker.as_mut().map_or(0, Tracker::take_lost)
    }
}

fn release(
    tracker: &mut Tracker,
    waited: &[Vec<u8>],
    now: Duration,
    mut take: impl FnMut(&[u8]),
) -> Result<(), Refusal> {
    let mut result = Ok(());
    for inner in waited {
        let piece = Piece::read(inner)?.ok_or(Refusal::Malformed)?;
        match tracker.follow(&piece, now) {
            Ok(_) => take(inner),
            Err(refusal) => result = Err(refusal),
        }
    }
    result
}

/// Whether a later fragment may be of a packet that the selectors cover, as far as it shows. The
/// protocol of IPv6 shows in the first one only.
fn may_follow(policy: &Policy, flow: &Flow) -> bool {
    let open = Flow { source_port: Port::Absent, destination_port: Port::Absent, ..*flow };
    flow.source.is_ipv6() || policy.admits(&open)
}
