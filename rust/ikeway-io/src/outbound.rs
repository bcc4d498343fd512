// SPDX-License-Identifier: Apache-2.0
//! From the TUN interface to the network: find the SA, seal, send (RFC 4301 §5.1).

mod sorting;

use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::time::Instant;

use ikeway_esp::{Compressor, Flow, OutboundSa, OutboundTable, Refusal};
use rustix::io::Errno;

use crate::bell::Bell;
use crate::events::{Reporter, Want};
use crate::kept::Kept;
use crate::mailbox::Inbox;
use crate::path_mtu::{Narrow, Paths};
use crate::rhythm::Pace;
use crate::tun::{HEADER_OCTETS, Handed, Tun};
use crate::udp::{Listening, Path, SendBatch, is_bare, known_mtu};
use crate::waiting::wait;
use crate::wiring::Wiring;
use crate::without::Technique;

/// The longest packet that the interface hands over, with its header.
const READ_OCTETS: usize = HEADER_OCTETS + (1 << 16);
/// Packets read before what was sealed is sent, and octets: a few of the longest are enough.
const READS: usize = 64;
const OCTETS: usize = 4 << 16;
/// A shorter packet is not cut.
const SHORT: usize = 2048;

/// The sending half of a queue: what it shares with the others, its mail, and what it owns.
///
/// It is one thread's at any time, and goes from one to the other as [`crate::relay`] says.
pub(crate) struct Outbound {
    wiring: Wiring,
    inbox: Inbox<OutboundTable>,
    lane: Lane,
    buffer: Box<[u8]>,
    reads: usize,
}

impl Outbound {
    pub(crate) fn new(wiring: Wiring, inbox: Inbox<OutboundTable>) -> Self {
        let lane = Lane {
            table: OutboundTable::default(),
            sender: Sender::new(&wiring),
            reporter: wiring.reporter.clone(),
            kept: Kept::default(),
            mtu: wiring.tun.mtu(),
            compressor: None,
            paths: Arc::clone(&wiring.paths),
            tun: Arc::clone(&wiring.tun),
            start: Instant::now(),
        };
        let reads = wiring.without.limit(Technique::Batches, READS);
        Self { wiring, inbox, lane, buffer: vec![0; READ_OCTETS].into(), reads }
    }

    /// Returns what rings when there is mail.
    pub(crate) fn bell(&self) -> &Bell {
        &self.inbox.bell
    }

    /// Does what was asked for, and sends what has waited for that.
    pub(crate) fn read_mail(&mut self) {
        self.inbox.run(&mut self.lane.table);
        self.lane.release();
        self.lane.sender.flush();
    }

    /// Reads what is there, up to a batch, and sends it. Returns whether there was anything.
    ///
    /// A lone packet leaves before the next is asked for, unless it is long enough to be a part of much.
    pub(crate) fn drain(&mut self, pace: Pace) -> bool {
        let mut octets = 0;
        for _ in 0..self.reads {
            match self.wiring.tun.read(&mut self.buffer) {
                Ok(length) => {
                    octets += length;
                    self.lane.take(self.buffer.get_mut(..length).unwrap_or_default());
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR) => (),
                Err(_) => {
                    // The interface was taken away.
                    self.wiring.fail();
                    break;
                }
            }
            if octets > OCTETS || (pace == Pace::Lone && octets < SHORT) {
                break;
            }
        }
        self.lane.sender.flush();
        self.lane.sender.look_around(&self.lane.paths, &self.lane.reporter);
        if self.lane.table.tracks() {
            self.lane.forget_fragments();
        }
        octets > 0
    }
}

struct Lane {
    table: OutboundTable,
    sender: Sender,
    reporter: Reporter,
    kept: Kept,
    mtu: usize,
    /// Made for the first SA that compresses.
    compressor: Option<Box<Compressor>>,
    paths: Arc<Paths>,
    tun: Arc<Tun>,
    /// What fragments have their age from.
    start: Instant,
}

impl Lane {
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
        if self.table.sorts(handed.packet()) {
            return self.sort(flow, octets);
        }
        if self.carry(&flow, handed)? { Ok(()) } else { self.spring(&flow, octets) }
    }

    /// Sends a packet as one with these selectors. Returns whether there is an SA for it.
    #[inline]
    fn carry(&mut self, flow: &Flow, mut handed: Handed<'_>) -> Result<bool, Refusal> {
        if !self.table.permits(flow) {
            return Err(Refusal::Discarded);
        }
        let found = match self.table.find(flow) {
            Some(sa) => Some(sa),
            None => self.table.awaken(flow),
        };
        let Some(sa) = found else { return Ok(false) };
        if let Some(backlog) = sa.backlog() {
            return wait(sa, backlog, flow, &mut handed, &self.tun).map(|()| true);
        }
        let path = self.sender.path(sa, handed.packet())?;
        let (sender, reporter) = (&mut self.sender, &self.reporter);
        let most = self.paths.longest_inner(sa).filter(|_| !sender.is_free(path));
        let sealed = match (most, sa.ipcomp()) {
            (Some(most), _) => {
                let narrow = Narrow { sa, path, most };
                narrow.send(&mut handed, flow, sender, (&self.tun, reporter))
            }
            (None, None) => handed.each(|packet| {
                sender.send(sa, path, packet, reporter, |room| sa.seal(packet, room))
            }),
            (None, Some(ipcomp)) => {
                let compressor = self.compressor.get_or_insert_with(Box::default);
                handed.each(|packet| {
                    let seal =
                        |room: &mut [u8]| sa.seal_compressed(ipcomp, compressor, packet, room);
                    sender.send(sa, path, packet, reporter, seal)
                })
            }
        };
        if let Err(refusal) = sealed {
            sa.counters().refuse(refusal);
            self.reporter.refuse(refusal, sa.spi(), Some(path.peer));
        }
        Ok(true)
    }
}

impl Lane {
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

/// The sockets of one kind that an address has, by queue.
type Sockets = fn(&Listening) -> &Vec<OwnedFd>;

fn free_esp(listening: &Listening) -> &Vec<OwnedFd> {
    &listening.free.esp
}

fn free_bare(listening: &Listening) -> &Vec<OwnedFd> {
    &listening.free.bare
}

/// The sockets, and what waits to leave through them.
pub(crate) struct Sender {
    listening: Arc<[Listening]>,
    queue: usize,
    /// Those for ESP in UDP, then those for bare ESP, then those for AH: which of an address, and of
    /// which address.
    sockets: Vec<(Sockets, usize)>,
    /// The addresses of each kind.
    in_udp: Vec<SocketAddr>,
    bare: Vec<SocketAddr>,
    ah: Vec<SocketAddr>,
    /// How many there are of all kinds: behind them stand those of ESP for what routers may
    /// fragment, one of each for all queues.
    bound: usize,
    batch: SendBatch,
}

impl Sender {
    pub(crate) fn new(wiring: &Wiring) -> Self {
        let Wiring { ref listening, queue, without, .. } = *wiring;
        let mut sockets = Vec::new();
        let mut gather = |which: Sockets| {
            let with_one = listening.iter().enumerate().filter(|(_, one)| which(one).len() > queue);
            let (places, addresses) = with_one
                .map(|(place, one)| ((which, place), one.address))
                .unzip::<_, _, Vec<_>, _>();
            sockets.extend(places);
            addresses
        };
        let in_udp = gather(|one| &one.esp);
        let bare = gather(|one| &one.bare);
        let ah = gather(|one| &one.ah);
        let bound = sockets.len();
        sockets.extend((0..listening.len()).map(|place| (free_esp as Sockets, place)));
        let with_bare = listening.iter().enumerate().filter(|(_, one)| one.bare.len() > queue);
        sockets.extend(with_bare.map(|(place, _)| (free_bare as Sockets, place)));
        Self {
            listening: Arc::clone(listening),
            queue,
            sockets,
            in_udp,
            bare,
            ah,
            bound,
            batch: SendBatch::new(without),
        }
    }

    /// Nothing is sealed on an SA that has carried all that it may, nor is it counted.
    #[inline]
    pub(crate) fn send(
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

    /// Whether routers may fragment what goes this way.
    fn is_free(&self, path: Path) -> bool {
        path.socket >= self.bound
    }

    /// Returns the same way for what routers may fragment.
    pub(crate) fn freed(&self, path: Path) -> Path {
        let is_esp = path.socket < self.in_udp.len() + self.bare.len();
        Path { socket: path.socket + if is_esp { self.bound } else { 0 }, ..path }
    }

    /// Sends a payload of a stream. Neither the class nor ECN of what is in it shows (RFC 9347
    /// §2.2.5).
    pub(crate) fn send_payload(&mut self, sa: &OutboundSa, payload: &[u8]) -> Result<(), Refusal> {
        self.send_own(sa, payload.len(), |buffer| sa.seal_stream(payload, buffer))
    }

    /// Sends a packet that the peer throws away; `most` is what the path carries of inner packets.
    pub(crate) fn send_dummy(
        &mut self,
        sa: &OutboundSa,
        most: Option<usize>,
    ) -> Result<(), Refusal> {
        self.send_own(sa, 0, |buffer| sa.seal_dummy(most, buffer))
    }

    fn send_own(
        &mut self,
        sa: &OutboundSa,
        octets: usize,
        seal: impl FnOnce(&mut [u8]) -> Result<usize, Refusal>,
    ) -> Result<(), Refusal> {
        if sa.counters().budget.is_over() {
            return Err(Refusal::Spent);
        }
        let path = self.path(sa, &[])?;
        self.make_room(sa.room(octets));
        let length = seal(self.batch.free())?;
        self.batch.push(path, length);
        Ok(())
    }

    fn make_room(&mut self, octets: usize) {
        if !self.batch.has_room(octets) {
            self.flush();
        }
    }

    pub(crate) fn flush(&mut self) {
        let Self { listening, queue, sockets, bound, batch, .. } = self;
        batch.flush(|place| {
            let (which, address) = sockets.get(place)?;
            let queue = if place < *bound { *queue } else { 0 };
            which(listening.get(*address)?).get(queue).map(AsFd::as_fd)
        });
    }

    /// Learns from what an interface of the host would not take.
    pub(crate) fn look_around(&mut self, paths: &Paths, reporter: &Reporter) {
        if let Some(peer) = self.batch.take_too_long()
            && let Some(mtu) = known_mtu(peer.ip())
        {
            paths.hear(peer.ip(), mtu, reporter);
        }
    }

    /// The socket bound to the SA's own address is the best, else that of any address of the
    /// family.
    fn path(&self, sa: &OutboundSa, inner: &[u8]) -> Result<Path, Refusal> {
        let (local, peer) = sa.path();
        let (class, is_free) = (sa.outer().class(inner), sa.outer().is_fragmentable(inner));
        let (before, addresses) =
            if is_bare(peer) { self.raw(sa.is_ah()) } else { (0, &self.in_udp) };
        let socket = before + place_of(addresses, local.ip()).ok_or(Refusal::NoSa)?;
        let path = Path { socket, local, peer, class };
        Ok(if is_free { self.freed(path) } else { path })
    }
}

impl Sender {
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
