// SPDX-License-Identifier: Apache-2.0
//! The header of an AGGFRAG payload, with congestion information and without (RFC 9347 §6.1).

use crate::error::Refusal;

/// The next header of ESP whose payload is one (§6.1).
pub(crate) const AGGFRAG: u8 = 144;

pub(super) const HEADER: usize = 4;
pub(super) const CONGESTION_HEADER: usize = 24;

const PLAIN: u8 = 0;
const WITH_CONGESTION: u8 = 1;

/// What a receiver tells about congestion (§6.1.2); times are in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CongestionInfo {
    /// The sender probes for the MTU of the path: what is missing may be no loss.
    pub is_probing: bool,
    /// Marks of ECN are counted as losses.
    pub has_marks: bool,
    /// The inverse of the loss event rate; 0 is no loss.
    pub loss_event_rate: u32,
    /// The sender's estimate of the round trip, of 22 bits; 0 is none.
    pub rtt: u32,
    /// How long ago what is echoed arrived, of 21 bits.
    pub echo_delay: u32,
    /// The time between two packets of the sender, of 21 bits.
    pub transmit_delay: u32,
    /// What the peer is to echo.
    pub stamp: u32,
    /// What the peer is echoed.
    pub echo: u32,
}

impl CongestionInfo {
    /// Puts the header of a payload with this offset at the end of `buffer`.
    pub(super) fn write(&self, offset: u16, buffer: &mut Vec<u8>) {
        let flags = u8::from(self.is_probing) << 1 | u8::from(self.has_marks);
        let [high, low] = offset.to_be_bytes();
        let delays = u64::from(self.rtt) << 42
            | u64::from(self.echo_delay) << 21
            | u64::from(self.transmit_delay);
        buffer.extend_from_slice(&[WITH_CONGESTION, flags, high, low]);
        buffer.extend_from_slice(&self.loss_event_rate.to_be_bytes());
        buffer.extend_from_slice(&delays.to_be_bytes());
        buffer.extend_from_slice(&self.stamp.to_be_bytes());
        buffer.extend_from_slice(&self.echo.to_be_bytes());
    }

    fn read(flags: u8, octets: &[u8; CONGESTION_HEADER - HEADER]) -> Self {
        let number = |at: usize| {
            let chunk = octets.get(at..).and_then(|rest| rest.first_chunk());
            u32::from_be_bytes(*chunk.unwrap_or(&[0; 4]))
        };
        let delays = u64::from(number(4)) << 32 | u64::from(number(8));
        Self {
            is_probing: flags & 2 != 0,
            has_marks: flags & 1 != 0,
            loss_event_rate: number(0),
            rtt: bits(delays >> 42),
            echo_delay: bits(delays >> 21 & 0x1f_ffff),
            transmit_delay: bits(delays & 0x1f_ffff),
            stamp: number(12),
            echo: number(16),
        }
    }
}

#[allow(clippy::cast_possible_truncation, reason = "22 bits at most are left")]
const fn bits(value: u64) -> u32 {
    value as u32
}

/// A payload: where in its data the next data block begins, and the data.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Payload<'octets> {
    pub(super) offset: usize,
    pub(super) congestion: Option<CongestionInfo>,
    pub(super) data: &'octets [u8],
}

impl<'octets> Payload<'octets> {
    /// Reads a payload; reserved bits are ignored (§6.1.1).
    ///
    /// # Errors
    /// [`Refusal::Malformed`] if it is too short, or of another type.
    pub(super) fn read(octets: &'octets [u8]) -> Result<Self, Refusal> {
        let ([sub_type, flags, high, low], rest) =
            octets.split_first_chunk::<HEADER>().ok_or(Refusal::Malformed)?;
        let offset = usize::from(u16::from_be_bytes([*high, *low]));
        match *sub_type {
            PLAIN => Ok(Self { offset, congestion: None, data: rest }),
            WITH_CONGESTION => {
                let (info, data) = rest.split_first_chunk().ok_or(Refusal::Malformed)?;
                let congestion = Some(CongestionInfo::read(*flags, info));
                Ok(Self { offset, congestion, data })
            }
            _ => Err(Refusal::Malformed),
        }
    }

    /// Whether it may stand between the parts of a packet: a single pad data block, or nothing
    /// (§2.2.3, §2.2.4).
    pub(super) fn is_all_pad(&self) -> bool {
        self.offset == 0 && self.data.first().is_none_or(|first| first >> 4 == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 9347 §6.1.1, figure 4.
    #[test]
    fn a_plain_header_has_four_octets() {
        let payload = Payload::read(&[0, 0xff, 0x07, 0xd0, 9]).unwrap();
        assert_eq!(payload, Payload { offset: 2000, congestion: None, data: &[9] });
    }

    /// RFC 9347 §6.1.2, figure 5: 22 bits, then twice 21.
    #[test]
    fn a_header_with_congestion_information_has_twenty_four() {
        let mut octets = vec![1, 0xfe | 1, 0, 7];
        octets.extend(0x0102_0304_u32.to_be_bytes());
        let delays = 0x2a_bcde_u64 << 42 | 0x12_3456 << 21 | 0x0f_edcb;
        octets.extend(delays.to_be_bytes());
        octets.extend(0xaaaa_bbbb_u32.to_be_bytes());
        octets.extend(0xcccc_dddd_u32.to_be_bytes());
        let payload = Payload::read(&octets).unwrap();
        let info = CongestionInfo {
            is_probing: true,
            has_marks: true,
            loss_event_rate: 0x0102_0304,
            rtt: 0x2a_bcde,
            echo_delay: 0x12_3456,
            transmit_delay: 0x0f_edcb,
            stamp: 0xaaaa_bbbb,
            echo: 0xcccc_dddd,
        };
        assert_eq!(payload, Payload { offset: 7, congestion: Some(info), data: &[] });
        let mut written = Vec::new();
        info.write(7, &mut written);
        assert_eq!(written[2..], octets[2..], "reserved bits are 0");
        assert_eq!(written[..2], [1, 3]);
    }

    #[test]
    fn what_is_no_header_is_malformed() {
        for octets in [&[][..], &[0, 0, 0], &[1; 23], &[2; 40], &[0x45; 40]] {
            assert_eq!(Payload::read(octets), Err(Refusal::Malformed));
        }
    }
}
