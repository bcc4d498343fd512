// SPDX-License-Identifier: Apache-2.0
//! The control thread: serves one controller at a time and outlives it for a while.

use std::net::IpAddr;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ikeway_esp::Terms;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use zeroize::Zeroize;

use super::connection::{Connection, Door, Heard, MESSAGE_OCTETS};
use super::events::Event;
use super::install;
use super::messages::{Request, VERSION};
use super::replies::{Outcome, PAGE, Reply, Success, Usage, nonzero};
use crate::bell::Bell;
use crate::engine::{Configuration, Engine};
use crate::error::EngineError;
use crate::events::{Reporter, Reports, reports};
use crate::memory::{clear_up_at_once, return_what_is_large};
use crate::signals;
use crate::without::Without;

/// Requests about pairs that are carried out before they are answered.
const TOGETHER: usize = 64;
/// How often refusals and moves are told: one event a second for each SA and kind.
const REPORT_EVERY: Duration = Duration::from_secs(1);

/// An engine that can be reached, and is not configured yet.
pub struct Server {
    door: Door,
    termination: OwnedFd,
    bell: Bell,
    reporter: Reporter,
    reports: Reports,
    without: Without,
    controller: Option<Connection>,
    engine: Option<Engine>,
    alone_since: Instant,
    reported_at: Option<Instant>,
    is_ending: bool,
}

impl Server {
    /// Listens at `path`. Threads started later inherit that SIGTERM and SIGINT end [`Server::run`]
    /// instead of them.
    ///
    /// # Errors
    /// [`EngineError::Host`] if the socket cannot be bound, for one because another engine listens
    /// there; [`EngineError::Request`] if the environment asks to leave out what there is not.
    pub fn bind(path: &Path) -> Result<Self, EngineError> {
        let without = Without::of_environment()?;
        signals::keep_secrets();
        return_what_is_large();
        clear_up_at_once();
        let termination = signals::termination()?;
        let bell = Bell::new()?;
        let (reporter, reports) = reports(bell.clone());
        Ok(Self {
            door: Door::open(path)?,
            termination,
            bell,
            reporter,
            reports,
            without,
            controller: None,
            engine: None,
            alone_since: Instant::now(),
            reported_at: None,
            is_ending: false,
        })
    }

    /// Serves until it is told to end, gets a signal, or was alone for `linger`.
    ///
    /// # Errors
    /// [`EngineError::LaneEnded`] if the interface was taken away.
    pub fn run(&mut self, linger: Duration) -> Result<(), EngineError> {
        let mut buffer = vec![0; MESSAGE_OCTETS];
        while !self.is_ending && !self.was_alone_for(linger) {
            let ready = self.wait(linger);
            if ready.termination {
                return Ok(());
            }
            // In this order, so that who has left makes room for who comes.
            self.serve(&mut buffer);
            if ready.door {
                self.admit();
            }
            self.bell.hush();
            self.report();
            if self.engine.as_ref().is_some_and(Engine::has_failed) {
                return Err(EngineError::LaneEnded);
            }
        }
        Ok(())
    }

    fn was_alone_for(&self, linger: Duration) -> bool {
        self.controller.is_none() && self.alone_since.elapsed() >= linger
    }

    fn wait(&self, linger: Duration) -> Ready {
        let timeout = self.timeout(linger).and_then(|timeout| Timespec::try_from(timeout).ok());
        let mut descriptors = vec![
            PollFd::new(&self.termination, PollFlags::IN),
            PollFd::new(&self.door, PollFlags::IN),
            PollFd::new(&self.bell, PollFlags::IN),
        ];
        descriptors.extend(
            self.controller.as_ref().map(|controller| PollFd::new(controller, PollFlags::IN)),
        );
        // An interrupted wait is a short wait.
        let _ = poll(&mut descriptors, timeout.as_ref());
        let is_ready =
            |place: usize| descriptors.get(place).is_some_and(|fd| !fd.revents().is_empty());
        Ready { termination: is_ready(0), door: is_ready(1) }
    }

    /// How long nothing has to be done unless something happens.
    fn timeout(&self, linger: Duration) -> Option<Duration> {
        if self.controller.is_none() {
            return Some(linger.saturating_sub(self.alone_since.elapsed()));
        }
        self.reports.has_news().then(|| REPORT_EVERY.saturating_sub(self.since_report()))
    }

    fn since_report(&self) -> Duration {
        self.reported_at.map_or(REPORT_EVERY, |at| at.elapsed())
    }

    fn admit(&mut self) {
        let Some(connection) = self.door.accept() else { return };
        if self.controller.is_some() {
            let outcome = EngineError::Busy.into();
            return connection.tell(&encode(&Reply { id: None, outcome }));
        }
        self.controller = Some(connection);
    }

    /// Answers what the controller asks, one request after the other. Of pairs that come or go the
    /// packet threads are waited for once for all requests that are there.
    fn serve(&mut self, buffer: &mut [u8]) {
        let mut done = Vec::new();
        while let Some(controller) = self.controller.take() {
            match controller.receive(buffer) {
                Heard::End => self.alone_since = Instant::now(),
                Heard::Nothing => {
                    self.controller = Some(controller);
                    self.settle(&mut done);
                    return;
                }
                Heard::Message(length) => {
                    self.controller = Some(controller);
                    let message = buffer.get_mut(..length);
                    done.push(self.take(message.as_deref()));
                    if let Some(octets) = message {
                        octets.zeroize();
                    }
                    // What is no matter of pairs is answered at once.
                    let may_wait = done.last().is_some_and(|one| one.outcome.is_pair());
                    if done.len() >= TOGETHER || !may_wait {
                        self.settle(&mut done);
                    }
                }
            }
        }
    }

    /// Waits for the packet threads, and answers.
    fn settle(&mut self, done: &mut Vec<Taken>) {
        let is_settled = self.engine.as_mut().map_or(Ok(()), Engine::settle).is_ok();
        for Taken { id, outcome } in done.drain(..) {
            let outcome = match outcome {
                Taking::Done(outcome) => outcome,
                _ if !is_settled => EngineError::LaneEnded.into(),
                Taking::Installed => Outcome::Ok(Success::Done {}),
                Taking::Removed { spi_in, terms } => {
                    Outcome::Ok(self.counted(vec![Usage::of(spi_in, &terms.counters)], None))
                }
            };
            let Some(controller) = self.controller.take() else { return };
            self.answer(controller, &Reply { id, outcome });
        }
    }

    fn answer(&mut self, controller: Connection, reply: &Reply) {
        let descriptors = match &reply.outcome {
            Outcome::Ok(Success::Configured { .. }) => self.ike_sockets(),
            _ => Vec::new(),
        };
        if controller.answer(&encode(reply), &descriptors).is_ok() {
            self.controller = Some(controller);
        } else {
            self.alone_since = Instant::now();
        }
    }

    fn ike_sockets(&self) -> Vec<BorrowedFd<'_>> {
        self.engine.as_ref().map(Engine::ike_sockets).unwrap_or_default()
    }

    fn take(&mut self, message: Option<&[u8]>) -> Taken {
        let parsed = match message {
            Some(octets) => {
                serde_json::from_slice::<Request>(octets).map_err(|error| error.to_string())
            }
            None => Err(format!("a message has at most {MESSAGE_OCTETS} octets")),
        };
        match parsed {
            Ok(request) => {
                let id = Some(request.id());
                let failed = |error: EngineError| Taking::Done(error.into());
                Taken { id, outcome: self.perform(request).unwrap_or_else(failed) }
            }
            Err(reason) => {
                Taken { id: None, outcome: Taking::Done(EngineError::Request(reason).into()) }
            }
        }
    }

    fn perform(&mut self, request: Request) -> Result<Taking, EngineError> {
        match request {
            Request::Install { child, standby, .. } => {
                let engine = self.configured()?;
                engine.install(install::pair(*child, standby, engine.mtu())?)?;
                Ok(Taking::Installed)
            }
            Request::Remove { spi_in, .. } => {
                let terms = self.configured()?.remove(spi_in)?;
                Ok(Taking::Removed { spi_in, terms })
            }
            other => Ok(Taking::Done(Outcome::Ok(self.perform_at_once(other)?))),
        }
    }

    fn perform_at_once(&mut self, request: Request) -> Result<Success, EngineError> {
        match request {
            Request::Install { .. } | Request::Remove { .. } => (),
            Request::Hello { .. } => return Ok(self.hello()),
            Request::Pulse { .. } => self.engine.as_mut().map_or(Ok(()), Engine::pulse)?,
            Request::Configure { configuration, .. } => return self.configure(configuration),
            Request::Usage { spi_in, .. } => return self.usage(spi_in),
            Request::Usages { start, .. } => return self.usages(start),
            Request::Paths { after, .. } => return self.paths(after),
            Request::Activate { spi_in, .. } => self.configured()?.activate(spi_in)?,
            Request::Migrate { spi_in, local, peer, encapsulation, .. } => {
                let path = install::path(local, peer, &encapsulation);
                self.configured()?.migrate(spi_in, path)?;
            }
            Request::Trap { trap, local_ts, peer_ts, .. } => {
                let policy = install::policy(&local_ts, &peer_ts)?;
                self.configured()?.trap(trap, &policy)?;
            }
            Request::Untrap { trap, .. } => self.configured()?.untrap(trap)?,
            Request::Govern { policies, .. } => {
                self.configured()?.govern(install::spd(&policies)?.as_ref())?;
            }
            Request::Reset { .. } => self.engine.as_mut().map_or(Ok(()), Engine::reset)?,
            Request::Shutdown { .. } => self.is_ending = true,
        }
        Ok(Success::Done {})
    }

    fn configured(&mut self) -> Result<&mut Engine, EngineError> {
        self.engine.as_mut().ok_or(EngineError::NotConfigured)
    }

    fn hello(&self) -> Success {
        let is_configured = self.engine.is_some();
        Success::Hello { version: VERSION, pid: std::process::id(), is_configured }
    }

    fn configure(&mut self, configuration: Configuration) -> Result<Success, EngineError> {
        let engine = match self.engine.take() {
            None => Engine::start(configuration, self.without, &self.reporter)?,
            Some(engine) if *engine.configuration() == configuration => engine,
            Some(engine) => {
                self.engine = Some(engine);
                return Err(EngineError::Conflict);
            }
        };
        let sockets = engine.addresses().into_iter().map(Into::into).collect();
        let interface = engine.interface().to_owned();
        self.engine = Some(engine);
        Ok(Success::Configured { interface, sockets })
    }

    fn usage(&mut self, spi_in: u32) -> Result<Success, EngineError> {
        let terms = self.configured()?.pairs().get(&spi_in);
        let terms = terms.ok_or(EngineError::UnknownSpi(spi_in))?;
        let usage = Usage::of(spi_in, &terms.counters);
        Ok(self.counted(vec![usage], None))
    }

    fn usages(&mut self, start: u32) -> Result<Success, EngineError> {
        let mut rest = self.configured()?.pairs().range(start..);
        let page = rest.by_ref().take(PAGE);
        let sas = page.map(|(spi, terms)| Usage::of(*spi, &terms.counters)).collect();
        let next = rest.next().map(|(spi, _)| *spi);
        Ok(self.counted(sas, next))
    }

    fn paths(&mut self, after: Option<IpAddr>) -> Result<Success, EngineError> {
        let mut paths = self.configured()?.paths_after(after);
        let rest = paths.keys().nth(PAGE).copied();
        let beyond = rest.map(|first| paths.split_off(&first));
        let next = beyond.and(paths.keys().last().copied());
        Ok(Success::Paths { paths, next })
    }

    fn counted(&self, sas: Vec<Usage>, next: Option<u32>) -> Success {
        Success::Usage { sas, next, refused: nonzero(|refusal| self.reports.refused(refusal)) }
    }

    /// Passes on what the packet threads noted; without a controller it is forgotten.
    fn report(&mut self) {
        while let Some(stray) = self.reports.next_stray() {
            self.tell(&stray.into());
        }
        while let Some(want) = self.reports.next_want() {
            self.tell(&want.into());
        }
        for (peer, mtu) in self.reports.take_narrowed() {
            self.tell(&Event::path_mtu(peer, mtu));
        }
        for news in self.reports.take_streams() {
            self.tell(&news.into());
        }
        for spent in self.reports.take_spent() {
            self.tell(&spent.into());
        }
        if self.since_report() >= REPORT_EVERY && self.reports.has_news() {
            self.reported_at = Some(Instant::now());
            for note in self.reports.take_notes() {
                self.tell(&note.into());
            }
            for (spi_in, peer) in self.reports.take_moves() {
                self.tell(&Event::peer_moved(spi_in, peer));
            }
        }
    }

    fn tell(&self, event: &Event) {
        if let Some(controller) = &self.controller {
            controller.tell(&encode(event));
        }
    }
}

/// A request that was carried out, and is to be answered.
struct Taken {
    id: Option<u64>,
    outcome: Taking,
}

/// How it went. Pairs come and go with [`Engine::settle`], and what a pair carried is known then.
enum Taking {
    Done(Outcome),
    Installed,
    Removed { spi_in: u32, terms: Arc<Terms> },
}

impl Taking {
    const fn is_pair(&self) -> bool {
        matches!(self, Self::Installed | Self::Removed { .. })
    }
}

/// What `wait` found.
struct Ready {
    termination: bool,
    door: bool,
}

fn encode(message: &impl serde::Serialize) -> Vec<u8> {
    // Every message is made of text and numbers, which JSON can always say.
    serde_json::to_vec(message).unwrap_or_default()
}
