// SPDX-License-Identifier: Apache-2.0
//! The TUN interface: what the host sends into it is sealed, what is opened goes out of it.

mod checksum;
mod coalesce;
mod device;
mod header;
mod layout;
mod mss;
mod segment;

pub(crate) use coalesce::Coalescer;
pub(crate) use device::Tun;
pub(crate) use header::HEADER_OCTETS;
pub(crate) use mss::clamp;
pub(crate) use segment::Handed;
