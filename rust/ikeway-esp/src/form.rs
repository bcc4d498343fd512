// SPDX-License-Identifier: Apache-2.0
//! What an SA makes of packets: ESP or AH (RFC 4301 §3.2). It is decided when the SA is made.

use crate::ah::Ah;
use crate::error::{InstallError, Refusal};
use crate::suite::Suite;
use crate::transform::{Direction, DirectionKeys, Transform};

/// The keys of one direction.
pub(crate) enum Form {
    Esp(Transform),
    Ah(Box<Ah>),
}

impl Form {
    /// # Errors
    /// [`InstallError`] if a key is not as long as the suite wants it.
    pub(crate) fn new(
        direction: &Direction,
        suite: Suite,
        keys: &DirectionKeys,
        esn: bool,
    ) -> Result<Self, InstallError> {
        if suite.is_authentic() {
            return Ah::new(suite, keys, esn).map(|ah| Self::Ah(Box::new(ah)));
        }
        Transform::new(direction, suite, keys, esn).map(Self::Esp)
    }

    /// # Errors
    /// [`Refusal::UnknownSpi`] if it is AH: no ESP SA has the SPI (RFC 4301 §4.1).
    #[inline]
    pub(crate) const fn esp(&self) -> Result<&Transform, Refusal> {
        match self {
            Self::Esp(transform) => Ok(transform),
            Self::Ah(_) => Err(Refusal::UnknownSpi),
        }
    }

    /// # Errors
    /// [`Refusal::UnknownSpi`] if it is ESP.
    pub(crate) const fn ah(&self) -> Result<&Ah, Refusal> {
        match self {
            Self::Ah(ah) => Ok(ah),
            Self::Esp(_) => Err(Refusal::UnknownSpi),
        }
    }
}
