// SPDX-License-Identifier: Apache-2.0
//! What a message of the daemon comes to before it touches a socket or an interface; only for the
//! fuzzer.

use super::install::{pair, policy};
use super::messages::Request;

/// That of an interface that is not there.
const MTU: usize = 1400;

/// Reads a message, and makes the SAs or the policy that it asks for.
///
/// # Errors
/// Why it was refused.
pub fn read(octets: &[u8]) -> Result<(), String> {
    match serde_json::from_slice(octets).map_err(|error| error.to_string())? {
        Request::Install { child, standby, .. } => {
            pair(*child, standby, MTU).map(|_| ()).map_err(|error| error.to_string())
        }
        Request::Trap { local_ts, peer_ts, .. } => {
            policy(&local_ts, &peer_ts).map(|_| ()).map_err(|error| error.to_string())
        }
        _ => Ok(()),
    }
}
