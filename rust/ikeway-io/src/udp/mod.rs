// SPDX-License-Identifier: Apache-2.0
//! UDP port 4500: sockets, and datagrams by the run (RFC 3948); and ESP and AH in no UDP.

mod address;
mod bare;
mod free;
mod mtu;
mod receive;
mod send;
mod socket;
mod steering;

pub(crate) use bare::{NO_PORT, is_bare};
pub(crate) use mtu::known_mtu;
pub(crate) use receive::{PacketBatch, ReceiveBatch, Run, RunBatch};
pub(crate) use send::{Path, SendBatch};
pub(crate) use socket::{Listening, Share, duplicate, last_errno, listen, outcome};
