// SPDX-License-Identifier: Apache-2.0
//! Messages of the control channel: whatever a daemon says is understood or refused with a reason.
#![no_main]

use ikeway_io::fuzzing::read;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Err(reason) = read(data) {
        assert!(!reason.is_empty());
    }
});
