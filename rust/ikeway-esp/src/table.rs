// SPDX-License-Identifier: Apache-2.0
//! Which SA a packet belongs to: by SPI inbound, by selectors outbound (RFC 4301 §4.4.1, §4.4.2).

use std::net::IpAddr;
use std::sync::Arc;

use crate::ends::Ends;
use crate::error::InstallError;
use crate::fragments::{self, Tracker, Way};
use crate::gentle::Gentle;
use crate::inbound::InboundSa;
use crate::inner::Flow;
use crate::levels::Levels;
use crate::outbound::OutboundSa;
use crate::selector::Policy;
use crate::spd::Spd;
use crate::traps::Traps;

/// The SAs that we receive on, by our SPI.
#[derive(Default)]
pub struct InboundTable {
    // Boxed, so that little moves when the table grows under traffic.
    sas: Gentle<u32, Box<InboundSa>>,
}

impl InboundTable {
    /// Adds an SA.
    ///
    /// # Errors
    /// [`InstallError::SpiInUse`] if its SPI is taken.
    pub fn insert(&mut self, sa: impl Into<Box<InboundSa>>) -> Result<(), InstallError> {
        let sa = sa.into();
        let spi = sa.spi();
        if self.sas.get(spi).is_some() {
            return Err(InstallError::SpiInUse(spi));
        }
        self.sas.insert(spi, sa);
        Ok(())
    }

    /// Returns the SA with this SPI.
    #[must_use]
    pub fn get(&self, spi: u32) -> Option<&InboundSa> {
        self.sas.get(spi).map(AsRef::as_ref)
    }

    /// Returns the SA with this SPI.
    pub fn get_mut(&mut self, spi: u32) -> Option<&mut InboundSa> {
        self.sas.get_mut(spi).map(AsMut::as_mut)
    }

    /// Removes the SA with this SPI, if there is one.
    pub fn remove(&mut self, spi: u32) {
        self.sas.remove(spi);
    }

    /// Removes every SA.
    pub fn clear(&mut self) {
        self.sas = Gentle::default();
    }
}

/// The SAs that we send on. Of several that select a packet, the longest prefix wins, then the
/// nearest, then the newest.
///
/// An SA on standby waits until the peer has proven that it can receive on it (RFC 7296 §2.8): it
/// sends only what no active SA selects. Whoever sees the proof calls [`OutboundTable::activate`].
#[derive(Default)]
pub struct OutboundTable {
    /// By the SPI of the inbound half.
    held: Gentle<u32, Arc<OutboundSa>>,
    active: Levels,
    standby: Levels,
    traps: Traps,
    /// Looked at once for each packet of the host; few have policies.
    spd: Option<Arc<Spd>>,
    /// Made for the first SA that later fragments follow others on; `following` are all of these.
    pub(crate) fragments: Option<Box<Tracker<Way>>>,
    following: usize,
    installed: u64,
}

impl OutboundTable {
    /// Adds an SA, known by the SPI of its inbound half; it is the newest.
    pub fn insert(&mut self, spi_in: u32, sa: impl Into<Arc<OutboundSa>>) {
        self.replace(spi_in, sa.into(), false);
    }

    /// Adds an SA that is not to send yet.
    pub fn insert_standby(&mut self, spi_in: u32, sa: impl Into<Arc<OutboundSa>>) {
        self.replace(spi_in, sa.into(), true);
    }

    /// Makes an SA that was on standby the newest of those that send.
    pub fn activate(&mut self, spi_in: u32) {
        if self.held.get(spi_in).is_some_and(|sa| sa.order().is_standby())
            && let Some(sa) = self.take(spi_in)
        {
            self.replace(spi_in, sa, false);
        }
    }

    /// Returns the active SA that protects a packet, if any does.
    #[must_use]
    pub fn find(&self, flow: &Flow) -> Option<&OutboundSa> {
        self.active.find(flow).map(|(_, sa)| sa)
    }

    /// Activates the SA on standby that protects a packet for which [`OutboundTable::find`] has
    /// none, if there is one.
    ///
    /// Of several it is the oldest: the peer has it for the longest time, and of two that crossed
    /// the younger is the one that goes (RFC 7296 §2.8.1).
    #[cold]
    pub fn awaken(&mut self, flow: &Flow) -> Option<&OutboundSa> {
        let (spi_in, _) = self.standby.find(flow)?;
        self.activate(spi_in);
        self.find(flow)
    }

    /// Returns the SA that protects a packet, on standby or not, by the SPI of its inbound half.
    pub(crate) fn bearer(&mut self, flow: &Flow) -> Option<u32> {
        if self.find(flow).is_none() {
            self.awaken(flow)?;
        }
        self.active.find(flow).map(|(spi_in, _)| spi_in)
    }

    /// Returns the SA whose inbound half has this SPI.
    pub(crate) fn held(&self, spi_in: u32) -> Option<&Arc<OutboundSa>> {
        self.held.get(spi_in)
    }

    /// Has the packets of a policy want an SA while none protects them; `number` names it.
    pub fn trap(&mut self, number: u32, policy: Policy) {
        self.traps.set(number, policy);
    }

    /// Takes back [`OutboundTable::trap`].
    pub fn untrap(&mut self, number: u32) {
        self.traps.remove(number);
    }

    /// Returns the number of the trap that a packet springs for which there is no SA.
    #[must_use]
    pub fn trapped(&self, flow: &Flow) -> Option<u32> {
        self.traps.find(flow)
    }

    /// Has these policies, instead of those before, stand before all SAs.
    pub fn govern(&mut self, spd: Option<Arc<Spd>>) {
        self.spd = spd;
    }

    /// Whether the policies let a packet go on to the SAs.
    #[must_use]
    #[inline]
    pub fn permits(&self, flow: &Flow) -> bool {
        self.spd.as_ref().is_none_or(|spd| spd.permits(flow))
    }

    /// Changes where the packets of an SA leave from and go to; everything else stays. Returns
    /// whether it is there.
    pub fn migrate(&mut self, spi_in: u32, path: impl Into<Ends>) -> bool {
        let Some(mut sa) = self.take(spi_in) else { return false };
        own(&mut sa).migrate(path.into());
        self.put(spi_in, sa);
        true
    }

    /// Whether packets go to `peer`, and if `spi` is known, on an SA that has it.
    #[must_use]
    pub fn sends_to(&self, peer: IpAddr, spi: Option<u32>) -> bool {
        let is_meant =
            |sa: &OutboundSa| sa.path().1.ip() == peer && spi.is_none_or(|spi| spi == sa.spi());
        self.held.values().any(|sa| is_meant(sa))
    }

    /// Removes the SA whose inbound half has this SPI, if there is one.
    pub fn remove(&mut self, spi_in: u32) {
        self.take(spi_in);
    }

    /// Removes every SA, trap and policy.
    pub fn clear(&mut self) {
        *self = Self { installed: self.installed, ..Self::default() };
    }

    fn replace(&mut self, spi_in: u32, mut sa: Arc<OutboundSa>, is_standby: bool) {
        self.take(spi_in);
        self.installed += 1;
        if !is_standby {
            sa.begin();
        }
        own(&mut sa).place(self.installed, is_standby);
        self.put(spi_in, sa);
    }

    fn put(&mut self, spi_in: u32, sa: Arc<OutboundSa>) {
        self.levels(sa.order().is_standby()).insert(spi_in, &sa);
        self.count_following(self.following + usize::from(sa.follows()));
        self.held.insert(spi_in, sa);
    }

    fn take(&mut self, spi_in: u32) -> Option<Arc<OutboundSa>> {
        let sa = self.held.remove(spi_in)?;
        self.levels(sa.order().is_standby()).remove(spi_in, &sa);
        self.count_following(self.following - usize::from(sa.follows()));
        Some(sa)
    }

    fn count_following(&mut self, count: usize) {
        if count != self.following {
            self.following = count;
            self.fragments = fragments::tracker(self.fragments.take(), count > 0);
        }
    }

    const fn levels(&mut self, is_standby: bool) -> &mut Levels {
        if is_standby { &mut self.standby } else { &mut self.active }
    }
}

/// Returns an SA that was taken out to be changed: nothing else refers to it, so that it is not copied.
fn own(sa: &mut Arc<OutboundSa>) -> &mut OutboundSa {
    Arc::make_mut(sa)
}

#[cfg(test)]
mod tests;
