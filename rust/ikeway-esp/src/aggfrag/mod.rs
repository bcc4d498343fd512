// SPDX-License-Identifier: Apache-2.0
//! Aggregation and fragmentation of inner packets in ESP payloads of one size (RFC 9347).
//!
//! [`Packer`] makes payloads of packets, [`Reassembly`] packets of payloads; [`Backlog`] is where
//! packets wait for the clock.

mod assembly;
mod backlog;
mod control;
mod header;
mod packer;
mod reassembly;
mod rhythm;
#[cfg(test)]
mod tests;

pub use backlog::Backlog;
pub use control::{BreakerLimits, Congestion, Dialogue, Legacy, Turn};
pub(crate) use header::AGGFRAG;
pub use header::CongestionInfo;
pub use packer::{Packed, Packer};
pub use reassembly::{MAX_REORDER, Reassembly};
pub use rhythm::Rhythm;
