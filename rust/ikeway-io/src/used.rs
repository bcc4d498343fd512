// SPDX-License-Identifier: Apache-2.0
//! Keys that have sealed packets do not begin anew: their numbers and IVs would come again (RFC 4303
//! §3.3.3, RFC 4106 §2).

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};
use std::sync::LazyLock;

use ikeway_esp::DirectionKeys;

/// At least so many are remembered, and less than twice as many.
const REMEMBERED: usize = 1 << 18;

/// Keyed by what this process drew at random, so that a trace tells nothing of the keys.
static HASHER: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What is left of the keys of an outbound SA, and of its SPI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Trace(u64);

impl Trace {
    pub(crate) fn of(spi_out: u32, keys: &DirectionKeys) -> Self {
        Self(HASHER.hash_one((spi_out, keys.encr.as_slice(), keys.integ.as_slice())))
    }
}

/// The traces of all outbound SAs that were installed in this engine's life.
#[derive(Debug, Default)]
pub(crate) struct UsedKeys {
    recent: HashSet<Trace>,
    /// As many that came before; they are forgotten together.
    before: HashSet<Trace>,
}

impl UsedKeys {
    pub(crate) fn contains(&self, trace: Trace) -> bool {
        self.recent.contains(&trace) || self.before.contains(&trace)
    }

    pub(crate) fn remember(&mut self, trace: Trace) {
        if self.recent.len() >= REMEMBERED {
            self.before = std::mem::take(&mut self.recent);
        }
        self.recent.insert(trace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(last: u8) -> DirectionKeys {
        DirectionKeys { encr: vec![1, 2, last], integ: vec![7] }
    }

    #[test]
    fn other_keys_or_another_spi_are_not_used() {
        let mut used = UsedKeys::default();
        let trace = Trace::of(300, &keys(3));
        assert!(!used.contains(trace));
        used.remember(trace);
        used.remember(trace);
        assert!(used.contains(Trace::of(300, &keys(3))));
        assert!(!used.contains(Trace::of(301, &keys(3))));
        assert!(!used.contains(Trace::of(300, &keys(4))));
    }

    /// I5: the memory of keys is bounded.
    #[test]
    fn the_oldest_are_forgotten() {
        let mut used = UsedKeys::default();
        let most = 2 * REMEMBERED as u64;
        (0..most).for_each(|number| used.remember(Trace(number)));
        assert!(used.contains(Trace(0)), "a little more than is promised");
        used.remember(Trace(most));
        assert!(!used.contains(Trace(0)));
        assert!(used.contains(Trace(most - REMEMBERED as u64)));
        assert_eq!((used.recent.len(), used.before.len()), (1, REMEMBERED));
    }
}
