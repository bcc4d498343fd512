// SPDX-License-Identifier: Apache-2.0
//! What stands for the tables of SAs: who has a half of the only pair, which must be in order at any time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

/// Who has which half. It is no thread's, and watches without being in the way: not loom's.
#[derive(Default)]
pub struct Watch {
    pub receives: AtomicBool,
    pub senders: AtomicUsize,
}

#[derive(Clone, Copy, Default)]
pub enum Nearness {
    Elsewhere,
    #[default]
    Everywhere,
    Here,
}

#[derive(Clone)]
pub struct Ends;

#[derive(Clone)]
pub struct Policy;

pub struct Spd;

#[derive(Clone)]
pub struct InboundSa(pub Arc<Watch>);

impl InboundSa {
    pub fn spi(&self) -> u32 {
        301
    }

    pub fn is_ah(&self) -> bool {
        false
    }

    pub fn expect_from(&mut self, _: Ends) {}
}

#[derive(Clone)]
pub struct OutboundSa(pub Arc<Watch>);

impl OutboundSa {
    pub fn handle(&self, _: Nearness) -> Self {
        self.clone()
    }
}

#[derive(Default)]
pub struct InboundTable(pub Option<InboundSa>);

impl InboundTable {
    pub fn insert(&mut self, sa: Box<InboundSa>) -> Result<(), ()> {
        sa.0.receives.store(true, SeqCst);
        self.0 = Some(*sa);
        Ok(())
    }

    pub fn get_mut(&mut self, _: u32) -> Option<&mut InboundSa> {
        self.0.as_mut()
    }

    pub fn remove(&mut self, _: u32) {
        if let Some(sa) = self.0.take() {
            assert_eq!(sa.0.senders.load(SeqCst), 0, "what still sends could not hear an answer");
            sa.0.receives.store(false, SeqCst);
        }
    }

    pub fn clear(&mut self) {
        self.remove(0);
    }
}

#[derive(Default)]
pub struct OutboundTable(pub Option<OutboundSa>);

impl OutboundTable {
    pub fn insert(&mut self, _: u32, sa: Arc<OutboundSa>) {
        assert!(sa.0.receives.load(SeqCst), "an answer could not be heard yet");
        sa.0.senders.fetch_add(1, SeqCst);
        self.0 = Some(OutboundSa::clone(&sa));
    }

    pub fn insert_standby(&mut self, spi_in: u32, sa: Arc<OutboundSa>) {
        self.insert(spi_in, sa);
    }

    pub fn remove(&mut self, _: u32) {
        if let Some(sa) = self.0.take() {
            sa.0.senders.fetch_sub(1, SeqCst);
        }
    }

    pub fn activate(&mut self, _: u32) {}

    pub fn migrate(&mut self, _: u32, _: Ends) -> bool {
        self.0.is_some()
    }

    pub fn trap(&mut self, _: u32, _: Policy) {}

    pub fn govern(&mut self, _: Option<Arc<Spd>>) {}

    pub fn untrap(&mut self, _: u32) {}

    pub fn clear(&mut self) {
        self.remove(0);
    }
}
