// SPDX-License-Identifier: Apache-2.0
//! Packets that came to another queue than their SA belongs to, on their way to its thread.
//!
//! The kernel may receive datagrams of one peer as one, and steers that by the first of them. What a
//! thread finds in it for others it hands over, a batch at a time.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use crate::bell::Bell;
use crate::udp::Run;

/// Batches that may wait for a thread; more are lost, as in a full socket.
const MAX_PARCELS: usize = 32;

/// What came with one batch for one other thread.
#[derive(Default)]
pub(crate) struct Parcel {
    pub(crate) octets: Vec<u8>,
    pub(crate) packets: Vec<(SocketAddr, Run, Range<usize>)>,
}

impl Parcel {
    /// Adds a packet, which came on the address `local`.
    pub(crate) fn push(&mut self, local: SocketAddr, run: &Run, packet: &[u8]) {
        let start = self.octets.len();
        self.octets.extend_from_slice(packet);
        self.packets.push((local, run.clone(), start..self.octets.len()));
    }
}

/// The way to the thread of another queue.
#[derive(Clone)]
pub(crate) struct Crossing {
    parcels: SyncSender<Parcel>,
    bell: Bell,
}

/// The end of the thread that takes them.
pub(crate) struct Arrivals(Receiver<Parcel>);

/// Returns both ends; `bell` is that of the thread that takes them.
pub(crate) fn crossing(bell: Bell) -> (Crossing, Arrivals) {
    let (parcels, arrivals) = sync_channel(MAX_PARCELS);
    (Crossing { parcels, bell }, Arrivals(arrivals))
}

impl Crossing {
    pub(crate) fn send(&self, parcel: Parcel) {
        if self.parcels.try_send(parcel).is_ok() {
            self.bell.ring();
        }
    }
}

impl Arrivals {
    pub(crate) fn next(&self) -> Option<Parcel> {
        self.0.try_recv().ok()
    }
}
