// SPDX-License-Identifier: Apache-2.0
//! SIGTERM and SIGINT as something to poll for, and a process that keeps its keys to itself.

use std::os::fd::{FromRawFd, OwnedFd};

use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::error::{Attempt, EngineError};
use crate::udp::{last_errno, outcome};

/// Blocks SIGTERM and SIGINT for this thread and those that it starts, and returns what tells of
/// them.
pub(crate) fn termination() -> Result<OwnedFd, EngineError> {
    let what = || "signals".to_owned();
    // SAFETY: all octets zero are a valid sigset_t, and the calls below fill it.
    let mut set: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `set` is valid for writing.
    outcome(unsafe { libc::sigemptyset(&raw mut set) }).attempt(what)?;
    for signal in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: `set` was made by sigemptyset.
        outcome(unsafe { libc::sigaddset(&raw mut set, signal) }).attempt(what)?;
    }
    // SAFETY: `set` is valid; the old mask is not asked for.
    unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
    // SAFETY: `set` is valid, and -1 asks for a new descriptor.
    let descriptor =
        unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
    if descriptor < 0 {
        return Err(last_errno()).attempt(what);
    }
    // SAFETY: the kernel has just made this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}

/// Lets no core dump and no other process of the user see the keys in this one's memory.
pub(crate) fn keep_secrets() {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    // Both are a second line of defence: a system that refuses them still works.
    let _ = setrlimit(Resource::Core, none);
    let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
}
