// SPDX-License-Identifier: Apache-2.0
//! A hash table that grows and shrinks a little at a time: no packet waits for all of it to move.
//!
//! It is made of small tables, and one of them is split whenever there is too much in all (linear
//! hashing, after Litwin). Two bits of arithmetic say which of them a key is in.

use std::hash::{BuildHasher, Hash};

use rustc_hash::{FxBuildHasher, FxHashMap};

/// How many entries a part has in the mean. Those that are next to be split have twice as many,
/// which fill what a table of a power of two takes nearly.
const MEAN: usize = 200;
/// Where the bits of a hash begin by which parts are told apart: those below place a key within one.
const SHIFT: u32 = 10;

/// Values by keys.
pub(crate) struct Gentle<K, V> {
    parts: Vec<FxHashMap<K, V>>,
    /// One less than the power of two that is not below the number of parts.
    mask: usize,
    held: usize,
}

impl<K, V> Default for Gentle<K, V> {
    fn default() -> Self {
        Self { parts: Vec::new(), mask: 0, held: 0 }
    }
}

impl<K: Copy + Eq + Hash, V> Gentle<K, V> {
    /// Returns the value of a key.
    #[inline]
    pub(crate) fn get(&self, key: K) -> Option<&V> {
        self.parts.get(self.place(key))?.get(&key)
    }

    /// Returns the value of a key, to be changed.
    #[inline]
    pub(crate) fn get_mut(&mut self, key: K) -> Option<&mut V> {
        let place = self.place(key);
        self.parts.get_mut(place)?.get_mut(&key)
    }

    /// Sets the value of a key, and returns what it was.
    pub(crate) fn insert(&mut self, key: K, value: V) -> Option<V> {
        if self.held >= self.parts.len() * MEAN {
            self.split();
        }
        let place = self.place(key);
        let before = self.parts.get_mut(place)?.insert(key, value);
        self.held += usize::from(before.is_none());
        before
    }

    /// Removes a key, and returns what its value was.
    pub(crate) fn remove(&mut self, key: K) -> Option<V> {
        let place = self.place(key);
        let value = self.parts.get_mut(place)?.remove(&key)?;
        self.held -= 1;
        // Only where half of them would do, so that none is split and joined by turns.
        if self.held * 2 <= (self.parts.len() - 1) * MEAN {
            self.join();
        }
        Some(value)
    }

    /// Returns all values.
    pub(crate) fn values(&self) -> impl Iterator<Item = &V> {
        self.parts.iter().flat_map(FxHashMap::values)
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Returns which part a key is in. Of as many as the next power of two those are not there yet whose
    /// keys are with the others that end in the same bits.
    #[inline]
    fn place(&self, key: K) -> usize {
        let hash = FxBuildHasher.hash_one(key) >> SHIFT;
        #[allow(clippy::cast_possible_truncation, reason = "only low bits count")]
        let place = hash as usize & self.mask;
        if place < self.parts.len() { place } else { place & (self.mask >> 1) }
    }

    /// Adds a part, and gives it what is its own of the one that had it.
    fn split(&mut self) {
        self.parts.push(FxHashMap::default());
        self.mask = self.parts.len().next_power_of_two() - 1;
        let source = (self.parts.len() - 1) & (self.mask >> 1);
        let all = self.parts.get_mut(source).map(std::mem::take).unwrap_or_default();
        for place in [source, self.parts.len() - 1] {
            if let Some(part) = self.parts.get_mut(place) {
                part.reserve(all.len() / 2);
            }
        }
        self.spread(all);
    }

    /// Takes the last part away: what is in it goes to the one that it came from.
    fn join(&mut self) {
        let last = self.parts.pop().unwrap_or_default();
        self.mask = self.parts.len().next_power_of_two() - 1;
        self.spread(last);
    }

    fn spread(&mut self, entries: FxHashMap<K, V>) {
        for (key, value) in entries {
            let place = self.place(key);
            if let Some(part) = self.parts.get_mut(place) {
                part.insert(key, value);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Copy, Debug)]
    enum Step {
        Insert(u32, u64),
        Remove(u32),
        Change(u32),
    }

    /// Few keys, so that they meet, or so many that parts are split and joined.
    fn steps() -> impl Strategy<Value = Vec<Step>> {
        (prop_oneof![Just(40_u32), Just(5_000)], 0..4_u32).prop_flat_map(|(keys, scatter)| {
            let key = (0..keys).prop_map(move |key| key << (scatter * 6));
            let step = prop_oneof![
                3 => (key.clone(), any::<u64>()).prop_map(|(key, value)| Step::Insert(key, value)),
                1 => key.clone().prop_map(Step::Remove),
                1 => key.prop_map(Step::Change),
            ];
            proptest::collection::vec(step, 0..3_000)
        })
    }

    fn values(values: impl Iterator<Item = u64>) -> Vec<u64> {
        let mut values: Vec<_> = values.collect();
        values.sort_unstable();
        values
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(if cfg!(miri) { 2 } else { 100 }))]

        /// Whatever comes and goes, it holds what a table of the standard library holds.
        #[test]
        fn it_is_a_map(steps in steps()) {
            let (mut table, mut model) = (Gentle::default(), HashMap::new());
            for step in steps {
                match step {
                    Step::Insert(key, value) => {
                        prop_assert_eq!(table.insert(key, value), model.insert(key, value));
                    }
                    Step::Remove(key) => prop_assert_eq!(table.remove(key), model.remove(&key)),
                    Step::Change(key) => {
                        let [one, other] = [table.get_mut(key), model.get_mut(&key)];
                        prop_assert_eq!(one.map(|value| *value ^= 1), other.map(|value| *value ^= 1));
                        prop_assert_eq!(table.get(key), model.get(&key));
                    }
                }
                prop_assert_eq!(table.is_empty(), model.is_empty());
            }
            prop_assert_eq!(values(table.values().copied()), values(model.values().copied()));
            for key in model.keys().copied().collect::<Vec<_>>() {
                prop_assert_eq!(table.remove(key), model.remove(&key));
            }
            prop_assert!(table.is_empty() && table.parts.len() <= 1);
        }
    }

    /// What one insertion may move is bounded, whatever order keys have: SPIs are random, addresses
    /// often follow each other, or are those of nets that do.
    #[test]
    fn no_part_grows_with_the_table() {
        let most = if cfg!(miri) { 2_000 } else { 60_000 };
        let spread: [fn(u128) -> u128; 5] = [
            |number| number,
            |number| number << 8,
            |number| number.wrapping_mul(2_654_435_761) & 0xffff_ffff,
            |number| 0xfd00 << 112 | number,
            |number| 0xfd00 << 112 | number << 64,
        ];
        for key in spread {
            let mut table = Gentle::default();
            for number in 0..most {
                table.insert(key(number), number);
                let longest = table.parts.iter().map(FxHashMap::len).max();
                assert!(number % 97 != 0 || longest <= Some(3 * MEAN), "{number}: {longest:?}");
            }
        }
    }
}
