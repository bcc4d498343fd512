// SPDX-License-Identifier: Apache-2.0
//! When the C library gives memory back, and what it does for that while packets wait.

/// So many octets are large: more than a batch of packets, less than a table of many SAs.
#[cfg(target_env = "gnu")]
const LARGE: libc::c_int = 1 << 19;

/// Has what is large go back to the system when it is free.
///
/// By itself the C library keeps such places once it has seen one come and go. A table that grows
/// leaves one half as large as it is, in the memory of its own thread, where nothing else is put.
pub(crate) fn return_what_is_large() {
    #[cfg(target_env = "gnu")]
    // SAFETY: both numbers are ones that mallopt knows; a library that refuses them works as before.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, LARGE)
    };
}

/// Has what is small and free be joined to what is free beside it at once.
///
/// By itself the C library puts it off, and does it for all at a time: after some 70,000 pairs that went
/// a packet thread waited 3 ms. Packets need no memory of their own, so that they do not pay for it.
pub(crate) fn clear_up_at_once() {
    #[cfg(target_env = "gnu")]
    // SAFETY: both numbers are ones that mallopt knows; a library that refuses them works as before.
    unsafe {
        libc::mallopt(libc::M_MXFAST, 0)
    };
}
