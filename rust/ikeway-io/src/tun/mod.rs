// SPDX-License-Identifier: Apache-2.0
//! The TUN interface: what the host sends into it is sealed, what is opened goes out of it.

mod checksum;
mod coalesce;
mod device;
mod fragment;
mod header;
mod layout;
mod mss;
mod segment;
mod too_big;

pub(crate) use coalesce::{Coalescer, Sink};
pub(crate) use device::Tun;
#[cfg(feature = "fuzzing")]
pub(crate) use fragment::cut;
pub(crate) use fragment::fragments;
pub(crate) use header::HEADER_OCTETS;
pub(crate) use mss::clamp;
pub(crate) use segment::{Fit, Handed};
pub(crate) use too_big::too_big;
