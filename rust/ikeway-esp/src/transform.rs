// SPDX-License-Identifier: Apache-2.0
//! The keys of one direction, expanded once, and the shape that they give to a packet (RFC 4303
//! §2).

use std::sync::Arc;

use aws_lc_rs::hmac;
use zeroize::ZeroizeOnDrop;

use crate::aead::{self, Aead};
use crate::counters::Counters;
use crate::error::InstallError;
use crate::selector::Policy;
use crate::separate::{Direction, Separate};
use crate::suite::{Mechanism, Suite};
use crate::transport::Hosts;

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

/// What both halves of a pair of SAs are made of.
#[derive(Clone)]
pub struct Shared {
    /// The SPI of this half.
    pub spi: u32,
    /// The algorithms.
    pub suite: &'static Suite,
    /// Whether sequence numbers have 64 bits (RFC 4303 §2.2.1).
    pub esn: bool,
    /// The selectors of the pair.
    pub policy: Arc<Policy>,
    /// The counters of the pair.
    pub counters: Arc<Counters>,
    /// The hosts of a pair in transport mode; none is tunnel mode.
    pub hosts: Option<Arc<Hosts>>,
}

impl Shared {
    /// 0 is for local use and 1 to 255 are reserved (RFC 4303 §2.1).
    pub(crate) const fn check_spi(&self) -> Result<(), InstallError> {
        if self.spi < FIRST_SPI { Err(InstallError::ReservedSpi(self.spi)) } else { Ok(()) }
    }
}

/// The integrity check failed; there is no plaintext.
#[derive(Debug)]
pub(crate) struct BadIcv;

pub(crate) enum Transform {
    Aead(Box<Aead>),
    Separate(Box<Separate>),
}

impl Transform {
    pub(crate) fn sealing(
        suite: &Suite,
        keys: &DirectionKeys,
        esn: bool,
    ) -> Result<Self, InstallError> {
        Self::new(&Direction::Seal, suite, keys, esn)
    }

    pub(crate) fn opening(
        suite: &Suite,
        keys: &DirectionKeys,
        esn: bool,
    ) -> Result<Self, InstallError> {
        Self::new(&Direction::Open, suite, keys, esn)
    }

    fn new(
        direction: &Direction,
        suite: &Suite,
        keys: &DirectionKeys,
        esn: bool,
    ) -> Result<Self, InstallError> {
        check_length("encryption", keys.encr.len(), suite.encr_octets)?;
        check_length("integrity", keys.integ.len(), suite.integ_octets)?;
        let made = match suite.mechanism {
            Mechanism::Aead(algorithm) => {
                Aead::new(algorithm, &keys.encr, esn).map(|aead| Self::Aead(Box::new(aead)))
            }
            Mechanism::Separate { mac, icv_octets } => {
                let mac = hmac::Key::new(*mac, &keys.integ);
                Separate::new(direction, &keys.encr, mac, icv_octets, esn)
                    .map(|separate| Self::Separate(Box::new(separate)))
            }
        };
        let unknown = InstallError::UnknownSuite {
            encr: suite.encr,
            key_bits: suite.key_bits,
            integ: suite.integ,
        };
        made.ok_or(unknown)
    }

    pub(crate) const fn iv_octets(&self) -> usize {
        match self {
            Self::Aead(_) => aead::IV_OCTETS,
            Self::Separate(separate) => separate.iv_octets(),
        }
    }

    pub(crate) fn icv_octets(&self) -> usize {
        match self {
            Self::Aead(_) => aead::ICV_OCTETS,
            Self::Separate(separate) => separate.icv_octets(),
        }
    }

    /// What the ciphertext's length is a multiple of: a block, and at least 4 octets (RFC 4303
    /// §2.4).
    pub(crate) const fn alignment(&self) -> usize {
        match self {
            Self::Aead(_) => 4,
            Self::Separate(separate) => separate.alignment(),
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
        match self {
            Self::Aead(aead) => aead.seal(sequence, inner, trailer, packet),
            Self::Separate(separate) => separate.seal(sequence, inner, trailer, packet),
        }
    }

    pub(crate) fn open(&self, sequence: u64, packet: &mut [u8]) -> Result<(), BadIcv> {
        match self {
            Self::Aead(aead) => aead.open(sequence, packet),
            Self::Separate(separate) => separate.open(sequence, packet),
        }
    }
}

fn check_length(what: &'static str, seen: usize, wanted: usize) -> Result<(), InstallError> {
    if seen == wanted { Ok(()) } else { Err(InstallError::KeyLength { what, seen, wanted }) }
}
