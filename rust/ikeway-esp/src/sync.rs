// SPDX-License-Identifier: Apache-2.0
//! What threads share values by; `interleavings` has loom's in its place.

pub(crate) use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
