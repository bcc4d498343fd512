// SPDX-License-Identifier: Apache-2.0
//! What the paths to peers carry, as it was learnt (RFC 4301 §8.2, RFC 1191, RFC 8201).
//!
//! Anybody can send ICMP, so it is believed as far as it shows that its sender saw a packet of ours, for
//! a while, and never below what every path carries.

mod claim;
mod fitting;
mod glance;
mod heard;

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ikeway_esp::{InboundSa, OutboundSa};

#[cfg(feature = "fuzzing")]
pub(crate) use claim::Claim;
pub(crate) use fitting::Narrow;
pub(crate) use heard::listen;

use self::glance::Glance;
use crate::events::Reporter;
use crate::udp::is_bare;

/// How long what was learnt is believed (RFC 1191 §6.3).
const AGE: Duration = Duration::from_secs(600);
/// Peers with a narrow path; of more, none is learnt until others age.
const MAX_PATHS: usize = 1 << 16;
/// What each IPv6 link carries (RFC 8200 §5), and each host takes by IPv4 (RFC 791 §3.1).
const LEAST_IPV6: u16 = 1280;
const LEAST_IPV4: u16 = 576;

const UDP_HEADER: usize = 8;
/// Those before ESP, of any peer.
const MOST_HEADERS: usize = 40 + UDP_HEADER;
/// What somebody can make of a path who may not have seen our packets.
pub(crate) const BLIND_MTU: u16 = 1280;
/// More than ESP adds to an inner packet, with any suite.
const MOST_ADDED: usize = 73;

/// The paths that are known to be narrow, by the peer's address.
#[derive(Default)]
pub(crate) struct Paths {
    /// Whether there are any: what packets look at first.
    has_any: AtomicBool,
    /// Whose they may be: what packets look at then.
    glance: Glance,
    narrow: Mutex<HashMap<IpAddr, Learnt>>,
}

#[derive(Clone, Copy)]
struct Learnt {
    mtu: u16,
    until: Instant,
}

impl Paths {
    /// Returns the longest inner packet that leaves whole on an SA; none is that all do as far as is
    /// known.
    #[inline]
    pub(crate) fn longest_inner(&self, sa: &OutboundSa) -> Option<usize> {
        let mtu = self.longest_outer(sa)?;
        let (_, peer) = sa.path();
        let room = mtu.saturating_sub(if sa.is_ah() { 0 } else { headers(peer) });
        Some(sa.longest_inner(room))
    }

    /// Returns the longest packet that leaves whole on an SA, its IP header included, as far as is
    /// known.
    #[inline]
    pub(crate) fn longest_outer(&self, sa: &OutboundSa) -> Option<usize> {
        if !self.has_any.load(Ordering::Relaxed) && sa.outer().by_hand().is_none() {
            return None;
        }
        self.look_up(sa).map(usize::from)
    }

    /// Returns the path MTU of every peer that was learnt, from the first address behind `after` on.
    pub(crate) fn all_after(&self, after: Option<IpAddr>, now: Instant) -> BTreeMap<IpAddr, u16> {
        let narrow = self.narrow();
        let known = narrow.iter().filter(|(peer, learnt)| {
            learnt.until > now && after.is_none_or(|after| **peer > after)
        });
        known.map(|(peer, learnt)| (*peer, learnt.mtu)).collect()
    }

    /// Returns the longest inner packet that leaves whole on the way back of an SA, whatever the suite;
    /// where it is not known to whom that is, as the operator says alone.
    pub(crate) fn carried_back(&self, sa: &InboundSa, peer: Option<SocketAddr>) -> Option<usize> {
        let learnt = peer.and_then(|peer| self.known(peer.ip()));
        let mtu = sa.outer().by_hand().into_iter().chain(learnt).min()?;
        let headers = peer.map_or(MOST_HEADERS, headers);
        Some(usize::from(mtu).saturating_sub(headers + MOST_ADDED))
    }

    /// Takes word of a path's MTU. Returns what is learnt, if that is news.
    ///
    /// A path never gets wider by what is heard, only by time.
    pub(crate) fn learn(&self, peer: IpAddr, mtu: u16, now: Instant) -> Option<u16> {
        let mtu = mtu.max(least(peer));
        let mut narrow = self.narrow();
        if narrow.len() == MAX_PATHS {
            narrow.retain(|_, learnt| learnt.until > now);
            self.glance.set(narrow.keys());
        }
        let is_news = match narrow.get(&peer) {
            Some(learnt) if learnt.until > now => mtu < learnt.mtu,
            Some(_) => true,
            None => narrow.len() < MAX_PATHS,
        };
        if !is_news {
            return None;
        }
        narrow.insert(peer, Learnt { mtu, until: now + AGE });
        self.glance.add(peer);
        self.has_any.store(true, Ordering::Relaxed);
        Some(mtu)
    }

    /// Does the same, and tells of it.
    pub(crate) fn hear(&self, peer: IpAddr, mtu: u16, reporter: &Reporter) {
        if let Some(mtu) = self.learn(peer, mtu, Instant::now()) {
            reporter.narrowed(peer, mtu);
        }
    }

    #[inline(never)]
    fn look_up(&self, sa: &OutboundSa) -> Option<u16> {
        let (_, peer) = sa.path();
        let learnt = self.known(peer.ip());
        sa.outer().by_hand().into_iter().chain(learnt).min()
    }

    /// Returns the path MTU of a peer, if it was learnt. Neither a lock is taken nor the clock read for
    /// one of which nothing was.
    #[inline]
    fn known(&self, peer: IpAddr) -> Option<u16> {
        if self.glance.may_know(peer) { self.learnt(peer, Instant::now()) } else { None }
    }

    #[cold]
    fn learnt(&self, peer: IpAddr, now: Instant) -> Option<u16> {
        let mut narrow = self.narrow();
        let learnt = *narrow.get(&peer)?;
        if learnt.until > now {
            return Some(learnt.mtu);
        }
        narrow.remove(&peer);
        if narrow.is_empty() {
            self.glance.set(narrow.keys());
            self.has_any.store(false, Ordering::Relaxed);
        }
        None
    }

    fn narrow(&self) -> MutexGuard<'_, HashMap<IpAddr, Learnt>> {
        self.narrow.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the octets before ESP in a packet to `peer`.
pub(crate) fn headers(peer: SocketAddr) -> usize {
    let network = if peer.is_ipv4() { 20 } else { 40 };
    network + if is_bare(peer) { 0 } else { UDP_HEADER }
}

const fn least(peer: IpAddr) -> u16 {
    if peer.is_ipv4() { LEAST_IPV4 } else { LEAST_IPV6 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1));
    const PEER6: IpAddr = IpAddr::V6(std::net::Ipv6Addr::LOCALHOST);

    fn known(paths: &Paths, peer: IpAddr, now: Instant) -> Option<u16> {
        paths.learnt(peer, now)
    }

    /// CF-U16: RFC 4301 §8.2.1: what is heard is believed within bounds.
    #[test]
    fn a_path_is_never_narrower_than_every_path() {
        let (paths, now) = (Paths::default(), Instant::now());
        assert_eq!(paths.learn(PEER, 68, now), Some(576));
        assert_eq!(paths.learn(PEER6, 68, now), Some(1280));
        assert_eq!(known(&paths, PEER, now), Some(576));
    }

    #[test]
    fn a_path_gets_wider_by_time_alone() {
        let (paths, now) = (Paths::default(), Instant::now());
        assert_eq!(paths.learn(PEER, 1300, now), Some(1300));
        assert_eq!(paths.learn(PEER, 1400, now), None);
        assert_eq!(paths.learn(PEER, 1300, now), None);
        assert_eq!(paths.learn(PEER, 1290, now), Some(1290));
        let later = now + AGE;
        assert_eq!(known(&paths, PEER, later), None);
        assert!(!paths.has_any.load(Ordering::Relaxed));
        assert_eq!(paths.learn(PEER, 1400, later), Some(1400));
    }

    /// The lock is held all the time.
    #[test]
    fn packets_to_others_take_no_lock() {
        let (paths, now) = (Paths::default(), Instant::now());
        paths.learn(PEER, 1300, now);
        assert_eq!(paths.known(PEER), Some(1300));
        let held = paths.narrow();
        assert_eq!(paths.known(PEER6), None);
        drop(held);
        assert_eq!(known(&paths, PEER, now + AGE), None);
        let _held = paths.narrow();
        assert_eq!(paths.known(PEER), None);
    }

    /// I5: peers without end take a bounded place.
    #[test]
    fn narrow_paths_are_bounded() {
        let (paths, now) = (Paths::default(), Instant::now());
        for number in 0..u32::try_from(MAX_PATHS).unwrap() {
            paths.learn(std::net::Ipv4Addr::from(number).into(), 1300, now);
        }
        assert_eq!(paths.learn(PEER, 1300, now), None);
        assert_eq!(paths.learn(PEER, 1300, now + AGE), Some(1300));
    }
}
