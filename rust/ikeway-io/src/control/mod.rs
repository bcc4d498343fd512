// SPDX-License-Identifier: Apache-2.0
//! How the daemon speaks to the engine: one JSON object per datagram of a unix socket of type
//! SEQPACKET.

mod connection;
mod events;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod governing;
mod install;
mod messages;
mod octets;
mod outer;
mod replies;
mod server;
mod traffic_flow;

pub use install::random_seed;
pub use server::Server;
