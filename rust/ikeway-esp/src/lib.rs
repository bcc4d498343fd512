// SPDX-License-Identifier: Apache-2.0
//! ESP and AH in tunnel and transport mode as values and functions: no socket, thread, clock or random source (RFC 4301,
//! RFC 4302, RFC 4303).
//!
//! A packet goes out through [`OutboundTable::find`] and [`OutboundSa::seal`], and comes in through
//! [`InboundTable::get_mut`] and [`InboundSa::open`]. Nothing here panics on any octets of a
//! packet.
#![forbid(unsafe_code)]

mod aead;
mod aggfrag;
mod ah;
mod associated;
mod budget;
mod cbc;
mod ccm;
mod congestion;
mod counters;
mod ends;
mod error;
mod form;
mod fragments;
mod gcm;
mod gentle;
mod gmac;
mod inbound;
mod inner;
mod ipcomp;
mod levels;
mod mac;
mod nearness;
mod numbered;
mod order;
mod outbound;
mod outer;
mod padding;
mod replay;
mod selector;
mod separate;
mod sequence;
mod shape;
mod short_gcm;
mod spd;
mod suite;
mod sync;
mod table;
mod terms;
#[cfg(test)]
mod testing;
mod trailer;
mod transform;
mod transport;
mod traps;

pub use aggfrag::{
    Backlog, BreakerLimits, Congestion, CongestionInfo, Dialogue, Legacy, MAX_REORDER, Packed,
    Packer, Reassembly, Rhythm, Turn,
};
pub use ah::spi as ah_spi;
pub use budget::{Amount, Budget, Limit};
pub use congestion::carry_congestion;
pub use counters::{Counters, Ratio, Ratios, StreamState, Tally};
pub use ends::Ends;
pub use error::{InstallError, Refusal};
pub use fragments::{Leaving, Piece, Tracker};
pub use inbound::{Delivery, InboundSa, Verified};
pub use inner::{Flow, Port, inner_length};
pub use ipcomp::{Compressor, Expander, Ipcomp};
pub use nearness::Nearness;
pub use outbound::{OutboundSa, SEAL_ROOM};
pub use outer::{DontFragment, Outer, forbids_fragments};
pub use replay::{MAX_WINDOW, MIN_WINDOW, Pending, Window};
pub use selector::{Policy, Selector};
pub use sequence::{SendCounter, infer};
pub use spd::{MAX_ROWS, Spd, Verdict};
pub use suite::{Encryption, Integrity, Suite};
pub use table::{InboundTable, OutboundTable};
pub use terms::Terms;
pub use transform::{DirectionKeys, ESP_HEADER, Shared};
pub use transport::Hosts;
