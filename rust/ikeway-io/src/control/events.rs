// SPDX-License-Identifier: Apache-2.0
//! What the engine says unasked.

use std::net::{IpAddr, SocketAddr};

use ikeway_esp::{Limit, Port, Turn};
use serde::Serialize;

use super::messages::Endpoint;
use super::octets::encode;
use crate::events::{Note, Stray, StreamNews, Want};

/// Something that happened.
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
    BreakerTurned {
        event: &'static str,
        spi_in: u32,
        is_open: bool,
        lost: f64,
        per_second: f64,
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

impl From<(u32, StreamNews)> for Event {
    fn from((spi_in, news): (u32, StreamNews)) -> Self {
        match news {
            StreamNews::Resized(octets) => {
                Self::StreamResized { event: "stream_resized", spi_in, octets }
            }
            StreamNews::Turned(Turn { is_open, lost, every }) => {
                let per_second = every.as_secs_f64().recip();
                Self::BreakerTurned { event: "breaker_turned", spi_in, is_open, lost, per_second }
            }
        }
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
