// SPDX-License-Identifier: Apache-2.0
//! Fragments of inner packets on SAs that tell ports apart (RFC 4301 §7).
//!
//! Only the first fragment of a datagram has ports. Where both sides agreed to that (RFC 7296 §1.3.1,
//! NON_FIRST_FRAGMENTS_ALSO), the first decides, and later ones go the same way: see [`Tracker`].
//! What passes of one datagram never overlaps, so that nobody who puts it together sees other
//! headers than the selectors saw.

mod extent;
mod leaving;
mod piece;
mod shelf;
mod sorter;
#[cfg(test)]
mod tests;
mod tracker;

pub use leaving::Leaving;
pub(crate) use leaving::{Way, tracker, without_ports};
pub use piece::Piece;
pub(crate) use sorter::Sorter;
pub use tracker::Tracker;
