// SPDX-License-Identifier: Apache-2.0
//! What a pair of SAs weighs in memory, tables included: a hundred thousand have to fit.
#![allow(clippy::unwrap_used, reason = "nothing of this can fail")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ikeway_esp::{
    DirectionKeys, InboundSa, InboundTable, OutboundSa, OutboundTable, Policy, Selector, Shared,
    Suite, Terms,
};

/// More and less than fill a table of a power of two: the mean weight is much the same.
const COUNTS: [u32; 3] = [9_000, 12_000, 15_000];
/// What aws-lc takes for two keys of AES-GCM, where it has them: no allocator of ours sees that.
const KEYS: usize = 2 * 608;

/// The system's, with a count of what is in use.
struct Counting;

static IN_USE: AtomicUsize = AtomicUsize::new(0);

/// What the C library takes for so many octets: eight more, in steps of 16.
const fn taken(layout: Layout) -> usize {
    (layout.size() + 8).next_multiple_of(16)
}

// SAFETY: it is the system's allocator that gives and takes.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        IN_USE.fetch_add(taken(layout), Ordering::Relaxed);
        // SAFETY: the caller promises what `System` asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        IN_USE.fetch_sub(taken(layout), Ordering::Relaxed);
        // SAFETY: `place` came from `System`, with this layout.
        unsafe { System.dealloc(place, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

fn are_keys_ours() -> bool {
    ikeway_gcm::Key::new(&[0; 32]).is_some()
}

/// Returns the octets that each of many pairs takes, of the counts that one at which it is the most.
fn weight(path: [&str; 2], host: fn(u32) -> IpAddr) -> usize {
    COUNTS.into_iter().map(|count| weight_of_one(count, path, host)).max().unwrap()
}

/// Returns the octets that each of so many pairs takes.
fn weight_of_one(count: u32, path: [&str; 2], host: fn(u32) -> IpAddr) -> usize {
    let suite = Suite::find(20, 256, 0).unwrap();
    let keys = DirectionKeys { encr: vec![1; suite.key_octets().0], integ: Vec::new() };
    let path: [SocketAddr; 2] = path.map(|end| end.parse().unwrap());
    let (mut inbound, mut outbound) = (InboundTable::default(), OutboundTable::default());
    let before = IN_USE.load(Ordering::Relaxed);
    for spi in 1000..1000 + count {
        let only = |ip| vec![Selector::new(0, (0, u16::MAX), ip, ip).unwrap()];
        let terms = Arc::new(Terms::new(Policy::new(only(host(0)), only(host(spi))).unwrap()));
        let shared = Shared { spi, suite, esn: true, terms };
        let sender = OutboundSa::new(shared.clone(), (path[0], path[1]), &keys, &[0; 16], 0);
        let mut receiver = InboundSa::new(shared, &keys, 1024).unwrap();
        let sender = sender.unwrap();
        receiver.expect_from(sender.ends().clone());
        inbound.insert(receiver).unwrap();
        outbound.insert(spi, sender);
    }
    let unseen = if are_keys_ours() { 0 } else { KEYS };
    let each = unseen + (IN_USE.load(Ordering::Relaxed) - before) / count as usize;
    println!("{count}: {each}");
    each
}

/// An engine adds some 50 octets of its own (`bench/esp_scale.py` measures it whole): its list of
/// pairs, what it remembers of their keys, and what the allocator loses between them.
#[test]
fn a_pair_weighs_less_than_two_thousand_octets() {
    // The library's keys are larger than ours.
    let [most, most_of_ipv6] = if are_keys_ours() { [1_762, 1_826] } else { [1_922, 1_986] };
    let ipv4 = weight(["192.0.2.1:4500", "192.0.2.2:4500"], |number| {
        Ipv4Addr::from(0x0a00_0000 + number).into()
    });
    assert!(ipv4 <= most, "{ipv4}");
    let ipv6 = weight(["[2001:db8::1]:4500", "[2001:db8::2]:4500"], |number| {
        Ipv6Addr::from((0xfd00 << 112) + u128::from(number)).into()
    });
    assert!(ipv6 <= most_of_ipv6, "{ipv6}");
}
