// SPDX-License-Identifier: Apache-2.0
//! What expands packets one after another, none beyond the longest packet (RFC 3173 §2.1).

use miniz_oxide::inflate::TINFLStatus;
use miniz_oxide::inflate::core::inflate_flags::TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
use miniz_oxide::inflate::core::{DecompressorOxide, decompress};

use super::Ipcomp;
use crate::error::Refusal;

/// No IP packet is longer, whatever the peer's octets would expand to.
const LONGEST: usize = u16::MAX as usize;

/// Expands the packets of any number of SAs; one for each thread. It is set up by the first one.
#[derive(Default)]
pub struct Expander(Option<Box<Bench>>);

struct Bench {
    state: DecompressorOxide,
    expanded: Box<[u8]>,
}

impl Expander {
    /// Returns the next header and the payload of what follows an ESP header.
    ///
    /// # Errors
    /// [`Refusal::NotExpanded`] if it is not DEFLATE, goes on beyond the longest packet, or has an
    /// index that is not ours.
    pub(crate) fn expand(
        &mut self,
        ipcomp: Ipcomp,
        payload: &[u8],
    ) -> Result<(u8, &[u8]), Refusal> {
        let (next, packed) = ipcomp.read(payload)?;
        let bench = self.0.get_or_insert_with(Bench::new);
        bench.state.init();
        let flags = TINFL_FLAG_USING_NON_WRAPPING_OUTPUT_BUF;
        match decompress(&mut bench.state, packed, &mut bench.expanded, 0, flags) {
            (TINFLStatus::Done, _, octets) => {
                Ok((next, bench.expanded.get(..octets).unwrap_or_default()))
            }
            _ => Err(Refusal::NotExpanded),
        }
    }
}

impl Bench {
    fn new() -> Box<Self> {
        let expanded = vec![0; LONGEST].into_boxed_slice();
        Box::new(Self { state: DecompressorOxide::new(), expanded })
    }
}
