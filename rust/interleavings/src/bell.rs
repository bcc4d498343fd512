// SPDX-License-Identifier: Apache-2.0
//! What stands for an eventfd and `poll`.

use std::sync::Arc;

use loom::sync::{Condvar, Mutex};

use crate::error::EngineError;

/// A bell that one thread waits for.
#[derive(Clone)]
pub struct Bell(Arc<(Mutex<bool>, Condvar)>);

impl Bell {
    pub fn new() -> Result<Self, EngineError> {
        Ok(Self(Arc::new((Mutex::new(false), Condvar::new()))))
    }

    pub fn ring(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_one();
    }

    pub fn hush(&self) -> bool {
        std::mem::replace(&mut self.0.0.lock().unwrap(), false)
    }

    pub fn wait(&self) {
        let mut is_ringing = self.0.0.lock().unwrap();
        while !*is_ringing {
            is_ringing = self.0.1.wait(is_ringing).unwrap();
        }
    }
}
