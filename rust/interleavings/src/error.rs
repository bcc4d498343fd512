// SPDX-License-Identifier: Apache-2.0
//! Those errors of the engine that can be met here.

/// That of `ikeway-io`.
#[derive(Debug)]
pub enum EngineError {
    LaneEnded,
}

/// That of `ikeway-esp`.
#[derive(Clone, Copy)]
pub struct Refusal;

impl Refusal {
    pub const ALL: [Self; 1] = [Self];

    pub const fn index(self) -> usize {
        0
    }
}
