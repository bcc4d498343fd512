// SPDX-License-Identifier: Apache-2.0
//! The engine process: a TUN interface, UDP sockets, two packet threads for each queue and a control
//! socket.
//!
//! `outbound` seals what the TUN interface sends, `inbound` opens what the network brings, `pacing`
//! sends by the clock, `engine` owns them all and `control` is how the daemon speaks to it. `door` is
//! another process's: the daemon's, for its sockets of IKE. All `unsafe` of ikeway is here, at the system
//! calls.

mod bell;
mod clock;
mod control;
mod crossing;
mod door;
mod engine;
mod error;
mod events;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod inbound;
mod kept;
mod lanes;
mod mailbox;
mod memory;
mod moves;
mod outbound;
mod pacemaker;
mod pacing;
mod path_mtu;
mod patience;
mod relay;
mod rhythm;
mod signals;
mod strain;
mod streams;
mod sync;
mod threads;
mod tun;
mod udp;
mod used;
mod waiting;
mod wiring;
mod without;

pub use control::{Server, random_seed};
pub use door::{Challenge, Door, Letter, Taken};
pub use error::EngineError;
