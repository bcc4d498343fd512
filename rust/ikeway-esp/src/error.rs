// SPDX-License-Identifier: Apache-2.0
//! Why a packet is dropped, and why an SA cannot be installed.

use std::net::IpAddr;

/// Why a packet goes no further. Each is an auditable event of RFC 4303 §3.4 or RFC 4301 §5.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
pub enum Refusal {
    /// No octets that ESP could have produced (RFC 4303 §2).
    #[error("malformed packet")]
    Malformed,
    /// No SA has this SPI (RFC 4303 §3.4.2).
    #[error("unknown SPI")]
    UnknownSpi,
    /// The sequence number was seen before, is left of the window, or is none (RFC 4303 §3.4.3).
    #[error("sequence number replayed or too old")]
    Replayed,
    /// The integrity check value is wrong (RFC 4303 §3.4.4).
    #[error("integrity check failed")]
    IntegrityFailed,
    /// The padding is not 1, 2, 3 … (RFC 4303 §2.4).
    #[error("bad padding")]
    BadPadding,
    /// Next header 59: made to be discarded (RFC 4303 §2.6).
    #[error("dummy packet")]
    Dummy,
    /// The next header is not IPv4 or IPv6, which is all that tunnel mode carries.
    #[error("next header is not an IP version")]
    NotIp,
    /// The inner packet is not one that the SA's traffic selectors cover (RFC 4301 §5.2).
    #[error("inner packet outside the traffic selectors")]
    SelectorMismatch,
    /// No SA protects this outgoing packet, so it does not leave (RFC 4301 §5.1).
    #[error("no SA for this packet")]
    NoSa,
    /// The last sequence number was used (RFC 4303 §3.3.3).
    #[error("sequence numbers exhausted")]
    SequenceExhausted,
    /// The SA has carried all that it may (RFC 4301 §4.4.2.1).
    #[error("hard limit of the SA reached")]
    Spent,
    /// The sealed packet would not fit into a datagram.
    #[error("packet too long")]
    TooLong,
    /// Transport mode carries no fragments, and no headers that only the way reads (RFC 4303 §3.3.4).
    #[error("a fragment, or with headers for the way, in transport mode")]
    Fragment,
    /// A later fragment whose first one did not pass before it, nor soon after (RFC 4301 §7.3).
    #[error("a later fragment of no packet that has passed")]
    StrayFragment,
    /// A fragment that overlaps with others of its packet, has no whole header, or is one that no host
    /// makes (RFC 1858, RFC 5722).
    #[error("a fragment that overlaps, or is too short, or cannot be")]
    BadFragment,
    /// It is not compressed as was agreed on, or would be longer than any packet (RFC 3173 §2.1).
    #[error("no compressed packet of this SA")]
    NotExpanded,
    /// There was congestion on the way, and only loss can tell the sender (RFC 6040 §4.2).
    #[error("congestion on the way of a packet without ECN")]
    Congested,
    /// A policy wants it nowhere, or on the host's own ways (RFC 4301 §4.4.1).
    #[error("discarded by policy")]
    Discarded,
    /// Packets of a stream did not come, and all inner ones that they had parts of are lost (RFC 9347
    /// §2.4.1).
    #[error("a gap in the stream")]
    Gap,
}

impl Refusal {
    /// Every refusal, in the order of [`Refusal::index`].
    pub const ALL: [Self; 19] = [
        Self::Malformed,
        Self::UnknownSpi,
        Self::Replayed,
        Self::IntegrityFailed,
        Self::BadPadding,
        Self::Dummy,
        Self::NotIp,
        Self::SelectorMismatch,
        Self::NoSa,
        Self::SequenceExhausted,
        Self::Spent,
        Self::TooLong,
        Self::Fragment,
        Self::StrayFragment,
        Self::BadFragment,
        Self::NotExpanded,
        Self::Congested,
        Self::Discarded,
        Self::Gap,
    ];

    /// Returns the place of this refusal in tables of counters.
    #[must_use]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// Returns the name used in events and counters.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownSpi => "unknown_spi",
            Self::Replayed => "replayed",
            Self::IntegrityFailed => "integrity_failed",
            Self::BadPadding => "bad_padding",
            Self::Dummy => "dummy",
            Self::NotIp => "not_ip",
            Self::SelectorMismatch => "selector_mismatch",
            Self::NoSa => "no_sa",
            Self::SequenceExhausted => "sequence_exhausted",
            Self::Spent => "spent",
            Self::TooLong => "too_long",
            Self::Fragment => "fragment",
            Self::StrayFragment => "stray_fragment",
            Self::BadFragment => "bad_fragment",
            Self::NotExpanded => "not_expanded",
            Self::Congested => "congested",
            Self::Discarded => "discarded",
            Self::Gap => "gap",
        }
    }
}

/// Why an SA cannot be installed. Nothing changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstallError {
    /// No row of the suite table has these code points.
    #[error("no ESP suite has ENCR {encr} with a key of {key_bits} bits and INTEG {integ}")]
    UnknownSuite {
        /// Transform type 1.
        encr: u16,
        /// Key Length attribute, 0 without one.
        key_bits: u16,
        /// Transform type 3, 0 for none.
        integ: u16,
    },
    /// A key is not as long as the suite asks.
    #[error("{what} key of {seen} octets, {wanted} wanted")]
    KeyLength {
        /// "encryption" or "integrity".
        what: &'static str,
        /// Octets given.
        seen: usize,
        /// Octets asked for.
        wanted: usize,
    },
    /// 0 is for local use and 1 to 255 are reserved (RFC 4303 §2.1).
    #[error("SPI {0:#010x} is below 256")]
    ReservedSpi(u32),
    /// An inbound SA with that SPI is there already.
    #[error("SPI {0:#010x} is in use")]
    SpiInUse(u32),
    /// The window is neither 0 nor within the supported range.
    #[error("replay window of {0} packets; allowed are 0 and 32 to 65536")]
    ReplayWindow(u32),
    /// A range that ends before it starts, or that mixes address families.
    #[error("traffic selector {0} is not a range of one address family")]
    BadSelector(String),
    /// In transport mode the selectors are those of the two hosts (RFC 7296 §2.23.1).
    #[error("transport mode between {local} and {peer} has other addresses in its selectors")]
    NotTheHosts {
        /// This host.
        local: IpAddr,
        /// The peer.
        peer: IpAddr,
    },
    /// Each packet is looked up in all of them.
    #[error("policies have more than {0} pairs of traffic selectors")]
    TooManyPolicies(usize),
    /// An SA without selectors would carry nothing.
    #[error("an SA needs at least one traffic selector on each side")]
    NoSelectors,
}
