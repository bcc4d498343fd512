// SPDX-License-Identifier: Apache-2.0
//! What the daemon asks the engine for.

use std::net::{IpAddr, SocketAddr};

use ikeway_esp::{Amount, Budget, Ipcomp};
use serde::{Deserialize, Serialize};

use super::governing::Governing;
use super::octets::Octets;
use super::outer::OuterHeader;
use super::traffic_flow::TrafficFlow;
use crate::engine::Configuration;

/// The version of this protocol; an engine of another version is not spoken to.
pub(super) const VERSION: u32 = 20;

/// What the daemon asks for.
#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Request {
    Hello {
        id: u64,
    },
    /// Answered once every thread that carries packets has looked at its mail.
    Pulse {
        id: u64,
    },
    Configure {
        id: u64,
        configuration: Configuration,
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
            | Self::Pulse { id }
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
