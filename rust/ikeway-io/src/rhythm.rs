// SPDX-License-Identifier: Apache-2.0
//! What a thread that carries both ways does in its next round, from what its last ones found.
//!
//! A packet that comes alone should pass with as few calls of the kernel as there can be: each is a
//! part of its round trip. Of many packets that come together each call should take many.

/// Rounds in which a thread tries again what has just had something, before it asks what is there.
const ROUNDS: u32 = 8;

/// What is there, as a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// One packet, which has just ended a rest.
    Lone,
    Many,
}

/// The rounds since a thread last rested.
pub(crate) struct Rhythm {
    pace: Pace,
    has_found: bool,
    /// Rounds since it last asked what is there.
    rounds: u32,
    has_to_send: bool,
    /// Whether the host has had something to send as soon as it got something.
    has_answers: bool,
}

impl Rhythm {
    pub(crate) const fn new() -> Self {
        Self {
            pace: Pace::Many,
            has_found: false,
            rounds: 0,
            has_to_send: false,
            has_answers: true,
        }
    }

    /// Begins a round, and returns whether to ask what is there.
    ///
    /// Where something was there is likely to be more, which costs less to try than to ask; but not
    /// where a packet has ended a rest.
    pub(crate) fn begin(&mut self) -> bool {
        let is_likely = std::mem::take(&mut self.has_found) && self.pace == Pace::Many;
        let asks = !is_likely || self.rounds == ROUNDS;
        self.rounds = if asks { 0 } else { self.rounds + 1 };
        self.has_to_send = true;
        asks
    }

    /// Takes the answer: whether it took a rest until something was there, and whether that is the
    /// host's.
    pub(crate) const fn answered(&mut self, has_rested: bool, has_to_send: bool) {
        self.pace = if has_rested { Pace::Lone } else { Pace::Many };
        self.has_to_send = has_to_send;
        self.has_answers |= has_to_send && !has_rested;
    }

    pub(crate) const fn pace(&self) -> Pace {
        self.pace
    }

    /// Whether to try and send.
    pub(crate) const fn sends(&self) -> bool {
        self.has_to_send || self.has_answers
    }

    /// Notes what came of receiving.
    pub(crate) const fn received(&mut self, has_some: bool) {
        self.has_found |= has_some;
    }

    /// Notes what came of sending.
    pub(crate) const fn sent(&mut self, has_some: bool) {
        self.has_found |= has_some;
        self.has_answers = has_some && (self.has_answers || !self.has_to_send);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_packet_is_not_followed_by_trials() {
        let mut rhythm = Rhythm::new();
        assert!(rhythm.begin());
        rhythm.answered(true, true);
        assert_eq!(rhythm.pace(), Pace::Lone);
        assert!(rhythm.sends());
        rhythm.sent(true);
        assert!(rhythm.begin());
    }

    #[test]
    fn what_has_just_had_something_is_tried_again_for_a_while() {
        let mut rhythm = Rhythm::new();
        assert!(rhythm.begin());
        rhythm.answered(false, true);
        for _ in 0..ROUNDS {
            rhythm.sent(true);
            assert!(!rhythm.begin());
            assert!(rhythm.sends());
        }
        rhythm.received(true);
        assert!(rhythm.begin());
        rhythm.answered(false, false);
        assert!(rhythm.begin(), "nothing was found");
    }

    #[test]
    fn a_host_that_answers_at_once_is_asked_at_once() {
        let mut rhythm = Rhythm::new();
        let receive = |rhythm: &mut Rhythm, has_answer: bool| {
            rhythm.begin();
            rhythm.answered(true, false);
            rhythm.received(true);
            let is_asked = rhythm.sends();
            if is_asked {
                rhythm.sent(has_answer);
            }
            is_asked
        };
        assert!(receive(&mut rhythm, true));
        assert!(receive(&mut rhythm, false));
        assert!(!receive(&mut rhythm, true), "the last was not answered");
        // The answer is there before there was a rest.
        assert!(rhythm.begin());
        rhythm.answered(false, true);
        rhythm.sent(true);
        assert!(receive(&mut rhythm, true));
    }
}
