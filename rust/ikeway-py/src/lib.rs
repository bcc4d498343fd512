// SPDX-License-Identifier: Apache-2.0
//! The Python module `ikeway._engine`. It converts values and releases the GIL, and does nothing
//! else.

mod engine;
mod error;
mod esp;

use pyo3::prelude::*;

/// The Rust side of ikeway: the engine process, and ESP packets one at a time.
#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<engine::Engine>()?;
    module.add_class::<esp::EspSa>()?;
    error::register(module)
}
