// SPDX-License-Identifier: Apache-2.0
//! How near an SA is to the thread that has a handle of it (RFC 9611).

/// Which SA a thread prefers of those that protect the same (RFC 9611): one that is for its own queue,
/// then one that is for all, then one that is for another.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Nearness {
    /// It is for another queue.
    Elsewhere,
    /// It is for all.
    #[default]
    Everywhere,
    /// It is for this queue.
    Here,
}
