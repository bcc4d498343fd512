// SPDX-License-Identifier: Apache-2.0
//! Ordered policies that stand before all SAs: the first that selects a packet decides (RFC 4301
//! §4.4.1).
//!
//! A packet has five values that policies tell apart. Each of them has its axis, cut where a policy
//! begins or ends; a piece of it knows which policies hold there. Five binary searches and the first
//! policy that all five agree on are a lookup.

use std::net::IpAddr;

use crate::error::InstallError;
use crate::inner::{Flow, Port};
use crate::selector::{Policy, Selector};

/// Pairs of selectors in all policies together.
pub const MAX_ROWS: usize = 1024;

/// What becomes of the packets of a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// They pass unprotected, by the host's own ways and not by ours.
    Bypass,
    /// They go nowhere.
    Discard,
    /// They pass on an SA that selects them, or not at all.
    Protect,
}

/// The policies, in their order.
#[derive(Debug, Default)]
pub struct Spd {
    ipv4: Rows,
    ipv6: Rows,
}

/// The policies of one address family: each row is a selector of ours with one of the peer's.
#[derive(Debug, Default)]
struct Rows {
    verdicts: Vec<Verdict>,
    source: Axis,
    destination: Axis,
    protocol: Axis,
    source_port: Ports,
    destination_port: Ports,
}

type Row<'policy> = (Verdict, &'policy Selector, &'policy Selector);

impl Spd {
    /// Returns the policies, the first of which counts most.
    ///
    /// # Errors
    /// [`InstallError::TooManyPolicies`] if there are more than [`MAX_ROWS`] pairs of selectors.
    pub fn new(policies: &[(Verdict, Policy)]) -> Result<Self, InstallError> {
        let pairs = policies.iter().flat_map(|(verdict, policy)| {
            let ours = policy.local().iter();
            ours.flat_map(move |local| {
                policy.peer().iter().map(move |peer| (*verdict, local, peer))
            })
        });
        let of_family = |is_ipv4| {
            move |(_, local, peer): &Row<'_>| {
                [local, peer].iter().all(|side| side.range().0.is_ipv4() == is_ipv4)
            }
        };
        if pairs.clone().count() > MAX_ROWS {
            return Err(InstallError::TooManyPolicies(MAX_ROWS));
        }
        let ipv4: Vec<_> = pairs.clone().filter(of_family(true)).collect();
        let ipv6: Vec<_> = pairs.filter(of_family(false)).collect();
        Ok(Self { ipv4: Rows::new(&ipv4), ipv6: Rows::new(&ipv6) })
    }

    /// Returns what the first policy that selects a packet says, if one does.
    #[must_use]
    pub fn judge(&self, flow: &Flow) -> Option<Verdict> {
        if flow.source.is_ipv4() { self.ipv4.judge(flow) } else { self.ipv6.judge(flow) }
    }

    /// Whether a packet may go on to the SAs. One that is to bypass us has no business here.
    #[must_use]
    pub fn permits(&self, flow: &Flow) -> bool {
        self.judge(flow).is_none_or(|verdict| verdict == Verdict::Protect)
    }
}

impl Rows {
    fn new(rows: &[Row<'_>]) -> Self {
        let range = |selector: &Selector| {
            let (start, end) = selector.range();
            Some((number(start), number(end)))
        };
        let protocol = |local: &Selector, peer: &Selector| match (local.protocol(), peer.protocol())
        {
            (one, other) if one == other && one != 0 => Some((one.into(), one.into())),
            (0, 0) => Some((0, u8::MAX.into())),
            (one, 0) | (0, one) => Some((one.into(), one.into())),
            _ => None,
        };
        let axis = |span: &dyn Fn(&Row<'_>) -> Option<Span>| Axis::new(&rows.iter().map(span));
        Self {
            verdicts: rows.iter().map(|(verdict, _, _)| *verdict).collect(),
            source: axis(&|(_, local, _)| range(local)),
            destination: axis(&|(_, _, peer)| range(peer)),
            protocol: axis(&|(_, local, peer)| protocol(local, peer)),
            source_port: Ports::new(rows.iter().map(|(_, local, _)| *local)),
            destination_port: Ports::new(rows.iter().map(|(_, _, peer)| *peer)),
        }
    }

    fn judge(&self, flow: &Flow) -> Option<Verdict> {
        let sets = [
            self.source.at(number(flow.source))?,
            self.destination.at(number(flow.destination))?,
            self.protocol.at(flow.protocol.into())?,
            self.source_port.at(flow.source_port)?,
            self.destination_port.at(flow.destination_port)?,
        ];
        let words = self.verdicts.len().div_ceil(WORD);
        let common = (0..words).map(|place| {
            sets.iter().fold(u64::MAX, |all, set| all & set.get(place).copied().unwrap_or(0))
        });
        let (place, word) = common.enumerate().find(|(_, word)| *word != 0)?;
        let row = place * WORD + usize::try_from(word.trailing_zeros()).unwrap_or(WORD);
        self.verdicts.get(row).copied()
    }
}

const WORD: usize = 64;

/// First and last value.
type Span = (u128, u128);
/// A bit for each row.
type Set = Box<[u64]>;

/// The pieces of one axis: where each begins, and the rows that hold all of it.
#[derive(Debug, Default)]
struct Axis {
    pieces: Vec<(u128, Set)>,
}

impl Axis {
    /// Returns the axis of rows that hold a span, or nothing.
    fn new(spans: &(impl Iterator<Item = Option<Span>> + Clone)) -> Self {
        let edges = spans
            .clone()
            .flatten()
            .flat_map(|(first, last)| [Some(first), last.checked_add(1)].into_iter().flatten());
        let mut starts: Vec<u128> = edges.chain([0]).collect();
        starts.sort_unstable();
        starts.dedup();
        let holds = |start: u128| {
            set(spans
                .clone()
                .map(move |span| span.is_some_and(|(first, last)| first <= start && start <= last)))
        };
        Self { pieces: starts.into_iter().map(|start| (start, holds(start))).collect() }
    }

    fn at(&self, value: u128) -> Option<&Set> {
        let behind = self.pieces.partition_point(|(start, _)| *start <= value);
        self.pieces.get(behind.checked_sub(1)?).map(|(_, set)| set)
    }
}

/// The axis of a port, which a packet may not show (RFC 4301 §4.4.1.1).
#[derive(Debug, Default)]
struct Ports {
    known: Axis,
    hidden: Set,
    absent: Set,
}

impl Ports {
    fn new<'row>(selectors: impl Iterator<Item = &'row Selector> + Clone) -> Self {
        let span = |selector: &Selector| {
            let (first, last) = selector.ports();
            (first <= last).then_some((first.into(), last.into()))
        };
        Self {
            known: Axis::new(&selectors.clone().map(span)),
            hidden: set(selectors.clone().map(|selector| selector.matches_port(Port::Hidden))),
            absent: set(selectors.map(|selector| selector.matches_port(Port::Absent))),
        }
    }

    fn at(&self, port: Port) -> Option<&Set> {
        match port {
            Port::Known(port) => self.known.at(port.into()),
            Port::Hidden => Some(&self.hidden),
            Port::Absent => Some(&self.absent),
        }
    }
}

fn set(rows: impl Iterator<Item = bool>) -> Set {
    let mut words = Vec::new();
    for (row, holds) in rows.enumerate() {
        if row % WORD == 0 {
            words.push(0_u64);
        }
        if let Some(word) = words.last_mut().filter(|_| holds) {
            *word |= 1 << (row % WORD);
        }
    }
    words.into()
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => u128::from(u32::from(address)),
        IpAddr::V6(address) => u128::from(address),
    }
}

#[cfg(test)]
mod tests;
