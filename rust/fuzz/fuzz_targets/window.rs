// SPDX-License-Identifier: Apache-2.0
//! The replay window against a plain set of numbers (RFC 4303 §3.4.3, App. A).
//!
//! The first octets choose width and ESN; then each five are a number's low half and whether its
//! packet verifies.
#![no_main]

use std::collections::HashSet;

use ikeway_esp::{MAX_WINDOW, MIN_WINDOW, Window};
use libfuzzer_sys::fuzz_target;

const CYCLE: i128 = 1 << 32;

fuzz_target!(|data: &[u8]| {
    let [high, low, esn, steps @ ..] = data else { return };
    let width = MIN_WINDOW + u32::from(u16::from_be_bytes([*high, *low]));
    let width = width.min(MAX_WINDOW);
    let mut window = Window::new(width, esn & 1 != 0).expect("the width is in range");
    let mut model = Model { width: width.into(), esn: esn & 1 != 0, top: 0, seen: HashSet::new() };
    for step in steps.chunks_exact(5) {
        let [verified, rest @ ..] = step else { return };
        let low = u32::from_be_bytes(rest.try_into().expect("four octets"));
        let pending = window.check(low);
        assert_eq!(pending.as_ref().map(|pending| pending.sequence()), model.expects(low));
        if let Some(pending) = pending.filter(|_| verified & 3 != 0) {
            model.take(pending.sequence());
            pending.accept();
        }
        assert_eq!(i128::from(window.top()), model.top);
    }
});

struct Model {
    width: i128,
    esn: bool,
    top: i128,
    seen: HashSet<u64>,
}

impl Model {
    /// With ESN the number is the one of those with that low half that is not left of the window
    /// and less than a cycle right of its bottom.
    fn expects(&self, low: u32) -> Option<u64> {
        let bottom = self.top - self.width + 1;
        let number = if self.esn {
            bottom + (i128::from(low) - bottom).rem_euclid(CYCLE)
        } else {
            low.into()
        };
        let number = u64::try_from(number).ok().filter(|number| *number != 0)?;
        let is_new = i128::from(number) >= bottom && !self.seen.contains(&number);
        is_new.then_some(number)
    }

    fn take(&mut self, number: u64) {
        self.seen.insert(number);
        self.top = self.top.max(number.into());
    }
}
