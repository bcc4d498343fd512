// SPDX-License-Identifier: Apache-2.0
//! The TUN interface: what the host sends into it is sealed, what is opened goes out of it.

mod device;
mod header;

pub(crate) use device::Tun;
pub(crate) use header::{HEADER_OCTETS, Offload};
