// SPDX-License-Identifier: Apache-2.0
//! AES-GCM with its whole tag on processors that are fast at it: the way that most packets go (RFC
//! 4106, RFC 8750). Elsewhere, and with keys of 192 bits, [`crate::aead`] has the same packets.

use ikeway_gcm::{Associated, Key, Nonce};

use crate::associated::iv;
use crate::numbered::{ICV_OCTETS, Numbered};
use crate::sequence::halves;
use crate::transform::{BadIcv, ESP_HEADER};

/// The key of one direction.
pub(crate) struct Gcm {
    key: Box<Key>,
    salt: u32,
    esn: bool,
    /// Whether packets have no IV.
    is_implicit: bool,
}

impl Gcm {
    /// Returns the expanded key, or `None` where this is not the way: see [`Key::new`].
    pub(crate) fn new(keymat: &[u8], is_implicit: bool, esn: bool) -> Option<Self> {
        let (key, salt) = keymat.split_last_chunk()?;
        let key = Box::new(Key::new(key)?);
        Some(Self { key, salt: u32::from_be_bytes(*salt), esn, is_implicit })
    }

    /// Returns what goes with a packet beside its octets, with `IV` octets of IV in it.
    #[inline]
    fn context<const IV: usize>(
        &self,
        sequence: u64,
        packet: &[u8],
    ) -> Option<(Nonce, Associated)> {
        let iv = u64::from_be_bytes(iv(sequence, IV == 0, packet)?);
        let spi = u32::from_be_bytes(*packet.first_chunk()?);
        let [high, low] = halves(sequence);
        let associated = if self.esn {
            Associated::of_three(spi, high, low)
        } else {
            Associated::of_two(spi, low)
        };
        Some((Nonce { salt: self.salt, iv }, associated))
    }
}

impl Numbered for Gcm {
    #[inline]
    fn is_implicit(&self) -> bool {
        self.is_implicit
    }

    #[inline]
    fn seal_with<const IV: usize>(
        &self,
        sequence: u64,
        inner: &[u8],
        trailer: &[u8],
        packet: &mut [u8],
    ) -> Option<()> {
        let (nonce, associated) = self.context::<IV>(sequence, packet)?;
        let (front, icv) = packet.split_last_chunk_mut::<ICV_OCTETS>()?;
        let body = front.get_mut(ESP_HEADER + IV..)?;
        let space = body.get_mut(inner.len()..)?;
        (space.len() == trailer.len()).then(|| space.copy_from_slice(trailer))?;
        *icv = self.key.seal(nonce, associated, inner, body)?;
        Some(())
    }

    #[inline]
    fn open_with<const IV: usize>(&self, sequence: u64, packet: &mut [u8]) -> Result<(), BadIcv> {
        let (nonce, associated) = self.context::<IV>(sequence, packet).ok_or(BadIcv)?;
        let (front, icv) = packet.split_last_chunk_mut::<ICV_OCTETS>().ok_or(BadIcv)?;
        let body = front.get_mut(ESP_HEADER + IV..).ok_or(BadIcv)?;
        self.key.open(nonce, associated, body, *icv).map_err(|_| BadIcv)
    }
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::aead::{AES_128_GCM, AES_256_GCM};
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::aead::Aead;
    use crate::transform::Protection;

    proptest! {
        /// Peers and later releases may have either way: the packets are the same.
        #[test]
        fn both_ways_make_and_take_the_same_packets(
            is_long: bool,
            (is_implicit, esn) in any::<(bool, bool)>(),
            keymat in vec(any::<u8>(), 36),
            (sequence, iv) in any::<(u64, u64)>(),
            inner in vec(any::<u8>(), 0..1500),
            trailer in vec(any::<u8>(), 2..300),
        ) {
            let (algorithm, octets) =
                if is_long { (&AES_256_GCM, 36) } else { (&AES_128_GCM, 20) };
            let library = Aead::new(algorithm, &keymat[..octets], is_implicit, esn).unwrap();
            let Some(ours) = Gcm::new(&keymat[..octets], is_implicit, esn) else { return Ok(()) };
            let mut head = [0x12, 0x34, 0x56, 0x78, 0, 0, 0, 1].to_vec();
            head.extend(if is_implicit { Vec::new() } else { iv.to_be_bytes().to_vec() });
            let room = vec![0; inner.len() + trailer.len() + ICV_OCTETS];
            let packet = [head, room].concat();
            let (mut one, mut other) = (packet.clone(), packet);
            library.seal(sequence, &inner, &trailer, &mut one).unwrap();
            ours.seal(sequence, &inner, &trailer, &mut other).unwrap();
            prop_assert_eq!(&one, &other);
            prop_assert!(library.open(sequence, &mut other).is_ok());
            prop_assert!(ours.open(sequence, &mut one).is_ok());
            let end = one.len() - ICV_OCTETS;
            prop_assert_eq!(&one[..end], &other[..end]);
            prop_assert!(ours.open(sequence, &mut one).is_err(), "it is not sealed any more");
        }
    }

    /// Lengths that do not fit are refused, not guessed.
    #[test]
    fn what_does_not_fill_its_place_is_not_sealed() {
        let Some(ours) = Gcm::new(&[1; 20], false, false) else { return };
        for (inner, trailer) in [(20, 1), (20, 3), (19, 2), (40, 2)] {
            let mut packet = [0; 16 + 22 + ICV_OCTETS];
            let sealed = ours.seal(1, &vec![0; inner], &vec![0; trailer], &mut packet);
            assert!(sealed.is_none(), "{inner} and {trailer}");
        }
        assert!(ours.open(1, &mut [0; 16 + 15]).is_err());
    }
}
