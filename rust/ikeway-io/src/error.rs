// SPDX-License-Identifier: Apache-2.0
//! What can go wrong in the engine, by who must act.

use ikeway_esp::InstallError;
use rustix::io::Errno;

/// An error that the controller is told.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// The machine said no.
    #[error("{what}: {errno}")]
    Host {
        /// What was tried.
        what: String,
        /// What the kernel answered.
        errno: Errno,
    },
    /// The request is not one of the protocol's.
    #[error("{0}")]
    Request(String),
    /// The SA cannot be installed.
    #[error(transparent)]
    Install(#[from] InstallError),
    /// The engine does not do that.
    #[error("{0}")]
    Unsupported(String),
    /// `configure` comes first.
    #[error("the engine is not configured")]
    NotConfigured,
    /// The engine runs with another configuration.
    #[error("the engine is configured differently; shut it down first")]
    Conflict,
    /// Its keys have sealed packets, so its sequence numbers and IVs would come again (I7).
    #[error("the keys of the outbound SPI {0:#010x} were in use before")]
    KeysUsed(u32),
    /// There is no pair of SAs with that inbound SPI.
    #[error("no SA has the inbound SPI {0:#010x}")]
    UnknownSpi(u32),
    /// Another controller is connected.
    #[error("another controller is connected")]
    Busy,
    /// A thread of the engine is gone.
    #[error("a packet thread has ended")]
    LaneEnded,
}

impl EngineError {
    /// Returns the name of the kind of error in replies.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Host { .. } => "host",
            Self::Request(_) => "request",
            Self::Install(_) => "install",
            Self::Unsupported(_) => "unsupported",
            Self::NotConfigured => "not_configured",
            Self::Conflict => "conflict",
            Self::KeysUsed(_) => "keys_used",
            Self::UnknownSpi(_) => "unknown_spi",
            Self::Busy => "busy",
            Self::LaneEnded => "ended",
        }
    }

    /// Returns the number of the kernel's error, if it was one.
    #[must_use]
    pub const fn errno(&self) -> Option<i32> {
        match self {
            Self::Host { errno, .. } => Some(errno.raw_os_error()),
            _ => None,
        }
    }
}

/// Says what was tried when the kernel refuses.
pub(crate) trait Attempt<T> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, EngineError>;
}

impl<T> Attempt<T> for Result<T, Errno> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, EngineError> {
        self.map_err(|errno| EngineError::Host { what: what(), errno })
    }
}

impl<T> Attempt<T> for std::io::Result<T> {
    fn attempt(self, what: impl FnOnce() -> String) -> Result<T, EngineError> {
        self.map_err(|error| {
            let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
            EngineError::Host { what: what(), errno }
        })
    }
}
