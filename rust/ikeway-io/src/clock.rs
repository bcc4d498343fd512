// SPDX-License-Identifier: Apache-2.0
//! The time of streams: since one moment, the same for those who receive and who send.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Returns how long ago that moment was.
pub(crate) fn now() -> Duration {
    START.elapsed()
}
