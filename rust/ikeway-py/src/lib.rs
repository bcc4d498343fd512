// SPDX-License-Identifier: Apache-2.0
//! The Python module `ikeway._engine`. It converts values and releases the GIL, and does nothing
//! else.

mod door;
mod engine;
mod error;
mod esp;
mod hmac;
mod mschap;
mod x25519;

use pyo3::prelude::*;

/// The Rust side of ikeway: the engine process, the daemon's sockets, ESP packets one at a time, and
/// old ciphers.
#[pymodule]
fn _engine(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<door::Door>()?;
    module.add_class::<engine::Engine>()?;
    module.add_class::<esp::EspSa>()?;
    module.add_class::<hmac::Hmac>()?;
    module.add_function(wrap_pyfunction!(x25519::x25519, module)?)?;
    module.add_function(wrap_pyfunction!(mschap::md4, module)?)?;
    module.add_function(wrap_pyfunction!(mschap::des_encrypt, module)?)?;
    error::register(module)
}
