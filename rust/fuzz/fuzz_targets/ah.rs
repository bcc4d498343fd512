// SPDX-License-Identifier: Apache-2.0
//! AH: IP packets from the network, from a peer with the keys, and from the host (RFC 4302).
//!
//! The first octet chooses the algorithm, the second mode, ESN and what the rest is.
#![no_main]

use std::net::IpAddr;
use std::sync::Arc;

use ikeway_esp::{
    DirectionKeys, Hosts, InboundSa, OutboundSa, Policy, Refusal, SEAL_ROOM, Selector, Shared,
    Suite, Terms, ah_spi,
};
use libfuzzer_sys::fuzz_target;

const SPI: u32 = 0x0102_0304;
const ENDS: [&str; 4] = ["10.1.0.1", "10.2.0.1", "fd00::1", "fd00::2"];

fuzz_target!(|data: &[u8]| {
    let [row, kind, rest @ ..] = data else { return };
    let Some(suite) = Suite::authentic().cycle().nth(usize::from(*row)) else { return };
    let case =
        Case { suite, esn: kind & 1 != 0, is_transport: kind & 2 != 0, is_ipv4: kind & 4 != 0 };
    match kind >> 3 & 1 {
        0 => case.opens(rest),
        _ => case.seals(rest, kind >> 4),
    }
});

struct Case {
    suite: Suite,
    esn: bool,
    is_transport: bool,
    is_ipv4: bool,
}

impl Case {
    /// Without the key nothing opens.
    fn opens(&self, octets: &[u8]) {
        assert!(open(&mut self.inbound(), octets).is_err());
        let _ = ah_spi(octets);
    }

    /// What the host sends opens again, unless its AH was changed on the way.
    fn seals(&self, octets: &[u8], change: u8) {
        let mut packet = vec![0; octets.len() + SEAL_ROOM];
        let Ok(length) = self.outbound().seal(octets, &mut packet) else { return };
        packet.truncate(length);
        assert_eq!(ah_spi(&packet), Ok(SPI));
        if change == 0 {
            let result = open(&mut self.inbound(), &packet);
            assert!(self.is_transport || result != Err(Refusal::IntegrityFailed));
            return;
        }
        // The last octet is one that AH carries, or that it has.
        if let Some(last) = packet.last_mut() {
            *last ^= change;
        }
        assert!(open(&mut self.inbound(), &packet).is_err());
    }

    fn inbound(&self) -> InboundSa {
        let [here, there] = self.ends();
        InboundSa::new(self.shared(there, here), &self.keys(), 64).expect("the keys fit")
    }

    fn outbound(&self) -> OutboundSa {
        let [here, there] = self.ends();
        let path = ((here, 0).into(), (there, 0).into());
        OutboundSa::new(self.shared(here, there), path, &self.keys(), &[7; 16], 0)
            .expect("they fit")
    }

    fn shared(&self, local: IpAddr, peer: IpAddr) -> Shared {
        let only = |ip| vec![Selector::new(0, (0, u16::MAX), ip, ip).expect("a range")];
        let policy = Policy::new(only(local), only(peer)).expect("selectors");
        let hosts = self.is_transport.then(|| Hosts::new((local, peer), None, &policy));
        let hosts = hosts.map(|hosts| Box::new(hosts.expect("hosts")));
        let terms = Arc::new(Terms { hosts, ..Terms::new(policy) });
        Shared { spi: SPI, suite: self.suite, esn: self.esn, terms }
    }

    fn keys(&self) -> DirectionKeys {
        DirectionKeys { encr: Vec::new(), integ: vec![2; self.suite.key_octets().1] }
    }

    fn ends(&self) -> [IpAddr; 2] {
        let [a, b, c, d] = ENDS.map(|end| end.parse().expect("an address"));
        if self.is_ipv4 { [a, b] } else { [c, d] }
    }
}

fn open(sa: &mut InboundSa, packet: &[u8]) -> Result<Vec<u8>, Refusal> {
    let mut packet = packet.to_vec();
    let verified = sa.verify_ah(&packet, &mut Vec::new())?;
    let place = sa.admit_ah(&verified, &mut packet)?;
    Ok(packet[place].to_vec())
}
