// SPDX-License-Identifier: Apache-2.0
//! What the packet threads tell the control thread: refusals, added up, peers that moved, and IKE
//! datagrams that came their way.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use ikeway_esp::{Counters, Flow, Limit, Refusal, Turn};

use crate::bell::Bell;
use crate::moves::{Moves, Told};

/// Kinds and SAs kept apart between two reports; what exceeds them is added up.
const MAX_NOTES: usize = 256;
/// IKE datagrams that may wait for the control thread; more are lost, as in a full socket.
const MAX_STRAYS: usize = 256;
/// Wants that may wait for the control thread.
const MAX_WANTS: usize = 256;

/// Refusals of one kind on one SPI since the last report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) refusal: Refusal,
    pub(crate) spi: u32,
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) count: u64,
}

/// A packet that sprang a trap: it wants an SA.
#[derive(Clone, Copy)]
pub(crate) struct Want {
    pub(crate) trap: u32,
    pub(crate) flow: Flow,
}

/// An IKE datagram that the kernel had glued to ESP datagrams, so that it missed the IKE socket.
pub(crate) struct Stray {
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    pub(crate) octets: Vec<u8>,
}

/// What is new of the stream that a pair sends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum StreamNews {
    /// Its packets have so many octets from now on.
    Resized(usize),
    /// Its breaker has opened or closed.
    Turned(Turn),
}

type Notes = HashMap<(Refusal, u32), Note>;
/// Pairs that reached a limit, by inbound SPI: each is here twice at most.
type Spent = Vec<(u32, Limit)>;
/// News of streams, by the inbound SPI of the pair: few, as streams change seldom.
type Streams = Vec<(u32, StreamNews)>;
/// Paths that turned out to be narrow: few, as each gets narrower only.
type Narrowed = Vec<(IpAddr, u16)>;

/// A packet thread's end.
#[derive(Clone)]
pub(crate) struct Reporter {
    totals: Arc<Counters>,
    notes: Arc<Mutex<Notes>>,
    moves: Arc<Moves>,
    spent: Arc<Mutex<Spent>>,
    narrowed: Arc<Mutex<Narrowed>>,
    streams: Arc<Mutex<Streams>>,
    strays: SyncSender<Stray>,
    wants: SyncSender<Want>,
    bell: Bell,
}

/// The control thread's end.
pub(crate) struct Reports {
    totals: Arc<Counters>,
    notes: Arc<Mutex<Notes>>,
    moves: Arc<Moves>,
    spent: Arc<Mutex<Spent>>,
    narrowed: Arc<Mutex<Narrowed>>,
    streams: Arc<Mutex<Streams>>,
    strays: Receiver<Stray>,
    wants: Receiver<Want>,
}

pub(crate) fn reports(bell: Bell) -> (Reporter, Reports) {
    let notes = Arc::new(Mutex::new(Notes::new()));
    let (totals, moves) = (Arc::new(Counters::default()), Arc::new(Moves::default()));
    let spent = Arc::new(Mutex::new(Spent::new()));
    let narrowed = Arc::new(Mutex::new(Narrowed::new()));
    let streams = Arc::default();
    let (sender, receiver) = sync_channel(MAX_STRAYS);
    let (wants, wanted) = sync_channel(MAX_WANTS);
    let reports = Reports {
        totals: Arc::clone(&totals),
        notes: Arc::clone(&notes),
        moves: Arc::clone(&moves),
        spent: Arc::clone(&spent),
        narrowed: Arc::clone(&narrowed),
        streams: Arc::clone(&streams),
        strays: receiver,
        wants: wanted,
    };
    let strays = sender;
    (Reporter { totals, notes, moves, spent, narrowed, streams, strays, wants, bell }, reports)
}

impl Reporter {
    /// Notes a refusal on an SA. Only packets that go no further come here, so the lock is off the
    /// path of good ones.
    pub(crate) fn refuse(&self, refusal: Refusal, spi: u32, peer: Option<SocketAddr>) {
        self.totals.refuse(refusal);
        // Dummies are meant to be dropped, and loss is how congestion is told.
        if !matches!(refusal, Refusal::Dummy | Refusal::Congested) {
            self.note(spi, Note { refusal, spi, peer, count: 1 });
        }
    }

    /// Notes a refusal on no SA. Whoever sends may invent an SPI for each packet, so they share a
    /// note, which names the last.
    pub(crate) fn refuse_unknown(&self, refusal: Refusal, spi: u32, peer: SocketAddr) {
        self.totals.refuse(refusal);
        self.note(0, Note { refusal, spi, peer: Some(peer), count: 1 });
    }

    /// Counts a packet of the host that no SA covers: a host talks to many.
    pub(crate) fn refuse_own(&self, refusal: Refusal) {
        self.totals.refuse(refusal);
    }

    fn note(&self, key: u32, new: Note) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_first = notes.is_empty();
        let is_full = notes.len() >= MAX_NOTES && !notes.contains_key(&(new.refusal, key));
        let key = if is_full { 0 } else { key };
        let note = notes.entry((new.refusal, key)).or_insert(Note { count: 0, ..new });
        *note = Note { count: note.count.saturating_add(1), ..new };
        drop(notes);
        if is_first {
            self.bell.ring();
        }
    }

    /// Notes that a peer is elsewhere than its pair says.
    pub(crate) fn moved(&self, told: &mut Told, spi_in: u32, peer: SocketAddr) {
        if told.tell(&self.moves, spi_in, peer) {
            self.bell.ring();
        }
    }

    /// Notes that a pair has reached a limit.
    pub(crate) fn spent(&self, spi_in: u32, limit: Limit) {
        self.spent.lock().unwrap_or_else(PoisonError::into_inner).push((spi_in, limit));
        self.bell.ring();
    }

    /// Notes that the path to a peer carries no more than `mtu` octets.
    pub(crate) fn narrowed(&self, peer: IpAddr, mtu: u16) {
        self.narrowed.lock().unwrap_or_else(PoisonError::into_inner).push((peer, mtu));
        self.bell.ring();
    }

    /// Notes what is new of a pair's stream.
    pub(crate) fn of_stream(&self, spi_in: u32, news: StreamNews) {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner).push((spi_in, news));
        self.bell.ring();
    }

    /// Drops what was noted of where the peer of a pair is.
    pub(crate) fn forget_move(&self, spi_in: u32) {
        self.moves.forget(spi_in);
    }

    /// Drops what was noted of where any peer is.
    pub(crate) fn forget_moves(&self) {
        self.moves.take();
    }

    /// Makes the control thread look around.
    pub(crate) fn wake(&self) {
        self.bell.ring();
    }

    /// Passes on that a packet wants an SA; where too many do, it has to say so again.
    pub(crate) fn want(&self, want: Want) {
        if self.wants.try_send(want).is_ok() {
            self.bell.ring();
        }
    }

    pub(crate) fn stray(&self, stray: Stray) {
        if self.strays.try_send(stray).is_ok() {
            self.bell.ring();
        }
    }
}

impl Reports {
    /// Returns the refusals since the last call.
    pub(crate) fn take_notes(&self) -> Vec<Note> {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        notes.drain().map(|(_, note)| note).collect()
    }

    /// Returns the peers that moved since the last call, by the inbound SPI of their pair.
    pub(crate) fn take_moves(&self) -> Vec<(u32, SocketAddr)> {
        self.moves.take()
    }

    /// Returns the pairs that have reached a limit since the last call.
    pub(crate) fn take_spent(&self) -> Vec<(u32, Limit)> {
        std::mem::take(&mut *self.spent.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns the paths that turned out to be narrow since the last call.
    pub(crate) fn take_narrowed(&self) -> Vec<(IpAddr, u16)> {
        std::mem::take(&mut *self.narrowed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns what is new of streams since the last call.
    pub(crate) fn take_streams(&self) -> Streams {
        std::mem::take(&mut *self.streams.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns how many packets were refused for that reason, on any SA and none.
    pub(crate) fn refused(&self, refusal: Refusal) -> u64 {
        self.totals.refused(refusal)
    }

    /// Returns whether there are refusals or moves to take.
    pub(crate) fn has_news(&self) -> bool {
        self.has_notes() || !self.moves.is_empty()
    }

    fn has_notes(&self) -> bool {
        !self.notes.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub(crate) fn next_want(&self) -> Option<Want> {
        self.wants.try_recv().ok()
    }

    pub(crate) fn next_stray(&self) -> Option<Stray> {
        self.strays.try_recv().ok()
    }
}

/// Returns both ends for tests of the threads.
#[cfg(test)]
pub(crate) fn unheard() -> (Reporter, Reports) {
    reports(Bell::new().unwrap())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_added_up_until_they_are_taken() {
        let (reporter, reports) = unheard();
        for _ in 0..5 {
            reporter.refuse(Refusal::Replayed, 300, None);
        }
        reporter.refuse(Refusal::Dummy, 300, None);
        let notes = reports.take_notes();
        assert_eq!(notes, [Note { refusal: Refusal::Replayed, spi: 300, peer: None, count: 5 }]);
        assert!(!reports.has_notes());
    }

    /// I5: whoever invents SPIs gets no more memory for them, and no more events.
    #[test]
    fn a_flood_of_spis_is_one_note() {
        let (reporter, reports) = unheard();
        let peer = "192.0.2.1:9".parse().unwrap();
        for spi in 1000..9000 {
            reporter.refuse_unknown(Refusal::UnknownSpi, spi, peer);
        }
        let note = Note { refusal: Refusal::UnknownSpi, spi: 8999, peer: Some(peer), count: 8000 };
        assert_eq!(reports.take_notes(), [note]);
    }

    #[test]
    fn more_sas_than_fit_are_added_up() {
        let (reporter, reports) = unheard();
        for spi in 1000..9000 {
            reporter.refuse(Refusal::Replayed, spi, None);
        }
        let notes = reports.take_notes();
        assert_eq!(notes.len(), MAX_NOTES + 1);
        assert_eq!(notes.iter().map(|note| note.count).sum::<u64>(), 8000);
    }
}
