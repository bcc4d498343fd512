// SPDX-License-Identifier: Apache-2.0
//! A bounded place for what is known of datagrams, from which the oldest go first.

use std::collections::BTreeMap;
use std::time::Duration;

use super::piece::Datagram;

/// What is known of each of at most so many datagrams, and since when.
///
/// No hash: whoever chooses addresses and numbers could make all of them fall together.
#[derive(Debug)]
pub(super) struct Shelf<T> {
    most: usize,
    entries: BTreeMap<Datagram, (u64, T)>,
    /// By age.
    order: BTreeMap<u64, (Duration, Datagram)>,
    placed: u64,
}

impl<T> Shelf<T> {
    pub(super) const fn new(most: usize) -> Self {
        Self { most, entries: BTreeMap::new(), order: BTreeMap::new(), placed: 0 }
    }

    pub(super) fn get_mut(&mut self, datagram: &Datagram) -> Option<&mut T> {
        self.entries.get_mut(datagram).map(|(_, value)| value)
    }

    /// Puts what is known of a datagram there. Returns what had to go for that.
    pub(super) fn put(&mut self, datagram: Datagram, value: T, now: Duration) -> Option<T> {
        let old = self.remove(&datagram);
        let gone =
            if self.entries.len() < self.most { old } else { self.take_before(Duration::MAX) };
        self.placed += 1;
        self.order.insert(self.placed, (now, datagram));
        self.entries.insert(datagram, (self.placed, value));
        gone
    }

    pub(super) fn remove(&mut self, datagram: &Datagram) -> Option<T> {
        let (place, value) = self.entries.remove(datagram)?;
        self.order.remove(&place);
        Some(value)
    }

    /// Takes the oldest, if it was put there before `moment`.
    pub(super) fn take_before(&mut self, moment: Duration) -> Option<T> {
        let (_, (since, datagram)) = self.order.first_key_value()?;
        if *since >= moment {
            return None;
        }
        let datagram = *datagram;
        self.remove(&datagram)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns since when the oldest is there.
    pub(super) fn oldest(&self) -> Option<Duration> {
        self.order.first_key_value().map(|(_, (since, _))| *since)
    }
}
