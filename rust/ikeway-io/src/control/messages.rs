// SPDX-License-Identifier: Apache-2.0
//! The messages between daemon and engine.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::num::NonZeroU32;

use ikeway_esp::{Amount, Budget, Counters, Ipcomp, Limit, Port, Ratios, Refusal};
use serde::{Deserialize, Serialize};

use super::governing::Governing;
use super::octets::{Octets, encode};
use super::outer::OuterHeader;
use super::traffic_flow::TrafficFlow;
use crate::error::EngineError;
use crate::events::{Note, Resized, Stray, Want};

/// Pairs in one answer, so that it fits into a message.
pub(super) const PAGE: usize = 256;

/// The version of this protocol; an engine of another version is not spoken to.
pub(super) const VERSION: u32 = 18;

/// What the daemon asks for.
#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Request {
    Hello {
        id: u64,
    },
    Configure {
        id: u64,
        listen: Vec<IpAddr>,
        port: u16,
        workers: u32,
        is_joined: bool,
        queues: NonZeroU32,
        busy_poll: u32,
        tun: String,
        mtu: u32,
    },
    /// On `standby`, the outbound half sends once the peer has used the pair.
    Install {
        id: u64,
        standby: bool,
        child: Box<Child>,
    },
    /// A pair on standby sends from now on, also without that.
    Activate {
        id: u64,
        spi_in: u32,
    },
    Migrate {
        id: u64,
        spi_in: u32,
        local: Endpoint,
        peer: Endpoint,
        encapsulation: Encapsulation,
    },
    Remove {
        id: u64,
        spi_in: u32,
    },
    /// Of one pair.
    Usage {
        id: u64,
        spi_in: u32,
    },
    /// Of a page of pairs, from this inbound SPI on.
    Usages {
        id: u64,
        start: u32,
    },
    /// What was learnt of a page of paths, from behind this peer's address on.
    Paths {
        id: u64,
        after: Option<IpAddr>,
    },
    /// From now on packets of these selectors that have no pair want one.
    Trap {
        id: u64,
        trap: u32,
        local_ts: Vec<TrafficSelector>,
        peer_ts: Vec<TrafficSelector>,
    },
    Untrap {
        id: u64,
        trap: u32,
    },
    /// These policies, in this order, stand before all pairs; those before go.
    Govern {
        id: u64,
        policies: Vec<Governing>,
    },
    Reset {
        id: u64,
    },
    Shutdown {
        id: u64,
    },
}

impl Request {
    pub(super) const fn id(&self) -> u64 {
        match self {
            Self::Hello { id }
            | Self::Configure { id, .. }
            | Self::Install { id, .. }
            | Self::Activate { id, .. }
            | Self::Migrate { id, .. }
            | Self::Remove { id, .. }
            | Self::Usage { id, .. }
            | Self::Usages { id, .. }
            | Self::Paths { id, .. }
            | Self::Trap { id, .. }
            | Self::Untrap { id, .. }
            | Self::Govern { id, .. }
            | Self::Reset { id }
            | Self::Shutdown { id } => *id,
        }
    }
}

/// A pair of ESP SAs, field by field as `ikeway.model.esp.ChildSa`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Child {
    pub(super) spi_in: u32,
    pub(super) spi_out: u32,
    pub(super) local: Endpoint,
    pub(super) peer: Endpoint,
    pub(super) mode: Mode,
    pub(super) encapsulation: Encapsulation,
    pub(super) suite: SuiteCodes,
    pub(super) keys_in: Keys,
    pub(super) keys_out: Keys,
    pub(super) local_ts: Vec<TrafficSelector>,
    pub(super) peer_ts: Vec<TrafficSelector>,
    pub(super) replay_window: u32,
    pub(super) original: Option<Original>,
    pub(super) limits: Limits,
    pub(super) traffic_flow: Option<TrafficFlow>,
    pub(super) is_of_queue: bool,
    pub(super) ipcomp: Option<Indices>,
    pub(super) outer: OuterHeader,
    /// Whether later fragments follow a first one that has the right ports.
    pub(super) later_fragments: bool,
}

/// The indices of a pair with compression: what either side has chosen (RFC 7296 §2.22).
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Indices {
    cpi_in: u16,
    cpi_out: u16,
}

impl From<Indices> for Ipcomp {
    fn from(indices: Indices) -> Self {
        Self { cpi_in: indices.cpi_in, cpi_out: indices.cpi_out }
    }
}

/// What either direction may carry; 0 is no limit.
#[derive(Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Limits {
    soft_packets: u64,
    soft_octets: u64,
    hard_packets: u64,
    hard_octets: u64,
}

impl Limits {
    pub(super) fn budget(self, spi_in: u32) -> Budget {
        let amount = |packets, octets| Amount { packets: bound(packets), octets: bound(octets) };
        let soft = amount(self.soft_packets, self.soft_octets);
        Budget::new(spi_in, soft, amount(self.hard_packets, self.hard_octets))
    }
}

const fn bound(limit: u64) -> u64 {
    if limit == 0 { u64::MAX } else { limit }
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Endpoint {
    pub(super) address: IpAddr,
    pub(super) port: u16,
}

impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Self {
        Self { address: address.ip(), port: address.port() }
    }
}

impl From<Endpoint> for SocketAddr {
    fn from(endpoint: Endpoint) -> Self {
        Self::new(endpoint.address, endpoint.port)
    }
}

/// The addresses that the peer has in its packets of transport mode, where a NAT changes them.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Original {
    pub(super) local: IpAddr,
    pub(super) peer: IpAddr,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mode {
    Tunnel,
    Transport,
}

#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Encapsulation {
    None,
    Udp,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SuiteCodes {
    pub(super) encr: u16,
    pub(super) key_bits: u16,
    pub(super) integ: u16,
    pub(super) esn: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Keys {
    pub(super) encr: Octets,
    pub(super) integ: Octets,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TrafficSelector {
    pub(super) protocol: u8,
    pub(super) port_start: u16,
    pub(super) port_end: u16,
    pub(super) start: IpAddr,
    pub(super) end: IpAddr,
}

/// What the engine answers.
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
        Self { spi_in, packets_in, octets_in, packets_out, octets_out, refused, compression }
    }
}

/// Returns the counters of refusals that are not 0, by name.
pub(super) fn nonzero(count: impl Fn(Refusal) -> u64) -> BTreeMap<&'static str, u64> {
    let counts = Refusal::ALL.map(|refusal| (refusal.name(), count(refusal)));
    counts.into_iter().filter(|(_, count)| *count > 0).collect()
}

/// What the engine says unasked.
#[derive(Serialize)]
#[serde(untagged)]
pub(super) enum Event {
    /// A packet sprang a trap. A port that the packet does not show is null.
    Wanted {
        event: &'static str,
        trap: u32,
        source: IpAddr,
        destination: IpAddr,
        protocol: u8,
        ports: (Option<u16>, Option<u16>),
    },
    Refused {
        event: &'static str,
        spi: u32,
        peer: Option<Endpoint>,
        count: u64,
    },
    IkeDatagram {
        event: &'static str,
        local: Endpoint,
        peer: Endpoint,
        octets: String,
    },
    PeerMoved {
        event: &'static str,
        spi_in: u32,
        peer: Endpoint,
    },
    PathMtu {
        event: &'static str,
        peer: IpAddr,
        mtu: u16,
    },
    StreamResized {
        event: &'static str,
        spi_in: u32,
        octets: usize,
    },
    PairSpent {
        event: &'static str,
        spi_in: u32,
        is_over: bool,
    },
}

impl Event {
    pub(super) fn path_mtu(peer: IpAddr, mtu: u16) -> Self {
        Self::PathMtu { event: "path_mtu", peer, mtu }
    }

    pub(super) fn peer_moved(spi_in: u32, peer: SocketAddr) -> Self {
        Self::PeerMoved { event: "peer_moved", spi_in, peer: peer.into() }
    }
}

impl From<(u32, Limit)> for Event {
    fn from((spi_in, limit): (u32, Limit)) -> Self {
        Self::PairSpent { event: "pair_spent", spi_in, is_over: limit == Limit::Hard }
    }
}

impl From<Resized> for Event {
    fn from(Resized { spi_in, octets }: Resized) -> Self {
        Self::StreamResized { event: "stream_resized", spi_in, octets }
    }
}

impl From<Note> for Event {
    fn from(note: Note) -> Self {
        let peer = note.peer.map(Endpoint::from);
        Self::Refused { event: note.refusal.name(), spi: note.spi, peer, count: note.count }
    }
}

impl From<Want> for Event {
    fn from(want: Want) -> Self {
        let known = |port| match port {
            Port::Known(port) => Some(port),
            Port::Hidden | Port::Absent => None,
        };
        let flow = want.flow;
        Self::Wanted {
            event: "wanted",
            trap: want.trap,
            source: flow.source,
            destination: flow.destination,
            protocol: flow.protocol,
            ports: (known(flow.source_port), known(flow.destination_port)),
        }
    }
}

impl From<Stray> for Event {
    fn from(stray: Stray) -> Self {
        let (local, peer) = (stray.local.into(), stray.peer.into());
        Self::IkeDatagram { event: "ike_datagram", local, peer, octets: encode(&stray.octets) }
    }
}
