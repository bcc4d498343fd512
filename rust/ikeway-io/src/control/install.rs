// SPDX-License-Identifier: Apache-2.0
//! Turns the Child SA of a message into SAs.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use ikeway_esp::{
    Counters, DirectionKeys, Hosts, InboundSa, InstallError, Ipcomp, OutboundSa, Outer, Policy,
    Selector, Shared, Spd, Suite, Terms,
};
use rustix::rand::{GetRandomFlags, getrandom};

use super::governing::Governing;
use super::messages::{Child, Encapsulation, Endpoint, Keys, Mode, TrafficSelector};
use crate::engine::Pair;
use crate::error::{Attempt, EngineError};
use crate::path_mtu::BLIND_MTU;
use crate::udp::{NO_PORT, known_mtu};
use crate::used::Trace;

/// Returns both halves of `child`, their keys expanded.
pub(super) fn pair(child: Child, is_standby: bool, mtu: usize) -> Result<Pair, EngineError> {
    let suite = Suite::find(child.suite.encr, child.suite.key_bits, child.suite.integ)?;
    let esn = child.suite.esn;
    let terms = Arc::new(terms(&child, &suite)?);
    let incoming = Shared { spi: child.spi_in, suite, esn, terms: Arc::clone(&terms) };
    let outgoing = Shared { spi: child.spi_out, ..incoming.clone() };
    let path = path(child.local, child.peer, &child.encapsulation);
    let mut inbound = InboundSa::new(incoming, &direction(child.keys_in), child.replay_window)?;
    let keys_out = direction(child.keys_out);
    let trace = Trace::of(child.spi_out, &keys_out);
    let mut outbound = OutboundSa::new(outgoing, path, &keys_out, &random_seed()?, 0)?;
    let mut beat = None;
    if let Some(flow) = child.traffic_flow {
        let hiding = flow.hide((inbound, outbound), &child.mode, mtu)?;
        (inbound, outbound, beat) = (hiding.inbound, hiding.outbound, hiding.beat);
    }
    if child.later_fragments {
        (inbound, outbound) = (inbound.following(), outbound.following());
    }
    let is_of_queue = child.is_of_queue;
    Ok(Pair { inbound, outbound, terms, is_of_queue, is_standby, trace, beat })
}

/// Returns what both halves abide by.
fn terms(child: &Child, suite: &Suite) -> Result<Terms, EngineError> {
    let policy = policy(&child.local_ts, &child.peer_ts)?;
    let counters = Counters::new(child.limits.budget(child.spi_in));
    let hosts = hosts(child, &policy)?.map(Box::new);
    let (ipcomp, outer) = (child.ipcomp.map(Ipcomp::from), child.outer.outer()?);
    let peer = child.peer.address;
    let outer = if suite.is_authentic() { within_link(outer, peer) } else { outer };
    Ok(Terms { policy, counters, hosts, ipcomp, outer })
}

/// Has an SA of AH make packets that their interface takes: unlike ESP's, whose first one that is too
/// long leaves in fragments, they go through a socket that takes no others.
///
/// The kernel may have been told of a narrow path by anybody, so it is believed as such are.
fn within_link(outer: Outer, peer: IpAddr) -> Outer {
    known_mtu(peer).map_or(outer, |mtu| outer.within(mtu.max(BLIND_MTU)))
}

fn hosts(child: &Child, policy: &Policy) -> Result<Option<Hosts>, InstallError> {
    let original = child.original.as_ref().map(|original| (original.local, original.peer));
    match child.mode {
        Mode::Tunnel => Ok(None),
        Mode::Transport => {
            let ends = (child.local.address, child.peer.address);
            Hosts::new(ends, original, policy).map(Some)
        }
    }
}

/// Returns both ends of a pair; ESP in no UDP has no ports.
pub(super) fn path(
    local: Endpoint,
    peer: Endpoint,
    encapsulation: &Encapsulation,
) -> (SocketAddr, SocketAddr) {
    match encapsulation {
        Encapsulation::Udp => (local.into(), peer.into()),
        Encapsulation::None => {
            (SocketAddr::new(local.address, NO_PORT), SocketAddr::new(peer.address, NO_PORT))
        }
    }
}

/// Returns the policy of both sides' selectors.
pub(super) fn policy(
    local: &[TrafficSelector],
    peer: &[TrafficSelector],
) -> Result<Policy, InstallError> {
    Policy::new(selectors(local)?, selectors(peer)?)
}

/// Returns the policies that stand before all pairs, if there are any.
pub(super) fn spd(policies: &[Governing]) -> Result<Option<Arc<Spd>>, InstallError> {
    let made =
        policies.iter().map(|one| Ok((one.action.into(), policy(&one.local_ts, &one.peer_ts)?)));
    let made: Vec<_> = made.collect::<Result<_, InstallError>>()?;
    if made.is_empty() { Ok(None) } else { Spd::new(&made).map(Arc::new).map(Some) }
}

fn selectors(selectors: &[TrafficSelector]) -> Result<Vec<Selector>, InstallError> {
    let made = selectors
        .iter()
        .map(|ts| Selector::new(ts.protocol, (ts.port_start, ts.port_end), ts.start, ts.end));
    made.collect()
}

fn direction(keys: Keys) -> DirectionKeys {
    DirectionKeys { encr: keys.encr.0, integ: keys.integ.0 }
}

/// Returns octets from the system's random source, for the IVs of an SA.
///
/// # Errors
/// [`EngineError::Host`] if the system has none.
pub fn random_seed() -> Result<[u8; 16], EngineError> {
    let mut seed = [0; 16];
    let filled =
        getrandom(&mut seed, GetRandomFlags::empty()).attempt(|| "random octets".to_owned())?;
    if filled == seed.len() {
        Ok(seed)
    } else {
        Err(EngineError::Request("no random octets".to_owned()))
    }
}
