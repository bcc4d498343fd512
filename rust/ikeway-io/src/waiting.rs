// SPDX-License-Identifier: Apache-2.0
//! Packets of the host on their way into a stream (RFC 9347 §2.2.6).

use std::io::IoSlice;

use ikeway_esp::{Backlog, Flow, OutboundSa, Refusal};

use crate::tun::{Fit, Handed, Sink, Tun, fragments, too_big};

/// Has what one read of the interface gave wait for its place in a stream. A packet for which there is
/// no room is lost; the others are not. Where the peer takes no parts of packets, what is too long is
/// treated as without a stream.
#[cold]
pub(crate) fn wait(
    sa: &OutboundSa,
    backlog: &Backlog,
    flow: &Flow,
    handed: &mut Handed<'_>,
    tun: &Tun,
) -> Result<(), Refusal> {
    let most = backlog.longest();
    let mut refused = Ok(());
    let mut push = |packet: &[u8]| {
        if let Err(refusal) = backlog.push(packet) {
            sa.counters().refuse(refusal);
            refused = Err(refusal);
        }
        Ok(())
    };
    handed.clamp(most);
    match handed.fit(most) {
        Fit::Whole => handed.each(push)?,
        Fit::Free if sa.takes_later(flow) => {
            handed.each(|packet| fragments(packet, most, &mut push))?;
        }
        Fit::Free => refuse(sa)?,
        Fit::Bound => {
            if let Some(message) = too_big(handed.packet(), most) {
                tun.write(&[IoSlice::new(&message)]);
            }
            refuse(sa)?;
        }
    }
    refused
}

fn refuse(sa: &OutboundSa) -> Result<(), Refusal> {
    sa.counters().refuse(Refusal::TooLong);
    Err(Refusal::TooLong)
}
