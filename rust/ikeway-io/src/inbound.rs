// SPDX-License-Identifier: Apache-2.0
//! The thread from the network to the TUN interface: find the SA, open, write (RFC 4301 §5.2, RFC
//! 3948 §2).

mod ah;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use ikeway_esp::{
    Delivery, Expander, InboundSa, InboundTable, Refusal, Verified, carry_congestion,
};
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;

use crate::crossing::{Arrivals, Crossing, Parcel};
use crate::events::{Reporter, Stray};
use crate::lanes::{Lanes, owner};
use crate::mailbox::Inbox;
use crate::moves::Told;
use crate::path_mtu::Paths;
use crate::relay::{Duty, Relay};
use crate::streams::Streams;
use crate::tun::{Coalescer, Tun, clamp};
use crate::udp::{Listening, PacketBatch, ReceiveBatch, Run, RunBatch, is_bare};
use crate::wiring::{Wiring, is_ready};
use crate::without::Technique;

/// A packet with an unknown SPI may draw a notify of so many octets, marker and all (RFC 7296 §1.5):
/// nobody gets more out of us than they sent. ESP of a tunnel is never shorter, inner headers and all.
const ANSWERABLE: usize = 44;

/// Octets of packets that were made anew before they are passed on.
const KEPT_OCTETS: usize = 1 << 20;

/// The thread: what it shares with the others, and its mail.
pub(crate) struct Inbound {
    pub(crate) wiring: Wiring,
    pub(crate) inbox: Inbox<InboundTable>,
    pub(crate) arrivals: Arrivals,
    pub(crate) lanes: Lanes,
    /// The ways to the threads of all queues; that to itself is not gone.
    pub(crate) crossings: Vec<Crossing>,
    pub(crate) relay: Arc<Relay>,
}

impl Inbound {
    /// Runs until the engine stops.
    pub(crate) fn run(&self) {
        let Wiring { tun, listening, reporter, paths, queue, without, .. } = &self.wiring;
        let pieces = without.limit(Technique::Joining, usize::MAX);
        let coalescer = || Coalescer::new(tun.takes_joined_udp()).at_most(pieces);
        let mut lane = Lane {
            table: InboundTable::default(),
            tun,
            paths,
            reporter,
            coalescer: coalescer(),
            anew: Anew::new(coalescer()),
            streams: Streams::default(),
            lanes: &self.lanes,
            told: Told::default(),
            astray: self.crossings.iter().map(|way| (way, Parcel::default())).collect(),
            queue: *queue,
            scratch: Vec::new(),
        };
        let most = without.limit(Technique::Batches, usize::MAX);
        let mut runs = RunBatch::new().at_most(most);
        let mut packets = PacketBatch::new().at_most(most);
        let sources: Vec<_> = listening.iter().flat_map(|one| Source::of(one, *queue)).collect();
        let sockets = sources.iter().map(|source| source.socket);
        let own = sockets.chain([self.inbox.bell.as_fd()]);
        let all = own.chain([tun.as_fd(), self.relay.mail().as_fd()]);
        let mut ready: Vec<_> = all.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
        let bell = sources.len();
        let mut duty = Duty::new(&self.relay, self.wiring.awake);
        self.wiring.repeat(|| {
            duty.wait(&mut ready, lane.streams.wait().as_ref());
            lane.go_on();
            for (source, _) in sources.iter().zip(&ready).filter(|(_, fd)| is_ready(fd)) {
                duty.receive(|| {
                    if source.is_raw {
                        lane.drain(source, &mut packets)
                    } else {
                        lane.drain(source, &mut runs)
                    }
                });
            }
            duty.send();
            // Last, so that an SA that is removed has taken what had arrived before.
            if ready.get(bell).is_some_and(is_ready) {
                while let Some(parcel) = self.arrivals.next() {
                    lane.unpack(parcel);
                }
                self.inbox.run(&mut lane.table);
            }
        });
        self.relay.end();
    }
}

/// A socket that ESP or AH comes in through.
struct Source<'engine> {
    local: SocketAddr,
    socket: BorrowedFd<'engine>,
    is_raw: bool,
    has_header: bool,
    is_ah: bool,
}

impl<'engine> Source<'engine> {
    /// Returns those of a queue of a listening address: in UDP, and the raw ones if there are any.
    fn of(listening: &'engine Listening, queue: usize) -> impl Iterator<Item = Self> {
        let local = listening.address;
        let source = move |socket: &'engine OwnedFd, is_raw, is_ah| Self {
            local,
            socket: socket.as_fd(),
            is_raw,
            has_header: is_raw && local.is_ipv4(),
            is_ah,
        };
        let in_udp = listening.esp.get(queue).map(|socket| source(socket, false, false));
        let bare = listening.bare.get(queue).map(|socket| source(socket, true, false));
        let ah = listening.ah.get(queue).map(|socket| source(socket, true, true));
        in_udp.into_iter().chain(bare).chain(ah)
    }

    fn receive<const MESSAGES: usize, const CONTROL: usize>(
        &self,
        batch: &mut ReceiveBatch<MESSAGES, CONTROL>,
    ) -> Result<bool, Errno> {
        if self.has_header { batch.receive_raw(self.socket) } else { batch.receive(self.socket) }
    }
}

/// What the thread owns.
struct Lane<'engine> {
    table: InboundTable,
    tun: &'engine Tun,
    paths: &'engine Paths,
    reporter: &'engine Reporter,
    coalescer: Coalescer,
    anew: Anew,
    streams: Streams,
    lanes: &'engine Lanes,
    told: Told,
    queue: usize,
    /// What is for the threads of other queues, by queue.
    astray: Vec<(&'engine Crossing, Parcel)>,
    /// What the ICV of AH is computed over.
    scratch: Vec<u8>,
}

/// Packets of transport mode and compressed ones, which are not among what was received: their headers,
/// or all of them, are made here.
struct Anew {
    octets: Vec<u8>,
    coalescer: Coalescer,
    expander: Expander,
}

impl Anew {
    fn new(coalescer: Coalescer) -> Self {
        Self { octets: Vec::new(), coalescer, expander: Expander::default() }
    }

    fn make(
        &mut self,
        sa: &InboundSa,
        verified: &Verified,
        packet: &[u8],
        class: u8,
    ) -> Result<Range<usize>, Refusal> {
        let start = self.octets.len();
        sa.rebuild(verified, packet, class, &mut self.expander, &mut self.octets)?;
        Ok(start..self.octets.len())
    }

    /// Passes a packet on. Where little expands to much, it is not kept until all was taken.
    fn pass(&mut self, tun: &Tun, place: Range<usize>, mtu: impl FnOnce() -> usize) {
        self.push(tun, place, mtu);
        self.bound(tun);
    }

    fn push(&mut self, tun: &Tun, place: Range<usize>, mtu: impl FnOnce() -> usize) {
        clamp(self.octets.get_mut(place.clone()).unwrap_or_default(), mtu);
        self.coalescer.push(tun, &mut self.octets, place);
    }

    /// Passes on all that there is, if it is much; what is there has other places then.
    fn bound(&mut self, tun: &Tun) {
        if self.octets.len() > KEPT_OCTETS {
            self.flush(tun);
        }
    }

    fn flush(&mut self, tun: &Tun) {
        self.coalescer.flush(tun, &mut self.octets);
        self.octets.clear();
    }
}

/// Where an opened packet is.
enum Opened {
    Within(Range<usize>),
    Anew(Range<usize>),
    /// Several, or none: [`Streams`] says where.
    Stream,
}

impl Opened {
    fn octets(&self) -> usize {
        match self {
            Self::Within(place) | Self::Anew(place) => place.len(),
            Self::Stream => 0,
        }
    }
}

impl Lane<'_> {
    /// Takes what is there, up to a batch. Returns whether there was anything.
    fn drain<const MESSAGES: usize, const CONTROL: usize>(
        &mut self,
        source: &Source<'_>,
        batch: &mut ReceiveBatch<MESSAGES, CONTROL>,
    ) -> bool {
        if source.is_ah {
            return self.drain_ah(source, batch);
        }
        // An error belongs to a datagram that we sent before (ICMP); the next call goes on.
        let has_failed = source.receive(batch).is_err();
        let (runs, octets) = batch.parts();
        let has_some = has_failed || !runs.is_empty();
        for run in runs {
            for place in run.datagrams() {
                self.take(source.local, run, octets, place);
            }
        }
        self.coalescer.flush(self.tun, octets);
        self.anew.flush(self.tun);
        self.hand_over();
        has_some
    }

    /// Takes what another thread found.
    fn unpack(&mut self, parcel: Parcel) {
        let Parcel { mut octets, packets } = parcel;
        for (local, run, place) in packets {
            self.take(local, &run, &mut octets, place);
        }
        self.coalescer.flush(self.tun, &mut octets);
        self.anew.flush(self.tun);
    }

    /// Gives the other threads what is theirs.
    fn hand_over(&mut self) {
        for (way, parcel) in &mut self.astray {
            if !parcel.packets.is_empty() {
                way.send(std::mem::take(parcel));
            }
        }
    }

    /// Takes one datagram: ESP is opened and passed on, IKE goes to the daemon, a keepalive to
    /// nobody.
    fn take(&mut self, local: SocketAddr, run: &Run, octets: &mut [u8], place: Range<usize>) {
        let Some(packet) = octets.get_mut(place.clone()) else { return };
        match packet.first_chunk().map(|spi| u32::from_be_bytes(*spi)) {
            None => (),
            Some(0) if is_bare(run.peer) => (),
            Some(0) => self.pass_on(local, run, packet),
            Some(spi) => match self.open(spi, local, run, packet) {
                Some(Opened::Within(inner)) => {
                    let inner = place.start + inner.start..place.start + inner.end;
                    clamp(octets.get_mut(inner.clone()).unwrap_or_default(), || {
                        mtu((self.tun, self.paths), self.table.get(spi), Some(run.peer))
                    });
                    self.coalescer.push(self.tun, octets, inner);
                }
                Some(Opened::Anew(place)) => {
                    self.anew.pass(self.tun, place, || {
                        mtu((self.tun, self.paths), self.table.get(spi), Some(run.peer))
                    });
                }
                Some(Opened::Stream) => self.pass_stream(spi, Some(run.peer)),
                None => (),
            },
        }
    }

    fn pass_on(&self, local: SocketAddr, run: &Run, datagram: &[u8]) {
        let local = SocketAddr::new(run.destination.unwrap_or(local.ip()), local.port());
        self.reporter.stray(Stray { local, peer: run.peer, octets: datagram.to_vec() });
    }

    /// Returns where the inner packet is, if it may pass.
    fn open(
        &mut self,
        spi: u32,
        local: SocketAddr,
        run: &Run,
        packet: &mut [u8],
    ) -> Option<Opened> {
        let Some(sa) = self.table.get_mut(spi) else {
            self.miss(spi, local, run, packet);
            return None;
        };
        let is_over = sa.counters().budget.is_over();
        let verified = if is_over { Err(Refusal::Spent) } else { sa.verify(packet) };
        let opened = verified.and_then(|verified| {
            if sa.take_proof(&verified) {
                self.lanes.activate(spi);
            }
            if sa.has_moved(&verified, run.peer) {
                self.reporter.moved(&mut self.told, spi, run.peer);
            }
            match sa.delivery() {
                Delivery::Within => {
                    let inner = sa.admit(&verified, packet)?;
                    carry_class(run.class, packet, &inner)?;
                    Ok(Opened::Within(inner))
                }
                Delivery::Anew => {
                    self.anew.make(sa, &verified, packet, run.class).map(Opened::Anew)
                }
                Delivery::Stream => {
                    let packet = (&*packet, run.class);
                    self.streams.unpack(sa, &verified, packet, &mut self.anew.octets);
                    Ok(Opened::Stream)
                }
                Delivery::Sorted => {
                    let Anew { octets, expander, .. } = &mut self.anew;
                    let packet_and_class = (&*packet, run.class);
                    match self.streams.sort(sa, &verified, packet_and_class, (expander, octets)) {
                        Some(inner) => {
                            carry_class(run.class, packet, &inner)?;
                            Ok(Opened::Within(inner))
                        }
                        None => Ok(Opened::Stream),
                    }
                }
            }
        });
        counted(opened, sa, self.reporter, run.peer)
    }
}

impl Lane<'_> {
    /// Passes on what a payload of a stream has brought, and counts it.
    #[cold]
    fn pass_stream(&mut self, spi: u32, peer: Option<SocketAddr>) {
        let Some(sa) = self.table.get_mut(spi) else { return };
        if let Err(refusal) = self.streams.outcome() {
            sa.counters().refuse(refusal);
            self.reporter.refuse(refusal, spi, peer);
        }
        for place in self.streams.places() {
            if let Some(limit) = sa.counters().receive(place.len()) {
                self.reporter.spent(spi, limit);
            }
            self.anew.push(self.tun, place, || mtu((self.tun, self.paths), Some(sa), peer));
        }
        self.anew.bound(self.tun);
    }

    /// Goes on with streams that have waited long enough for what is missing.
    fn go_on(&mut self) {
        let due = self.streams.due();
        if due.is_empty() {
            return;
        }
        for spi in due {
            let Some(sa) = self.table.get_mut(spi) else { continue };
            self.streams.give_up(sa, &mut self.anew.octets);
            self.pass_stream(spi, None);
        }
        self.anew.flush(self.tun);
    }

    /// Takes a packet whose SA is not here: there is none, or it belongs to another thread.
    #[cold]
    fn miss(&mut self, spi: u32, local: SocketAddr, run: &Run, packet: &[u8]) {
        let queues = u32::try_from(self.astray.len()).ok().and_then(NonZeroU32::new);
        let place = queues.map_or(self.queue, |queues| owner(spi, queues));
        if place != self.queue
            && let Some((_, parcel)) = self.astray.get_mut(place)
        {
            return parcel.push(local, run, packet);
        }
        if is_bare(run.peer) {
            // It may be another program's: all that hear the protocol hear every packet.
            return self.reporter.refuse_own(Refusal::UnknownSpi);
        }
        // What is too short for ESP is no packet of an SA that was, either.
        let is_short = packet.len() < ANSWERABLE;
        let refusal = if is_short { Refusal::Malformed } else { Refusal::UnknownSpi };
        self.reporter.refuse_unknown(refusal, spi, run.peer);
    }
}

/// Counts what was opened on an SA, or refused, and tells of it; what a stream brought is counted as
/// it passes on.
#[inline]
fn counted(
    opened: Result<Opened, Refusal>,
    sa: &InboundSa,
    reporter: &Reporter,
    peer: SocketAddr,
) -> Option<Opened> {
    match opened {
        Ok(Opened::Stream) => Some(Opened::Stream),
        Ok(opened) => {
            if let Some(limit) = sa.counters().receive(opened.octets()) {
                reporter.spent(sa.spi(), limit);
            }
            Some(opened)
        }
        Err(refusal) => {
            sa.counters().refuse(refusal);
            reporter.refuse(refusal, sa.spi(), Some(peer));
            None
        }
    }
}

/// Returns the longest packet that the interface takes and the way back of an SA carries.
#[cold]
fn mtu((tun, paths): (&Tun, &Paths), sa: Option<&InboundSa>, peer: Option<SocketAddr>) -> usize {
    let most = sa.and_then(|sa| paths.carried_back(sa, peer));
    tun.mtu().min(most.unwrap_or(usize::MAX))
}

/// Lets the outer header's congestion mark reach the inner one (RFC 6040 §4.2).
fn carry_class(class: u8, packet: &mut [u8], inner: &Range<usize>) -> Result<(), Refusal> {
    if class == 0 {
        return Ok(());
    }
    carry_congestion(packet.get_mut(inner.clone()).unwrap_or_default(), class)
}
