// SPDX-License-Identifier: Apache-2.0
//! The thread from the TUN interface to the network: find the SA, seal, send (RFC 4301 §5.1).

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use ikeway_esp::{Compressor, Flow, OutboundSa, OutboundTable, Refusal, traffic_class};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

use crate::events::{Reporter, Want};
use crate::kept::Kept;
use crate::mailbox::Inbox;
use crate::tun::{HEADER_OCTETS, Handed};
use crate::udp::{Listening, Path, SendBatch, is_bare};
use crate::wiring::{Wiring, exhaust, is_ready};

/// The longest packet that the interface hands over, with its header.
const READ_OCTETS: usize = HEADER_OCTETS + (1 << 16);
/// Packets read before what was sealed is sent.
const READS: usize = 64;

/// The thread: what it shares with the others, and its mail.
pub(crate) struct Outbound {
    pub(crate) wiring: Wiring,
    pub(crate) inbox: Inbox<OutboundTable>,
}

impl Outbound {
    /// Runs until the engine stops.
    pub(crate) fn run(&self) {
        let mut lane = Lane {
            table: OutboundTable::default(),
            sender: Sender::new(&self.wiring.listening, self.wiring.queue),
            reporter: &self.wiring.reporter,
            kept: Kept::default(),
            mtu: self.wiring.tun.mtu(),
            compressor: None,
        };
        let mut buffer = vec![0; READ_OCTETS];
        let mut ready = [
            PollFd::new(&*self.wiring.tun, PollFlags::IN),
            PollFd::new(&self.inbox.bell, PollFlags::IN),
        ];
        self.wiring.repeat(|| {
            // An interrupted wait is a short wait.
            let _ = poll(&mut ready, None);
            if is_ready(&ready[1]) {
                self.inbox.run(&mut lane.table);
                lane.release();
            }
            exhaust(|| self.drain(&mut lane, &mut buffer));
        });
    }

    /// Reads what is there, up to a batch, and sends it. Returns whether there was anything.
    fn drain(&self, lane: &mut Lane<'_>, buffer: &mut [u8]) -> bool {
        let mut has_read = false;
        for _ in 0..READS {
            match self.wiring.tun.read(buffer) {
                Ok(length) => {
                    has_read = true;
                    lane.take(buffer.get_mut(..length).unwrap_or_default());
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => (),
                Err(_) => {
                    // The interface was taken away.
                    self.wiring.fail();
                    break;
                }
            }
        }
        lane.sender.flush();
        has_read
    }
}

/// What the thread owns.
struct Lane<'engine> {
    table: OutboundTable,
    sender: Sender<'engine>,
    reporter: &'engine Reporter,
    kept: Kept,
    mtu: usize,
    /// Made for the first SA that compresses.
    compressor: Option<Box<Compressor>>,
}

impl Lane<'_> {
    /// Seals what one read of the interface gave, or drops it: nothing leaves in clear.
    fn take(&mut self, octets: &mut [u8]) {
        if let Err(refusal) = self.protect(octets) {
            self.reporter.refuse_own(refusal);
        }
    }

    fn protect(&mut self, octets: &mut [u8]) -> Result<(), Refusal> {
        let mut handed = Handed::read(octets)?;
        handed.clamp(self.mtu);
        let flow = Flow::read(handed.packet())?;
        let found = match self.table.find(&flow) {
            Some(sa) => Some(sa),
            None => self.table.awaken(&flow),
        };
        let Some(sa) = found else { return self.spring(&flow, octets) };
        let path = self.sender.path(sa, traffic_class(handed.packet()))?;
        let reporter = self.reporter;
        let sealed = match sa.ipcomp() {
            None => handed.each(|packet| {
                self.sender.send(sa, path, packet, reporter, |room| sa.seal(packet, room))
            }),
            Some(ipcomp) => {
                let compressor = self.compressor.get_or_insert_with(Box::default);
                handed.each(|packet| {
                    let seal =
                        |room: &mut [u8]| sa.seal_compressed(ipcomp, compressor, packet, room);
                    self.sender.send(sa, path, packet, reporter, seal)
                })
            }
        };
        if let Err(refusal) = sealed {
            sa.counters().refuse(refusal);
            self.reporter.refuse(refusal, sa.spi(), Some(path.peer));
        }
        Ok(())
    }
}

impl Lane<'_> {
    /// Keeps a packet that a trap is set for, and asks for its SA; others are dropped.
    #[cold]
    fn spring(&mut self, flow: &Flow, octets: &[u8]) -> Result<(), Refusal> {
        let trap = self.table.trapped(flow).ok_or(Refusal::NoSa)?;
        let now = Instant::now();
        if self.kept.is_news(trap, now) {
            self.reporter.want(Want { trap, flow: *flow });
        }
        if self.kept.keep(octets, now) { Ok(()) } else { Err(Refusal::NoSa) }
    }

    /// Sends what has waited and has an SA now.
    fn release(&mut self) {
        if self.kept.is_empty() {
            return;
        }
        for (since, mut octets) in self.kept.take(Instant::now()) {
            if self.has_sa(&octets) {
                self.take(&mut octets);
            } else {
                self.kept.put_back(since, octets);
            }
        }
    }

    fn has_sa(&mut self, octets: &[u8]) -> bool {
        let flow = Flow::read(octets.get(HEADER_OCTETS..).unwrap_or_default());
        flow.is_ok_and(|flow| {
            self.table.find(&flow).is_some() || self.table.awaken(&flow).is_some()
        })
    }
}

/// The sockets, and what waits to leave through them.
pub(crate) struct Sender<'engine> {
    sockets: Vec<BorrowedFd<'engine>>,
    /// The addresses of the first of them, for ESP in UDP; of the next, for bare ESP; and of the
    /// last, for AH.
    in_udp: Vec<SocketAddr>,
    bare: Vec<SocketAddr>,
    ah: Vec<SocketAddr>,
    batch: SendBatch,
}

impl<'engine> Sender<'engine> {
    pub(crate) fn new(listening: &'engine [Listening], queue: usize) -> Self {
        let sockets = |which: fn(&Listening) -> &Vec<OwnedFd>| {
            let own = move |one| Some((one, which(one).get(queue)?));
            listening.iter().filter_map(own).map(|(one, socket)| (one.address, socket.as_fd()))
        };
        let in_udp = sockets(|one| &one.esp);
        let (bare, ah) = (sockets(|one| &one.bare), sockets(|one| &one.ah));
        let all = in_udp.clone().chain(bare.clone()).chain(ah.clone());
        Self {
            sockets: all.map(|(_, socket)| socket).collect(),
            in_udp: in_udp.map(|(address, _)| address).collect(),
            bare: bare.map(|(address, _)| address).collect(),
            ah: ah.map(|(address, _)| address).collect(),
            batch: SendBatch::new(),
        }
    }

    /// Nothing is sealed on an SA that has carried all that it may, nor is it counted.
    #[inline]
    fn send(
        &mut self,
        sa: &OutboundSa,
        path: Path,
        inner: &[u8],
        reporter: &Reporter,
        seal: impl FnOnce(&mut [u8]) -> Result<usize, Refusal>,
    ) -> Result<(), Refusal> {
        let counters = sa.counters();
        if counters.budget.is_over() {
            return Err(Refusal::Spent);
        }
        self.make_room(sa.room(inner.len()));
        let length = seal(self.batch.free())?;
        self.batch.push(path, length);
        if let Some(limit) = counters.send(inner.len()) {
            reporter.spent(counters.budget.pair(), limit);
        }
        Ok(())
    }

    /// Sends a packet that the peer throws away.
    pub(crate) fn send_dummy(&mut self, sa: &OutboundSa) -> Result<(), Refusal> {
        if sa.counters().budget.is_over() {
            return Err(Refusal::Spent);
        }
        let path = self.path(sa, 0)?;
        self.make_room(sa.room(0));
        let length = sa.seal_dummy(self.batch.free())?;
        self.batch.push(path, length);
        Ok(())
    }

    fn make_room(&mut self, octets: usize) {
        if !self.batch.has_room(octets) {
            self.flush();
        }
    }

    pub(crate) fn flush(&mut self) {
        self.batch.flush(&self.sockets);
    }

    /// The socket bound to the SA's own address is the best, else that of any address of the
    /// family.
    fn path(&self, sa: &OutboundSa, class: u8) -> Result<Path, Refusal> {
        let (local, peer) = sa.path();
        let (before, addresses) =
            if is_bare(peer) { self.raw(sa.is_ah()) } else { (0, &self.in_udp) };
        let socket = before + place_of(addresses, local.ip()).ok_or(Refusal::NoSa)?;
        Ok(Path { socket, local, peer, class })
    }
}

impl Sender<'_> {
    /// Returns how many sockets are before those of bare ESP, or of AH, and where these are.
    const fn raw(&self, is_ah: bool) -> (usize, &Vec<SocketAddr>) {
        let before = self.in_udp.len();
        if is_ah { (before + self.bare.len(), &self.ah) } else { (before, &self.bare) }
    }
}

/// Returns which of the listening addresses `local` belongs to.
pub(crate) fn place_of(addresses: &[SocketAddr], local: IpAddr) -> Option<usize> {
    let exact = addresses.iter().position(|address| address.ip() == local);
    let is_wildcard = |address: &SocketAddr| {
        address.ip().is_unspecified() && address.is_ipv4() == local.is_ipv4()
    };
    exact.or_else(|| addresses.iter().position(is_wildcard))
}
