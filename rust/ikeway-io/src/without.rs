// SPDX-License-Identifier: Apache-2.0
//! What the engine does without, for benchmarks that show what each of its techniques is worth.
//!
//! It is asked for once, in the environment, and sets options and limits that are there anyway: no
//! packet is looked at for it.

use std::str::FromStr;

use crate::error::EngineError;

/// Where it is asked for: words of [`NAMES`], with commas.
const VARIABLE: &str = "IKEWAY_ENGINE_WITHOUT";

/// How many packets go together can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Technique {
    /// Runs of datagrams that leave as one (UDP_SEGMENT).
    Segment,
    /// Runs of datagrams that arrive as one (UDP_GRO).
    Gro,
    /// The host's packets before they are cut and have a checksum.
    Offload,
    /// Segments given to the host with one write.
    Joining,
    /// Messages and reads that share a call, or what comes behind it.
    Batches,
}

const NAMES: [(&str, Technique); 5] = [
    ("segment", Technique::Segment),
    ("gro", Technique::Gro),
    ("offload", Technique::Offload),
    ("joining", Technique::Joining),
    ("batches", Technique::Batches),
];

/// A set of techniques that are left out; mostly none are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Without(u8);

impl Without {
    /// Returns what the environment of this process asks for.
    pub(crate) fn of_environment() -> Result<Self, EngineError> {
        let Some(words) = std::env::var_os(VARIABLE) else { return Ok(Self::default()) };
        words.to_string_lossy().parse()
    }

    pub(crate) const fn has(self, technique: Technique) -> bool {
        self.0 & Self::of(technique).0 != 0
    }

    /// Returns 1 in place of a limit if the technique that it belongs to is left out.
    pub(crate) const fn limit(self, technique: Technique, usual: usize) -> usize {
        if self.has(technique) { 1 } else { usual }
    }

    const fn of(technique: Technique) -> Self {
        Self(1 << technique as u8)
    }
}

impl FromStr for Without {
    type Err = EngineError;

    fn from_str(words: &str) -> Result<Self, EngineError> {
        let given = words.split(',').map(str::trim).filter(|word| !word.is_empty());
        given.map(named).try_fold(Self::default(), |all, one| Ok(Self(all.0 | Self::of(one?).0)))
    }
}

fn named(word: &str) -> Result<Technique, EngineError> {
    let found = NAMES.iter().find(|(name, _)| *name == word);
    found.map(|(_, technique)| *technique).ok_or_else(|| {
        let names = NAMES.map(|(name, _)| name).join(", ");
        EngineError::Request(format!("{VARIABLE}: {word:?} is none of {names}"))
    })
}

#[cfg(test)]
mod tests {
    use super::{NAMES, Technique, Without};

    #[test]
    fn nothing_is_left_out_unless_asked_for() {
        for words in ["", " ", ","] {
            assert_eq!(words.parse::<Without>().ok(), Some(Without::default()));
        }
        assert!(NAMES.iter().all(|(_, technique)| !Without::default().has(*technique)));
    }

    #[test]
    fn each_word_leaves_out_its_technique_alone() {
        for (word, technique) in NAMES {
            let without = word.parse::<Without>().unwrap_or_default();
            let left_out = NAMES.iter().filter(|(_, one)| without.has(*one));
            assert_eq!(left_out.map(|(_, one)| *one).collect::<Vec<_>>(), [technique]);
        }
    }

    #[test]
    fn several_are_given_with_commas() {
        let without = "segment, gro".parse::<Without>().unwrap_or_default();
        assert!(without.has(Technique::Segment) && without.has(Technique::Gro));
        assert!(!without.has(Technique::Joining));
        assert_eq!(without.limit(Technique::Gro, 64), 1);
        assert_eq!(without.limit(Technique::Batches, 64), 64);
    }

    #[test]
    fn an_unknown_word_is_refused_with_those_that_there_are() {
        let error = "gro,gso".parse::<Without>().map_err(|error| error.to_string());
        let expected =
            "IKEWAY_ENGINE_WITHOUT: \"gso\" is none of segment, gro, offload, joining, batches";
        assert_eq!(error, Err(expected.to_owned()));
    }
}
