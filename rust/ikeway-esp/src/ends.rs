// SPDX-License-Identifier: Apache-2.0
//! Where packets leave from and go to, in as few octets as may be: every SA has it.

use std::net::{Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::sync::Arc;

/// The address and port of both ends: ours, and the peer's.
#[derive(Clone, Debug)]
pub struct Ends(Place);

#[derive(Clone, Debug)]
enum Place {
    V4(SocketAddrV4, SocketAddrV4),
    V6(Arc<[(Ipv6Addr, u16); 2]>),
    /// Those of a link, which have a scope.
    Other(Arc<(SocketAddr, SocketAddr)>),
}

impl Ends {
    /// Returns the local end and the peer's.
    #[must_use]
    #[inline]
    pub fn both(&self) -> (SocketAddr, SocketAddr) {
        match &self.0 {
            Place::V4(local, peer) => (SocketAddr::V4(*local), SocketAddr::V4(*peer)),
            Place::V6(ends) => with_ipv6(ends),
            Place::Other(ends) => **ends,
        }
    }

    pub(crate) const fn is_ipv4(&self) -> bool {
        matches!(self.0, Place::V4(..))
    }

    /// Returns the peer's end.
    #[must_use]
    #[inline]
    pub fn peer(&self) -> SocketAddr {
        self.both().1
    }
}

impl From<(SocketAddr, SocketAddr)> for Ends {
    fn from(ends: (SocketAddr, SocketAddr)) -> Self {
        Self(match ends {
            (SocketAddr::V4(local), SocketAddr::V4(peer)) => Place::V4(local, peer),
            (SocketAddr::V6(local), SocketAddr::V6(peer)) if is_plain(local) && is_plain(peer) => {
                Place::V6(Arc::new([local, peer].map(|end| (*end.ip(), end.port()))))
            }
            _ => Place::Other(Arc::new(ends)),
        })
    }
}

#[inline(never)]
fn with_ipv6(ends: &[(Ipv6Addr, u16); 2]) -> (SocketAddr, SocketAddr) {
    let end = |(ip, port)| SocketAddr::V6(SocketAddrV6::new(ip, port, 0, 0));
    (end(ends[0]), end(ends[1]))
}

/// Whether there is no more to it than address and port.
const fn is_plain(end: SocketAddrV6) -> bool {
    end.scope_id() == 0 && end.flowinfo() == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_are_what_they_were() {
        for (local, peer) in [
            ("192.0.2.1:4500", "198.51.100.2:40000"),
            ("[2001:db8::1]:4500", "[2001:db8::2]:0"),
            ("192.0.2.1:0", "[fe80::1%3]:500"),
            ("[fe80::1%3]:500", "[fe80::2%3]:500"),
        ] {
            let ends = (local.parse().unwrap(), peer.parse().unwrap());
            assert_eq!(Ends::from(ends).both(), ends);
            assert_eq!(Ends::from(ends).peer(), ends.1);
        }
    }
}
