// SPDX-License-Identifier: Apache-2.0
//! Options and extension headers before AH (RFC 4302 App. A).

use super::*;

/// Returns the packet of a host with these options in its IPv4 header.
fn with_options(options: &[u8]) -> Vec<u8> {
    let plain = ipv4_packet(12);
    let mut packet = plain[..20].to_vec();
    packet[0] = 0x45 + u8::try_from(options.len() / 4).unwrap();
    packet[5] = 1;
    packet.extend_from_slice(options);
    packet.extend_from_slice(&plain[20..]);
    let end = packet.len();
    ipv4::finish(&mut packet, end).unwrap();
    packet
}

/// Returns the packet of a host with these extension headers, of which `first` is the first one.
fn with_extensions(first: u8, extensions: &[u8]) -> Vec<u8> {
    let plain = ipv6_packet(12);
    let mut packet = plain[..40].to_vec();
    packet[6] = first;
    packet.extend_from_slice(extensions);
    packet.extend_from_slice(&plain[40..]);
    let end = packet.len();
    ipv6::finish(&mut packet, end).unwrap();
    packet
}

/// Returns whether a packet opens though these octets of it were changed on the way.
fn survives(ends: [&str; 2], packet: &[u8], at: usize) -> bool {
    let (sender, mut receiver) = pair(sha256(), false, ends, true);
    let mut sealed = sealed(&sender, packet);
    sealed[at] ^= 0x01;
    opened(&mut receiver, &sealed).is_ok()
}

/// RFC 4302 App. A1: these options are protected, those are zeroed whole.
#[test]
fn options_are_protected_or_zeroed_by_their_kind() {
    for kind in [130, 133, 134, 148, 149] {
        let packet = with_options(&[kind, 4, 0xaa, 0xbb]);
        assert!(!survives(HOSTS_IPV4, &packet, 22), "{kind}");
    }
    for kind in [7, 68, 82, 136, 11, 12, 145, 10, 205, 142, 15, 144, 147, 200] {
        let packet = with_options(&[kind, 4, 0xaa, 0xbb]);
        assert!(survives(HOSTS_IPV4, &packet, 22), "{kind}");
        let behind = with_options(&[kind, 4, 0xaa, 0xbb, 148, 4, 0, 0]);
        assert!(!survives(HOSTS_IPV4, &behind, 26), "an option behind {kind}");
    }
    let ended = with_options(&[1, 1, 0, 0]);
    assert!(!survives(HOSTS_IPV4, &ended, 21), "a no operation");
}

/// RFC 4302 §3.3.3.1.1.1: a source route's end is what the receiver will see as the destination.
#[test]
fn a_source_route_is_protected_by_where_it_ends() {
    let mut packet = with_options(&[131, 7, 4, 10, 2, 0, 1, 1]);
    let (sender, mut receiver) = pair(sha256(), false, HOSTS_IPV4, true);
    packet[16..20].copy_from_slice(&[203, 0, 113, 1]);
    let mut sealed = sealed(&sender, &packet);
    assert!(opened(&mut receiver, &sealed).is_err(), "not there yet");
    // The one hop takes the next address, and puts its own in its place.
    sealed[16..20].copy_from_slice(&[10, 2, 0, 1]);
    sealed[22..27].copy_from_slice(&[8, 203, 0, 113, 1]);
    assert!(opened(&mut receiver, &sealed).is_ok());
}

/// An option that is longer than the header is none that could be protected.
#[test]
fn an_option_that_does_not_fit_is_refused() {
    let (sender, _) = pair(sha256(), false, HOSTS_IPV4, true);
    let packet = with_options(&[130, 9, 0, 0]);
    assert_eq!(sender.seal(&packet, &mut [0; 300]), Err(Refusal::Fragment));
}

/// RFC 4302 §3.3.3.1.2.2: a bit of its type says whether an option may change; its type and length
/// may not.
#[test]
fn options_of_ipv6_say_themselves_whether_they_change() {
    for kind in [0_u8, 60] {
        // Hop-by-Hop or Destination Options before a routing header that has no hops to go.
        let options = [43, 0, 0x3e, 2, 0xaa, 0xbb, 1, 0];
        let route = [17, 2, 0, 0, 0, 0, 0, 0, 0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
        let packet = with_extensions(kind, &[options.as_slice(), &route].concat());
        assert!(survives(HOSTS_IPV6, &packet, 44) && survives(HOSTS_IPV6, &packet, 45));
        assert!(!survives(HOSTS_IPV6, &packet, 42), "its type");
        let mut lasting = packet.clone();
        lasting[42] = 0x1e;
        assert!(!survives(HOSTS_IPV6, &lasting, 44), "its data");
        assert!(!survives(HOSTS_IPV6, &packet, 71), "the route");
    }
}

/// RFC 4302 §3.1.1: AH stands behind what the way reads, and destination options behind AH.
#[test]
fn destination_options_alone_stand_behind_ah() {
    let packet = with_extensions(60, &[17, 0, 0x3e, 4, 1, 2, 3, 4]);
    let (sender, mut receiver) = pair(sha256(), false, HOSTS_IPV6, true);
    let out = sealed(&sender, &packet);
    assert_eq!((out[6], out[40]), (AH, 60));
    assert_eq!(opened(&mut receiver, &out), Ok(packet.clone()));
    assert!(
        !survives(HOSTS_IPV6, &packet, 40 + 32 + 4),
        "also their mutable ones are protected there"
    );
}

/// RFC 4302 App. A2: a routing header is protected as it will be in the end.
#[test]
fn a_routing_header_is_protected_as_it_will_be() {
    let address = |last: u8| [0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, last];
    let route = |left, hops: [u8; 2]| {
        let head = [17, 4, 0, left, 0, 0, 0, 0];
        [head.as_slice(), &address(hops[0]), &address(hops[1])].concat()
    };
    let mut packet = with_extensions(43, &route(2, [8, 2]));
    packet[24..40].copy_from_slice(&address(7));
    let (sender, mut receiver) = pair(sha256(), false, HOSTS_IPV6, true);
    let mut sealed = sealed(&sender, &packet);
    assert!(opened(&mut receiver, &sealed).is_err(), "not there yet");
    sealed[24..40].copy_from_slice(&address(2));
    let mut arrived = route(0, [7, 8]);
    arrived[0] = AH;
    sealed[40..40 + arrived.len()].copy_from_slice(&arrived);
    assert!(opened(&mut receiver, &sealed).is_ok());
}

/// What kind of route it is nobody told us, so what it will be is not known.
#[test]
fn a_route_of_another_kind_with_hops_to_go_is_refused() {
    let (sender, _) = pair(sha256(), false, HOSTS_IPV6, true);
    let mut route = [0; 24];
    (route[0], route[1], route[2], route[3]) = (17, 2, 4, 1);
    let packet = with_extensions(43, &route);
    assert_eq!(sender.seal(&packet, &mut [0; 300]), Err(Refusal::Fragment));
}

/// RFC 4302 App. A2: a fragment header that fragments nothing is skipped; others make it a fragment.
#[test]
fn a_fragment_header_of_a_whole_packet_is_skipped() {
    let (sender, mut receiver) = pair(sha256(), true, HOSTS_IPV6, true);
    let packet = ipv6_packet(12);
    let mut sealed = sealed(&sender, &packet);
    sealed[6] = 44;
    sealed.splice(40..40, [AH, 0, 0, 0, 1, 2, 3, 4]);
    let end = sealed.len();
    ipv6::finish(&mut sealed, end).unwrap();
    let mut fragment = sealed.clone();
    fragment[43] = 1;
    assert_eq!(opened(&mut receiver, &fragment), Err(Refusal::Fragment));
    let out = opened(&mut receiver, &sealed).unwrap();
    assert_eq!((&out[..4], &out[48..]), (&packet[..4], &packet[40..]));
    let whole = with_extensions(44, &[17, 0, 0, 0, 1, 2, 3, 4]);
    assert_eq!(sender.seal(&whole, &mut [0; 300]), Err(Refusal::Fragment));
}

/// INTEROP linux: over IPv4 a header that is padded as over IPv6 is taken.
#[test]
fn a_header_padded_to_eight_octets_over_ipv4_is_taken() {
    let (sender, mut receiver) = pair(sha256(), false, IPV4, false);
    let inner = ipv4_packet(12);
    let mut packet = sealed(&sender, &inner);
    packet.splice(48..48, [0; 4]);
    packet[21] += 1;
    let end = packet.len();
    ipv4::finish(&mut packet, end).unwrap();
    let mut settled = packet.clone();
    ipv4::settle(&mut settled[..20], false).unwrap();
    settled[32..48].fill(0);
    let ah = Ah::new(sha256(), &keys(sha256()), false).unwrap();
    let icv = ah.check.compute(check::Check::iv(1), &settled).unwrap();
    packet[32..48].copy_from_slice(&icv[..16]);
    assert_eq!(opened(&mut receiver, &packet), Ok(inner));
}
