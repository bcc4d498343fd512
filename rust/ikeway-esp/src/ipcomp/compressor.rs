// SPDX-License-Identifier: Apache-2.0
//! What compresses packets one after another, without allocating for any (RFC 2394 §2).

use miniz_oxide::deflate::core::{
    CompressorOxide, TDEFLFlush, TDEFLStatus, compress, create_comp_flags_from_zip_params,
};

use super::HEADER;
use super::rest::Rests;

/// Payloads shorter than this go as they are (RFC 3173 §2.2).
const LEAST: usize = 90;
const LONGEST: usize = 1 << 16;
/// The fastest: the gain of more work is small in single packets.
const LEVEL: i32 = 1;
/// Negative: DEFLATE alone, in no zlib format.
const WINDOW_BITS: i32 = -15;

/// Compresses the packets of any number of SAs; one for each thread.
pub struct Compressor {
    state: Box<CompressorOxide>,
    packed: Box<[u8]>,
    rests: Rests,
}

impl Default for Compressor {
    fn default() -> Self {
        let flags = create_comp_flags_from_zip_params(LEVEL, WINDOW_BITS, 0);
        let state = Box::new(CompressorOxide::new(flags));
        Self { state, packed: vec![0; LONGEST].into_boxed_slice(), rests: Rests::default() }
    }
}

impl Compressor {
    /// Returns `payload` compressed, behind `header`, if that is shorter than it is.
    ///
    /// Of a flow whose packets did not get shorter, few are tried (RFC 3173 §2.2).
    pub(super) fn compress(
        &mut self,
        flow: u64,
        header: [u8; HEADER],
        payload: &[u8],
    ) -> Option<&[u8]> {
        if payload.len() < LEAST || self.rests.is_resting(flow) {
            return None;
        }
        let packed = self.packed.get_mut(..payload.len() - 1)?;
        let (place, room) = packed.split_first_chunk_mut::<HEADER>()?;
        *place = header;
        self.state.reset();
        let (status, _, octets) = compress(&mut self.state, payload, room, TDEFLFlush::Finish);
        // What has no room is not done.
        let is_shorter = status == TDEFLStatus::Done;
        self.rests.tried(flow, is_shorter);
        if is_shorter { self.packed.get(..HEADER + octets) } else { None }
    }
}
