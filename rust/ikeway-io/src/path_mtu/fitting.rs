// SPDX-License-Identifier: Apache-2.0
//! What is longer than a path carries: cut, fragmented, or given back to its sender (RFC 4301 §8.2).

use ikeway_esp::{Flow, OutboundSa, Refusal};

use crate::events::Reporter;
use crate::outbound::Sender;
use crate::tun::{Fit, Handed, Sink, Tun, fragments, too_big};
use crate::udp::Path;

/// An SA, the way of its packets, and the longest inner packet that leaves whole on it.
pub(crate) struct Narrow<'sa> {
    pub(crate) sa: &'sa OutboundSa,
    pub(crate) path: Path,
    pub(crate) most: usize,
}

impl Narrow<'_> {
    /// Sends what one read of the interface gave.
    #[cold]
    pub(crate) fn send(
        &self,
        handed: &mut Handed<'_>,
        flow: &Flow,
        sender: &mut Sender,
        (tun, reporter): (&Tun, &Reporter),
    ) -> Result<(), Refusal> {
        let Self { sa, path, most } = *self;
        handed.clamp(most);
        match handed.fit(most) {
            Fit::Whole => handed.each(|packet| {
                let seal = |room: &mut [u8]| sa.seal_within(packet, most, room);
                sender.send(sa, path, packet, reporter, seal)
            }),
            Fit::Bound => {
                if let Some(message) = too_big(handed.packet(), most) {
                    tun.write(&[std::io::IoSlice::new(&message)]);
                }
                Err(Refusal::TooLong)
            }
            Fit::Free if sa.takes_later(flow) => handed.each(|packet| {
                fragments(packet, most, |part| {
                    let seal = |room: &mut [u8]| sa.seal_within(part, most, room);
                    sender.send(sa, path, part, reporter, seal)
                })
            }),
            // Without the peer's consent a selector with ports takes no fragments, nor does transport
            // mode: routers make them.
            Fit::Free => {
                let path = sender.freed(path);
                handed.each(|packet| {
                    sender.send(sa, path, packet, reporter, |room| sa.seal(packet, room))
                })
            }
        }
    }
}
