// SPDX-License-Identifier: Apache-2.0
//! Turns the Child SA of a message into SAs.

use std::net::SocketAddr;
use std::sync::Arc;

use ikeway_esp::{
    Counters, DirectionKeys, Hosts, InboundSa, InstallError, Ipcomp, OutboundSa, Policy, Selector,
    Shared, Spd, Suite,
};
use rustix::rand::{GetRandomFlags, getrandom};

use super::governing::Governing;
use super::messages::{Child, Encapsulation, Endpoint, Keys, Mode, TrafficSelector};
use crate::engine::Pair;
use crate::error::{Attempt, EngineError};
use crate::udp::NO_PORT;
use crate::used::Trace;

/// Returns both halves of `child`, their keys expanded.
pub(super) fn pair(child: Child, is_standby: bool, mtu: usize) -> Result<Pair, EngineError> {
    let suite = Suite::find(child.suite.encr, child.suite.key_bits, child.suite.integ)?;
    let esn = child.suite.esn;
    let policy = Arc::new(policy(&child.local_ts, &child.peer_ts)?);
    let counters = Arc::new(Counters::new(child.limits.budget(child.spi_in)));
    let hosts = hosts(&child, &policy)?.map(Arc::new);
    let ipcomp = child.ipcomp.map(Ipcomp::from);
    let incoming = Shared { spi: child.spi_in, suite, esn, policy, counters, hosts, ipcomp };
    let outgoing = Shared { spi: child.spi_out, ..incoming.clone() };
    let counters = Arc::clone(&incoming.counters);
    let path = path(child.local, child.peer, &child.encapsulation);
    let mut inbound = InboundSa::new(incoming, &direction(child.keys_in), child.replay_window)?;
    let keys_out = direction(child.keys_out);
    let trace = Trace::of(child.spi_out, &keys_out);
    let mut outbound = OutboundSa::new(outgoing, path, &keys_out, &random_seed()?, 0)?
        .with_outer(child.outer.outer()?);
    let mut beat = None;
    if let Some(flow) = child.traffic_flow {
        let hiding = flow.hide((inbound, outbound), &child.mode, mtu)?;
        (inbound, outbound, beat) = (hiding.inbound, hiding.outbound, hiding.beat);
    }
    if child.later_fragments {
        (inbound, outbound) = (inbound.following(), outbound.following());
    }
    let is_of_queue = child.is_of_queue;
    Ok(Pair { inbound, outbound, counters, is_of_queue, is_standby, trace, beat })
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
