// SPDX-License-Identifier: Apache-2.0
//! What the daemon says about the outer headers of a pair (RFC 4301 §5.1.2, §8).

use ikeway_esp::{DontFragment, Outer};
use serde::Deserialize;

use crate::error::EngineError;

/// The highest number of six bits.
const MAX_DSCP: u8 = 63;

/// The outer headers, field by field as `ikeway.model.outer.OuterHeader`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OuterHeader {
    /// None copies that of the inner header.
    dscp: Option<u8>,
    df: Option<Word>,
    /// 0 is learnt.
    path_mtu: u16,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Word {
    Set,
    Copy,
    Clear,
}

impl OuterHeader {
    /// Returns what the SA is to do.
    pub(super) fn outer(&self) -> Result<Outer, EngineError> {
        if let Some(dscp) = self.dscp.filter(|dscp| *dscp > MAX_DSCP) {
            return Err(EngineError::Request(format!("DSCP {dscp} is above {MAX_DSCP}")));
        }
        let dont_fragment = match self.df {
            None | Some(Word::Set) => DontFragment::Set,
            Some(Word::Copy) => DontFragment::Copy,
            Some(Word::Clear) => DontFragment::Clear,
        };
        Ok(Outer::new(self.dscp, dont_fragment, self.path_mtu))
    }
}
