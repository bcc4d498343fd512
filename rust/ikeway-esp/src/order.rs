// SPDX-License-Identifier: Apache-2.0
//! Which of the SAs that select a packet goes first, as one number to compare.

use crate::nearness::Nearness;

const NEAREST: u32 = 62;
const STANDBY: u64 = 1 << 61;

/// How near an SA is, then its age. Of those that send the newest is the highest; of those on standby,
/// which are compared with each other only, the oldest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Order(u64);

impl Order {
    /// Returns that of an SA which is in no table yet.
    pub(crate) const fn of(nearness: Nearness) -> Self {
        Self((nearness as u64) << NEAREST)
    }

    /// Returns that of the same SA when it is the so many'th that came into a table.
    pub(crate) const fn at(self, installed: u64, is_standby: bool) -> Self {
        let age = if is_standby { STANDBY | (STANDBY - 1 - installed) } else { installed };
        Self(self.0 >> NEAREST << NEAREST | age)
    }

    pub(crate) const fn is_standby(self) -> bool {
        self.0 & STANDBY != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_goes_first_and_then_the_newest_or_on_standby_the_oldest() {
        use Nearness::{Elsewhere, Everywhere, Here};
        for is_standby in [false, true] {
            let of = |nearness, installed| Order::of(nearness).at(installed, is_standby);
            assert!(of(Here, 1) > of(Everywhere, 9) && of(Everywhere, 9) > of(Elsewhere, 5));
            assert_eq!(of(Here, 9) > of(Here, 8), !is_standby);
            assert_eq!(of(Here, 9).is_standby(), is_standby);
        }
        let woken = Order::of(Here).at(5, true).at(6, false);
        assert_eq!(woken, Order::of(Here).at(6, false));
    }
}
