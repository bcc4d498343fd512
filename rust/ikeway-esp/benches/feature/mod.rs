// SPDX-License-Identifier: Apache-2.0
//! The features of an SA, one by one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use ikeway_esp::{
    Amount, Budget, Counters, DirectionKeys, DontFragment, Hosts, Ipcomp, OutboundSa, Outer,
    Policy, Selector, Shared, Spd, Suite, Terms, Verdict,
};

use crate::{LOCAL, PEER};

const ANY: (u16, u16) = (0, u16::MAX);
const UDP: u8 = 17;

/// What a pair of SAs is made with.
pub(crate) struct Feature {
    pub(crate) suite: (u16, u16, u16),
    pub(crate) esn: bool,
    pub(crate) window: u32,
    pub(crate) terms: Terms,
    pub(crate) follows: bool,
    pub(crate) padded: usize,
    pub(crate) spd: Option<Spd>,
    /// Other SAs that we send on.
    pub(crate) beside: Vec<OutboundSa>,
    /// The outer class of what arrives.
    pub(crate) class: u8,
    pub(crate) is_text: bool,
}

impl Default for Feature {
    /// AES-256-GCM in tunnel mode, and no more than it must have.
    fn default() -> Self {
        let everything = || vec![net([0; 4], [255; 4])];
        Self {
            suite: (20, 256, 0),
            esn: true,
            window: 1024,
            terms: terms(everything(), everything()),
            follows: false,
            padded: 0,
            spd: None,
            beside: Vec::new(),
            class: 0,
            is_text: false,
        }
    }
}

type Row = (&'static str, &'static str, fn(&mut Feature));

/// Each feature, what it is measured beside, and what makes it.
pub(crate) const FEATURES: &[Row] = &[
    ("AES-256-GCM, nothing else", "AES-256-GCM, nothing else", |_| ()),
    ("the same again", "AES-256-GCM, nothing else", |_| ()),
    ("numbers of 32 bits (no ESN)", "AES-256-GCM, nothing else", |one| one.esn = false),
    ("no replay window", "AES-256-GCM, nothing else", |one| one.window = 0),
    ("a replay window of 65,536", "AES-256-GCM, nothing else", |one| one.window = 65_536),
    ("limits of the SA", "AES-256-GCM, nothing else", |one| one.terms.counters = limited()),
    ("a DSCP of the SA's own", "AES-256-GCM, nothing else", |one| {
        one.terms.outer = Outer::new(Some(46), DontFragment::Set, 0);
    }),
    ("DF as the inner packet has it", "AES-256-GCM, nothing else", |one| {
        one.terms.outer = Outer::new(None, DontFragment::Copy, 0);
    }),
    ("ECN on the outer header", "AES-256-GCM, nothing else", |one| one.class = 1),
    ("a policy that discards others'", "AES-256-GCM, nothing else", |one| one.spd = Some(spd(1))),
    ("100 such policies", "AES-256-GCM, nothing else", |one| one.spd = Some(spd(100))),
    ("1,000 such policies", "AES-256-GCM, nothing else", |one| one.spd = Some(spd(1000))),
    ("100 selectors, the last of which it is", "AES-256-GCM, nothing else", |one| {
        one.terms = terms(vec![net([0; 4], [255; 4])], nets(100));
    }),
    ("10 selectors", "AES-256-GCM, nothing else", |one| {
        one.terms = terms(vec![net([0; 4], [255; 4])], nets(10));
    }),
    ("24 other SAs, each of another prefix", "AES-256-GCM, nothing else", |one| {
        one.beside = (8..32).map(|bits| to(vec![prefix(bits)], 1)).collect();
    }),
    ("selectors with ports", "AES-256-GCM, nothing else", |one| one.terms = with_ports()),
    ("fragments tracked", "selectors with ports", |one| {
        (one.terms, one.follows) = (with_ports(), true);
    }),
    ("fragments tracked, by another SA", "AES-256-GCM, nothing else", |one| {
        let web = |ip| vec![Selector::new(6, (80, 80), host(ip), host(ip)).unwrap()];
        one.beside = vec![to(web([10, 9, 0, 1]), 2).following()];
    }),
    ("IPComp, what gets no smaller", "AES-256-GCM, nothing else", |one| one.terms.ipcomp = IPCOMP),
    ("IPComp, what does", "AES-256-GCM, nothing else", |one| {
        (one.terms.ipcomp, one.is_text) = (IPCOMP, true);
    }),
    ("transport mode", "AES-256-GCM, nothing else", |one| one.terms = transport()),
    ("padded to 256 octets", "AES-256-GCM, nothing else", |one| one.padded = 256),
    ("ESP without encryption, HMAC-SHA-256", "ESP without encryption, HMAC-SHA-256", |one| {
        one.suite = (11, 0, 12);
    }),
    ("AH, HMAC-SHA-256", "ESP without encryption, HMAC-SHA-256", |one| one.suite = (0, 0, 12)),
    ("ESP without encryption, AES-GMAC", "ESP without encryption, AES-GMAC", |one| {
        one.suite = (21, 256, 0);
    }),
];

const IPCOMP: Option<Ipcomp> = Some(Ipcomp { cpi_in: 300, cpi_out: 300 });

fn terms(local: Vec<Selector>, peer: Vec<Selector>) -> Terms {
    Terms::new(Policy::new(local, peer).unwrap())
}

fn host(octets: [u8; 4]) -> IpAddr {
    Ipv4Addr::from(octets).into()
}

fn net(start: [u8; 4], end: [u8; 4]) -> Selector {
    Selector::new(0, ANY, host(start), host(end)).unwrap()
}

/// Returns so many nets, the last of which our packets are from and for.
fn nets(count: u8) -> Vec<Selector> {
    let others = (1..count).map(|net| [172, 16, net]).chain([[10, 1, 0]]);
    others.map(|[one, two, three]| net([one, two, three, 0], [one, two, three, 255])).collect()
}

/// Returns the net of that length around an address that our packets are not for.
fn prefix(bits: u32) -> Selector {
    let (start, rest) = (u32::from_be_bytes([172, 16, 0, 0]), u32::MAX >> bits);
    net((start & !rest).to_be_bytes(), (start | rest).to_be_bytes())
}

fn with_ports() -> Terms {
    let side = || vec![Selector::new(UDP, (1000, 3000), host([0; 4]), host([255; 4])).unwrap()];
    terms(side(), side())
}

fn transport() -> Terms {
    let only = |ip| vec![Selector::new(0, ANY, ip, ip).unwrap()];
    // Both are one address, as the packet that leaves comes back.
    let plain = terms(only(host([10, 1, 0, 1])), only(host([10, 1, 0, 1])));
    let ends = (host([10, 1, 0, 1]), host([10, 1, 0, 1]));
    let hosts = Hosts::new(ends, None, &plain.policy).unwrap();
    Terms { hosts: Some(Box::new(hosts)), ..plain }
}

fn limited() -> Counters {
    let far = Amount { packets: 1 << 60, octets: 1 << 60 };
    Counters::new(Budget::new(1, far, far))
}

/// Returns so many policies of which our packets are in none.
fn spd(count: u16) -> Spd {
    let policy = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let peer = net([172, 16 + high, low, 0], [172, 16 + high, low, 255]);
        (Verdict::Discard, Policy::new(vec![net([0; 4], [255; 4])], vec![peer]).unwrap())
    };
    Spd::new(&(0..count).map(policy).collect::<Vec<_>>()).unwrap()
}

fn to(peer: Vec<Selector>, spi: u32) -> OutboundSa {
    let suite = Suite::find(20, 256, 0).unwrap();
    let keys = DirectionKeys { encr: vec![1; suite.key_octets().0], integ: Vec::new() };
    let path = [LOCAL, PEER].map(|ip| SocketAddr::new(ip.into(), 4500));
    let terms = Arc::new(terms(vec![net([0; 4], [255; 4])], peer));
    let shared = Shared { spi: 0x1000 + spi, suite, esn: true, terms };
    OutboundSa::new(shared, (path[0], path[1]), &keys, &[3; 16], 0).unwrap()
}

/// Returns a UDP packet of a host to itself: letters that compress, or octets without a pattern.
pub(crate) fn packet(octets: usize, is_text: bool) -> Vec<u8> {
    let [high, low] = u16::try_from(octets).unwrap().to_be_bytes();
    let mut packet =
        vec![0x45, 0, high, low, 0, 0, 0x40, 0, 64, UDP, 0, 0, 10, 1, 0, 1, 10, 1, 0, 1];
    packet.extend_from_slice(&[0x03, 0xe8, 0x07, 0xd0, 0, 0, 0, 0]);
    let mut state = 1_u32;
    packet.resize_with(octets, || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        if is_text { b'a' } else { state.to_be_bytes()[0] }
    });
    packet
}
