// SPDX-License-Identifier: Apache-2.0
//! Where packets leave from and go to, in as few octets as may be: every SA has it.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;

/// The address and port of both ends: ours, and the peer's.
#[derive(Clone, Debug)]
pub struct Ends(Place);

#[derive(Clone, Debug)]
enum Place {
    V4(SocketAddrV4, SocketAddrV4),
    Other(Arc<(SocketAddr, SocketAddr)>),
}

impl Ends {
    /// Returns the local end and the peer's.
    #[must_use]
    #[inline]
    pub fn both(&self) -> (SocketAddr, SocketAddr) {
        match &self.0 {
            Place::V4(local, peer) => (SocketAddr::V4(*local), SocketAddr::V4(*peer)),
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
            _ => Place::Other(Arc::new(ends)),
        })
    }
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
        ] {
            let ends = (local.parse().unwrap(), peer.parse().unwrap());
            assert_eq!(Ends::from(ends).both(), ends);
            assert_eq!(Ends::from(ends).peer(), ends.1);
        }
    }
}
