// SPDX-License-Identifier: Apache-2.0
//! What threads share values by; `interleavings` has loom's in its place.

pub(crate) use std::sync::atomic::{AtomicUsize, Ordering};
pub(crate) use std::sync::mpsc::{Receiver, Sender, channel};
