// SPDX-License-Identifier: Apache-2.0
//! The keys of one direction, expanded once, and the shape that they give to a packet (RFC 4303
//! §2).

use std::sync::Arc;

use zeroize::ZeroizeOnDrop;

use crate::aead::Aead;
use crate::cbc::Cbc;
use crate::ccm;
use crate::error::InstallError;
use crate::gcm::Gcm;
use crate::gmac::Gmac;
use crate::mac::Mac;
use crate::numbered::Numbered;
use crate::selector::Policy;
use crate::separate::Separate;
use crate::shape::{Iv, Shape};
use crate::short_gcm::ShortGcm;
use crate::suite::{Kind, Suite};
use crate::terms::Terms;

/// SPI and sequence number (RFC 4303 §2.1, §2.2).
pub const ESP_HEADER: usize = 8;
/// Pad length and next header (RFC 4303 §2).
pub(crate) const TRAILER: usize = 2;

const FIRST_SPI: u32 = 256;

/// The keys of one direction as IKE derives them; erased when dropped.
#[derive(ZeroizeOnDrop)]
pub struct DirectionKeys {
    /// Encryption key, with the salt of an AEAD cipher at its end.
    pub encr: Vec<u8>,
    /// Integrity key, empty for an AEAD cipher.
    pub integ: Vec<u8>,
}

/// What a half of a pair of SAs is made of, beside its keys.
#[derive(Clone)]
pub struct Shared {
    /// The SPI of this half.
    pub spi: u32,
    /// The algorithms.
    pub suite: Suite,
    /// Whether sequence numbers have 64 bits (RFC 4303 §2.2.1).
    pub esn: bool,
    /// What the other half abides by, too.
    pub terms: Arc<Terms>,
}

impl Shared {
    /// Returns what half a pair of tunnel mode is made of that does no more than it must.
    #[must_use]
    pub fn new(spi: u32, suite: Suite, esn: bool, policy: Policy) -> Self {
        Self { spi, suite, esn, terms: Arc::new(Terms::new(policy)) }
    }

    /// 0 is for local use and 1 to 255 are reserved (RFC 4303 §2.1).
    pub(crate) const fn check_spi(&self) -> Result<(), InstallError> {
        if self.spi < FIRST_SPI { Err(InstallError::ReservedSpi(self.spi)) } else { Ok(()) }
    }
}

/// The integrity check failed; there is no plaintext.
#[derive(Debug)]
pub(crate) struct BadIcv;

/// How the packets of one direction are protected.
pub(crate) trait Protection: Send + Sync {
    /// Seals `inner` and `trailer` into `packet`, whose header and IV are there already.
    fn seal(&self, sequence: u64, inner: &[u8], trailer: &[u8], packet: &mut [u8]) -> Option<()>;

    /// Opens the ciphertext between IV and ICV. After an error the octets there are not plaintext.
    fn open(&self, sequence: u64, packet: &mut [u8]) -> Result<(), BadIcv>;
}

pub(crate) enum Direction {
    Seal,
    Open,
}

/// A suite with its keys, for one direction: the common ones where they are used, the others behind
/// a pointer.
pub(crate) struct Transform(Keyed);

enum Keyed {
    Gcm(Gcm),
    Aead(Aead),
    Other(Shape, Box<dyn Protection>),
}

impl Transform {
    /// # Errors
    /// [`InstallError::KeyLength`] if a key is not as long as the suite wants it.
    pub(crate) fn new(
        direction: &Direction,
        suite: Suite,
        keys: &DirectionKeys,
        esn: bool,
    ) -> Result<Self, InstallError> {
        suite.check_keys(keys)?;
        let (encr, key_bits, integ) = suite.codes();
        let keyed = keyed(direction, suite, keys, esn).ok_or(InstallError::UnknownSuite {
            encr,
            key_bits,
            integ,
        })?;
        Ok(Self(keyed))
    }

    pub(crate) fn shape(&self) -> Shape {
        match &self.0 {
            Keyed::Gcm(key) => key.shape(),
            Keyed::Aead(key) => key.shape(),
            Keyed::Other(shape, _) => *shape,
        }
    }

    /// Seals `inner` and `trailer` into `packet`, whose header and IV are there already.
    pub(crate) fn seal(
        &self,
        sequence: u64,
        inner: &[u8],
        trailer: &[u8],
        packet: &mut [u8],
    ) -> Option<()> {
        match &self.0 {
            Keyed::Gcm(key) => key.seal(sequence, inner, trailer, packet),
            Keyed::Aead(key) => key.seal(sequence, inner, trailer, packet),
            Keyed::Other(_, keys) => keys.seal(sequence, inner, trailer, packet),
        }
    }

    pub(crate) fn open(&self, sequence: u64, packet: &mut [u8]) -> Result<(), BadIcv> {
        match &self.0 {
            Keyed::Gcm(key) => key.open(sequence, packet),
            Keyed::Aead(key) => key.open(sequence, packet),
            Keyed::Other(_, keys) => keys.open(sequence, packet),
        }
    }
}

fn keyed(direction: &Direction, suite: Suite, keys: &DirectionKeys, esn: bool) -> Option<Keyed> {
    let (shape, encr) = (suite.shape(), keys.encr.as_slice());
    let other: Box<dyn Protection> = match suite.encryption.kind {
        Kind::Gcm(algorithm) => {
            let is_implicit = shape.iv() == Iv::Implicit;
            let fast = Gcm::new(encr, is_implicit, esn).map(Keyed::Gcm);
            return fast.or_else(|| Aead::new(algorithm, encr, is_implicit, esn).map(Keyed::Aead));
        }
        Kind::Aead(algorithm) => {
            let is_implicit = shape.iv() == Iv::Implicit;
            return Aead::new(algorithm, encr, is_implicit, esn).map(Keyed::Aead);
        }
        Kind::ShortGcm(algorithm) => {
            Box::new(ShortGcm::new(algorithm, encr, shape.icv_octets(), esn)?)
        }
        Kind::Gmac(algorithm) => Box::new(Gmac::new(algorithm, encr, esn)?),
        Kind::Ccm => ccm::expand(encr, shape, esn)?,
        Kind::Authentic => return None,
        Kind::Separate(chaining) => {
            let cipher = match (chaining, direction) {
                (None, _) => None,
                (Some(chaining), Direction::Seal) => Some(Cbc::sealing(chaining, encr)?),
                (Some(chaining), Direction::Open) => Some(Cbc::opening(chaining, encr)?),
            };
            let mac = Mac::new(&suite.integrity?.family, &keys.integ)?;
            Box::new(Separate { cipher, mac, shape, esn })
        }
    };
    Some(Keyed::Other(shape, other))
}

/// Copies `inner` and `trailer` to their place in `packet`, and returns where the ICV begins.
/// `None` is that they do not fill the place.
pub(crate) fn lay_out(
    packet: &mut [u8],
    start: usize,
    icv_octets: usize,
    inner: &[u8],
    trailer: &[u8],
) -> Option<usize> {
    let end = packet.len().checked_sub(icv_octets)?;
    let (payload, space) = packet.get_mut(start..end)?.split_at_mut_checked(inner.len())?;
    payload.copy_from_slice(inner);
    (space.len() == trailer.len()).then(|| space.copy_from_slice(trailer))?;
    Some(end)
}

#[cfg(test)]
mod tests;
