// SPDX-License-Identifier: Apache-2.0
//! What an outbound SA does so that its packets say nothing by their length and number: padding,
//! dummies and streams (RFC 4303 §2.6, §2.7, RFC 9347).

use std::sync::Arc;

use super::{Hiding, OutboundSa, padded_length};
use crate::aggfrag::{AGGFRAG, Backlog};
use crate::error::Refusal;
use crate::form::Form;
use crate::inner::next_header;
use crate::padding::{DUMMY, Padding};
use crate::transform::{ESP_HEADER, TRAILER, Transform};

impl OutboundSa {
    /// Returns the SA with inner packets padded up to so many octets (RFC 4303 §2.7), which is done
    /// before anybody else has it.
    ///
    /// Not in transport mode, where nobody could tell padding from payload, and not in AH.
    #[must_use]
    pub fn padded(mut self, to: usize) -> Self {
        let is_transport = self.is_transport();
        if let Some(sealing) = Arc::get_mut(&mut self.sealing)
            && !is_transport
            && let Form::Esp(transform) = &sealing.form
        {
            let padding = Padding::new(to, transform.shape());
            sealing.rare.get_or_insert_default().hiding = Some(Hiding::Padded(padding));
            sealing.least = u16::try_from(to).unwrap_or(u16::MAX);
        }
        self
    }

    /// Returns the SA with its packets in a stream, and room for so many octets to wait: of packets
    /// that have at most `longest`. That is done before anybody else has it, and for ESP in tunnel
    /// mode only.
    #[must_use]
    pub fn streamed(mut self, most: usize, longest: usize) -> Self {
        let is_transport = self.is_transport();
        if let Some(sealing) = Arc::get_mut(&mut self.sealing)
            && !is_transport
            && matches!(sealing.form, Form::Esp(_))
        {
            let stream = Hiding::Stream(Backlog::new(most, longest));
            sealing.rare.get_or_insert_default().hiding = Some(stream);
        }
        self
    }

    /// Returns where packets wait for their place in the stream, if it is one.
    #[must_use]
    pub fn backlog(&self) -> Option<&Backlog> {
        match self.hiding() {
            Some(Hiding::Stream(backlog)) => Some(backlog),
            Some(Hiding::Padded(_)) | None => None,
        }
    }

    /// Returns the octets of the largest payload of a stream whose ESP packets have at most so many.
    #[must_use]
    pub fn payload_within(&self, octets: usize) -> Option<usize> {
        let Form::Esp(transform) = &self.sealing.form else { return None };
        let shape = transform.shape();
        let most = octets.checked_sub(ESP_HEADER + shape.iv_octets() + shape.icv_octets())?;
        let most = most.checked_sub(TRAILER)?;
        // Whole blocks, so that nothing is padded that could carry something.
        (0..=most)
            .rev()
            .take(16)
            .find(|payload| padded_length(shape, *payload) == payload + TRAILER)
    }

    /// Seals a payload of a stream.
    ///
    /// # Errors
    /// Those of [`OutboundSa::seal`], and [`Refusal::NotIp`] if it is no stream.
    pub fn seal_stream(&self, payload: &[u8], buffer: &mut [u8]) -> Result<usize, Refusal> {
        match (&self.sealing.form, self.hiding()) {
            (Form::Esp(transform), Some(Hiding::Stream(_))) => {
                self.enclose(transform, payload, AGGFRAG, buffer)
            }
            _ => Err(Refusal::NotIp),
        }
    }

    /// Does what [`OutboundSa::seal`] does where the path carries inner packets of `most` octets: none
    /// is padded to more.
    ///
    /// # Errors
    /// Those of [`OutboundSa::seal`].
    pub fn seal_within(
        &self,
        inner: &[u8],
        most: usize,
        buffer: &mut [u8],
    ) -> Result<usize, Refusal> {
        let (Form::Esp(transform), Some(Hiding::Padded(padding))) =
            (&self.sealing.form, self.hiding())
        else {
            return self.seal(inner, buffer);
        };
        let next = next_header(inner).ok_or(Refusal::NotIp)?;
        let trailer = padding.after_within(inner.len(), most, next);
        self.seal_padded(transform, inner, trailer, next, buffer)
    }

    /// Seals a packet that the peer throws away, as long as the shortest that is padded (RFC 4303
    /// §2.6); `most` is what the path carries of inner packets, if that is known to be little.
    ///
    /// # Errors
    /// Those of [`OutboundSa::seal`], and [`Refusal::NotIp`] if it is AH.
    pub fn seal_dummy(&self, most: Option<usize>, buffer: &mut [u8]) -> Result<usize, Refusal> {
        let Form::Esp(transform) = &self.sealing.form else { return Err(Refusal::NotIp) };
        match self.hiding() {
            Some(Hiding::Padded(padding)) => {
                let trailer = padding.after_within(0, most.unwrap_or(usize::MAX), DUMMY);
                self.seal_padded(transform, &[], trailer, DUMMY, buffer)
            }
            Some(Hiding::Stream(_)) => Err(Refusal::NotIp),
            None => self.enclose(transform, &[], DUMMY, buffer),
        }
    }

    /// Seals what `trailer` pads, and what is too long for that as it is.
    #[inline(never)]
    pub(super) fn seal_padded(
        &self,
        transform: &Transform,
        inner: &[u8],
        trailer: Option<&[u8]>,
        next: u8,
        buffer: &mut [u8],
    ) -> Result<usize, Refusal> {
        match trailer {
            Some(trailer) => self.protect(transform, inner, trailer, buffer),
            None => self.enclose(transform, inner, next, buffer),
        }
    }
}
