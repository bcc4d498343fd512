// SPDX-License-Identifier: Apache-2.0
//! What the engine holds: its interface and sockets, its packet threads, and the pairs of SAs.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ikeway_esp::{Ends, InboundSa, InstallError, OutboundSa, Policy, Spd, Terms};
use serde::Deserialize;

use crate::error::EngineError;
use crate::events::Reporter;
use crate::outbound::place_of;
use crate::pacemaker::Pacemaker;
use crate::pacing::Beat;
use crate::threads::Threads;
use crate::tun::Tun;
use crate::udp::{Listening, NO_PORT, Share, is_bare, listen};
use crate::used::{Trace, UsedKeys};
use crate::wiring::Wiring;
use crate::without::Without;

/// Where the engine listens, and the interface that it makes.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Configuration {
    pub(crate) listen: Vec<IpAddr>,
    pub(crate) port: u16,
    /// How many sockets for IKE each address has.
    pub(crate) workers: u32,
    /// Whether the daemon has those, from an engine before this one.
    pub(crate) is_joined: bool,
    /// How many of them the interface has, and sockets for ESP each address; each has two threads.
    pub(crate) queues: NonZeroU32,
    /// How long a thread that waits looks before it sleeps, in microseconds.
    pub(crate) busy_poll: u32,
    pub(crate) tun: String,
    pub(crate) mtu: u32,
}

/// Both halves of a Child SA, ready to carry packets.
pub(crate) struct Pair {
    pub(crate) inbound: InboundSa,
    pub(crate) outbound: OutboundSa,
    pub(crate) terms: Arc<Terms>,
    /// Whether it is for the queue that its inbound SPI names (RFC 9611).
    pub(crate) is_of_queue: bool,
    /// Whether the outbound half waits for the peer to use the pair (RFC 7296 §2.8).
    pub(crate) is_standby: bool,
    /// What its outbound keys are known by, once they were used.
    pub(crate) trace: Trace,
    /// What the outbound half sends by the clock, if it does.
    pub(crate) beat: Option<Beat>,
}

/// A configured engine. Dropping it stops the threads and removes interface and sockets.
pub(crate) struct Engine {
    configuration: Configuration,
    wiring: Wiring,
    pairs: BTreeMap<u32, Arc<Terms>>,
    threads: Threads,
    pacemaker: Pacemaker,
    /// Whether pairs come or go that the threads have not all seen yet.
    is_unsettled: bool,
    /// Those that go, by their inbound SPI.
    leaving: BTreeSet<u32>,
    /// Also those of pairs that went: a pair that came back would begin with number 1.
    used: UsedKeys,
}

impl Engine {
    /// Binds the sockets, makes the interface and starts the threads.
    pub(crate) fn start(
        configuration: Configuration,
        without: Without,
        reporter: &Reporter,
    ) -> Result<Self, EngineError> {
        let Configuration { port, workers, is_joined, queues, .. } = configuration;
        let share = Share { port, workers, queues, is_joined, without };
        let listen_at = &configuration.listen;
        let sockets = listen_at.iter().map(|ip| {
            let is_wildcard = |other: &IpAddr| {
                other.is_unspecified() && other != ip && other.is_ipv4() == ip.is_ipv4()
            };
            listen(*ip, share, listen_at.iter().any(is_wildcard))
        });
        let listening: Vec<Listening> = sockets.collect::<Result<_, _>>()?;
        let awake = Duration::from_micros(configuration.busy_poll.into());
        let tuns = Tun::create(&configuration.tun, configuration.mtu, queues, without)?;
        let wirings = Wiring::of_all(tuns, listening, reporter, awake, without);
        let threads = Threads::start(&wirings, queues, port)?;
        let wiring = wirings.into_iter().next().ok_or(EngineError::LaneEnded)?;
        Ok(Self {
            configuration,
            pairs: BTreeMap::new(),
            threads,
            pacemaker: Pacemaker::new(wiring.clone()),
            wiring,
            is_unsettled: false,
            leaving: BTreeSet::new(),
            used: UsedKeys::default(),
        })
    }

    pub(crate) const fn configuration(&self) -> &Configuration {
        &self.configuration
    }

    pub(crate) fn mtu(&self) -> usize {
        self.wiring.tun.mtu()
    }

    /// Returns the name of the interface.
    pub(crate) fn interface(&self) -> &str {
        self.wiring.tun.name()
    }

    /// Returns the descriptors of the IKE sockets, in the order of the listening addresses and,
    /// for each, of the workers.
    pub(crate) fn ike_sockets(&self) -> Vec<BorrowedFd<'_>> {
        self.wiring.listening.iter().flat_map(|one| one.ike.iter().map(AsFd::as_fd)).collect()
    }

    /// Returns the listening addresses.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.wiring.listening.iter().map(|listening| listening.address).collect()
    }

    /// Returns whether a packet thread had to give up.
    pub(crate) fn has_failed(&self) -> bool {
        self.wiring.is_stopping()
    }

    /// Installs a pair; both directions, or the inbound one alone, carry packets from
    /// [`Engine::settle`] on.
    pub(crate) fn install(&mut self, pair: Pair) -> Result<(), EngineError> {
        let path = pair.outbound.path();
        self.check_path(path, pair.outbound.is_ah())?;
        let Pair { mut inbound, outbound, terms, is_of_queue, is_standby, trace, beat } = pair;
        let spi_in = inbound.spi();
        if self.pairs.contains_key(&spi_in) {
            return Err(InstallError::SpiInUse(spi_in).into());
        }
        if self.used.contains(trace) {
            return Err(EngineError::KeysUsed(outbound.spi()));
        }
        inbound.expect_from(outbound.ends().clone());
        if is_standby {
            inbound.await_proof();
        }
        if self.leaving.contains(&spi_in) {
            self.settle()?;
        }
        if let Some(beat) = beat {
            self.pacemaker.install(spi_in, outbound.clone(), beat)?;
        }
        self.used.remember(trace);
        self.threads.lanes.install(inbound, &outbound, is_of_queue, is_standby);
        self.is_unsettled = true;
        self.pairs.insert(spi_in, terms);
        Ok(())
    }

    /// Waits until the threads have seen every pair that came or went.
    pub(crate) fn settle(&mut self) -> Result<(), EngineError> {
        if std::mem::take(&mut self.is_unsettled) {
            self.leaving.clear();
            self.threads.lanes.settle()?;
        }
        Ok(())
    }

    /// Waits until every thread that carries packets has looked around once more.
    pub(crate) fn pulse(&mut self) -> Result<(), EngineError> {
        self.is_unsettled = true;
        self.settle()?;
        self.pacemaker.pulse()
    }

    /// Has a pair on standby send, although the peer has not used it; others do so already.
    pub(crate) fn activate(&mut self, spi_in: u32) -> Result<(), EngineError> {
        if !self.pairs.contains_key(&spi_in) {
            return Err(EngineError::UnknownSpi(spi_in));
        }
        self.threads.lanes.activate(spi_in);
        self.is_unsettled = true;
        self.settle()
    }

    /// Changes where both ends of a pair are; keys, numbers and counters stay.
    pub(crate) fn migrate(
        &mut self,
        spi_in: u32,
        (local, peer): (SocketAddr, SocketAddr),
    ) -> Result<(), EngineError> {
        self.settle()?;
        let is_ah = self.threads.lanes.is_ah(spi_in)?.ok_or(EngineError::UnknownSpi(spi_in))?;
        self.check_path((local, peer), is_ah)?;
        let ends = Ends::from((local, peer));
        if !self.threads.lanes.migrate(spi_in, &ends)? {
            return Err(EngineError::UnknownSpi(spi_in));
        }
        self.pacemaker.migrate(spi_in, ends)?;
        self.wiring.reporter.forget_move(spi_in);
        Ok(())
    }

    /// Removes a pair and returns its terms, whose counters are final from [`Engine::settle`] on.
    pub(crate) fn remove(&mut self, spi_in: u32) -> Result<Arc<Terms>, EngineError> {
        let terms = self.pairs.remove(&spi_in).ok_or(EngineError::UnknownSpi(spi_in))?;
        self.leaving.insert(spi_in);
        self.pacemaker.remove(spi_in)?;
        let reporter = self.wiring.reporter.clone();
        self.threads.lanes.remove(spi_in, move || reporter.forget_move(spi_in));
        self.is_unsettled = true;
        Ok(terms)
    }

    /// Has the packets of a policy want an SA while there is none; `number` names it.
    pub(crate) fn trap(&mut self, number: u32, policy: &Policy) -> Result<(), EngineError> {
        self.settle()?;
        self.threads.lanes.trap(number, policy)
    }

    /// Takes back [`Engine::trap`].
    pub(crate) fn untrap(&self, number: u32) -> Result<(), EngineError> {
        self.threads.lanes.untrap(number)
    }

    /// Has these policies stand before all pairs.
    pub(crate) fn govern(&self, spd: Option<&Arc<Spd>>) -> Result<(), EngineError> {
        self.threads.lanes.govern(spd)
    }

    /// Removes every pair, trap and policy.
    pub(crate) fn reset(&mut self) -> Result<(), EngineError> {
        self.settle()?;
        self.pairs.clear();
        self.pacemaker.clear()?;
        self.threads.lanes.clear()?;
        self.wiring.reporter.forget_moves();
        Ok(())
    }

    /// Returns the terms of every pair, by the SPI of its inbound half.
    pub(crate) const fn pairs(&self) -> &BTreeMap<u32, Arc<Terms>> {
        &self.pairs
    }

    /// Returns what was learnt of the paths to peers whose addresses come behind `after`.
    pub(crate) fn paths_after(&self, after: Option<IpAddr>) -> BTreeMap<IpAddr, u16> {
        self.wiring.paths.all_after(after, Instant::now())
    }

    fn raw_addresses(&self, is_ah: bool) -> Vec<SocketAddr> {
        let sockets = |one: &Listening| if is_ah { one.ah.len() } else { one.bare.len() };
        let raw = self.wiring.listening.iter().filter(|one| sockets(one) > 0);
        raw.map(|listening| listening.address).collect()
    }

    /// Packets can leave only from an address and port that the engine listens at.
    fn check_path(
        &self,
        (local, peer): (SocketAddr, SocketAddr),
        is_ah: bool,
    ) -> Result<(), EngineError> {
        if is_ah && !is_bare(peer) {
            return Err(EngineError::Unsupported("AH cannot go into UDP".to_owned()));
        }
        if is_bare(peer) && place_of(&self.raw_addresses(is_ah), local.ip()).is_none() {
            let what = if is_ah { "AH" } else { "ESP without UDP" };
            return Err(EngineError::Unsupported(format!(
                "{what} from {} needs a raw socket: give the engine CAP_NET_RAW",
                local.ip()
            )));
        }
        let port = if is_bare(peer) { NO_PORT } else { self.configuration.port };
        if local.port() != port || place_of(&self.addresses(), local.ip()).is_none() {
            let listen = &self.configuration.listen;
            return Err(EngineError::Unsupported(format!(
                "{local} is not listened at: {listen:?} port {port}"
            )));
        }
        if local.is_ipv4() != peer.is_ipv4() || local.ip().is_unspecified() {
            return Err(EngineError::Unsupported(format!("no path from {local} to {peer}")));
        }
        Ok(())
    }
}
