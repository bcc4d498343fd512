// SPDX-License-Identifier: Apache-2.0
//! How one thread makes another look around.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use crate::error::{Attempt, EngineError};

/// A counter that makes `poll` return.
#[derive(Clone)]
pub(crate) struct Bell(Arc<OwnedFd>);

impl Bell {
    pub(crate) fn new() -> Result<Self, EngineError> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(Arc::new(eventfd(0, flags).attempt(|| "eventfd".to_owned())?)))
    }

    pub(crate) fn ring(&self) {
        // Only a full counter refuses, and then the bell is ringing already.
        let _ = rustix::io::write(&*self.0, &1_u64.to_ne_bytes());
    }

    /// Makes the bell silent. Returns whether it rang.
    pub(crate) fn hush(&self) -> bool {
        let mut count = [0; 8];
        !matches!(rustix::io::read(&*self.0, &mut count), Err(Errno::AGAIN))
    }
}

impl AsFd for Bell {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
