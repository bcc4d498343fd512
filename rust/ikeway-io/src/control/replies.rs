// SPDX-License-Identifier: Apache-2.0
//! What the engine answers.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ikeway_esp::{Counters, Ratios, Refusal, StreamState};
use serde::Serialize;

use super::messages::Endpoint;
use crate::error::EngineError;

/// Pairs in one answer, so that it fits into a message.
pub(super) const PAGE: usize = 256;

/// An answer.
#[derive(Serialize)]
pub(super) struct Reply {
    /// That of the request; none if it could not be read.
    pub(super) id: Option<u64>,
    #[serde(flatten)]
    pub(super) outcome: Outcome,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Outcome {
    Ok(Success),
    Error { kind: &'static str, message: String, errno: Option<i32> },
}

impl From<EngineError> for Outcome {
    fn from(error: EngineError) -> Self {
        Self::Error { kind: error.kind(), message: error.to_string(), errno: error.errno() }
    }
}

#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Success {
    Hello {
        version: u32,
        pid: u32,
        is_configured: bool,
    },
    Configured {
        interface: String,
        sockets: Vec<Endpoint>,
    },
    /// `next` is where the next page starts, if there is one.
    Usage {
        sas: Vec<Usage>,
        next: Option<u32>,
        refused: BTreeMap<&'static str, u64>,
    },
    /// The MTU of paths by the peer's address; `next` is what the next page comes after.
    Paths {
        paths: BTreeMap<IpAddr, u16>,
        next: Option<IpAddr>,
    },
    Done {},
}

/// The counters of a pair of SAs.
#[derive(Serialize)]
pub(super) struct Usage {
    spi_in: u32,
    packets_in: u64,
    octets_in: u64,
    packets_out: u64,
    octets_out: u64,
    refused: BTreeMap<&'static str, u64>,
    /// Of a pair that has compressed or expanded anything.
    #[serde(skip_serializing_if = "Option::is_none")]
    compression: Option<Compression>,
    /// Of a pair that sends a stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<Stream>,
}

/// The stream of a pair. Times are in seconds; what is not known is null.
#[derive(Serialize)]
struct Stream {
    per_second: f64,
    rtt: Option<f64>,
    loss_event_rate: Option<f64>,
    is_open: Option<bool>,
}

impl From<StreamState> for Stream {
    fn from(StreamState { every, rtt, loss_event_rate, is_open }: StreamState) -> Self {
        let rtt = rtt.map(|rtt| rtt.as_secs_f64());
        Self { per_second: every.as_secs_f64().recip(), rtt, loss_event_rate, is_open }
    }
}

/// Packets that were compressed, their octets without that, and with it, in either direction.
#[derive(Serialize)]
struct Compression {
    packets_in: u64,
    plain_in: u64,
    packed_in: u64,
    packets_out: u64,
    plain_out: u64,
    packed_out: u64,
}

impl From<&Ratios> for Compression {
    fn from(ratios: &Ratios) -> Self {
        let (packets_in, plain_in, packed_in) = ratios.expanded.read();
        let (packets_out, plain_out, packed_out) = ratios.compressed.read();
        Self { packets_in, plain_in, packed_in, packets_out, plain_out, packed_out }
    }
}

impl Usage {
    pub(super) fn of(spi_in: u32, counters: &Counters) -> Self {
        let (packets_in, octets_in) = counters.received.read();
        let (packets_out, octets_out) = counters.sent.read();
        let refused = nonzero(|refusal| counters.refused(refusal));
        let compression = counters.ratios().map(Compression::from);
        let stream = counters.stream().map(Stream::from);
        Self {
            spi_in,
            packets_in,
            octets_in,
            packets_out,
            octets_out,
            refused,
            compression,
            stream,
        }
    }
}

/// Returns the counters of refusals that are not 0, by name.
pub(super) fn nonzero(count: impl Fn(Refusal) -> u64) -> BTreeMap<&'static str, u64> {
    let counts = Refusal::ALL.map(|refusal| (refusal.name(), count(refusal)));
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}
