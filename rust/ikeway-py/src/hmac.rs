// SPDX-License-Identifier: Apache-2.0
//! HMAC with its key at hand (RFC 2104): an IKE SA is made with a dozen of them, each over a few
//! octets, so that what surrounds them is what they cost.

use aws_lc_rs::hmac::{
    Algorithm, Context, HMAC_SHA1_FOR_LEGACY_USE_ONLY, HMAC_SHA256, HMAC_SHA384, HMAC_SHA512, Key,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyTuple};

/// HMAC by a hash whose digests have `digest_octets`, with a key of any length.
#[pyclass(frozen, module = "ikeway._engine")]
pub(crate) struct Hmac {
    key: Key,
}

#[pymethods]
impl Hmac {
    #[new]
    fn new(digest_octets: usize, key: &[u8]) -> PyResult<Self> {
        Ok(Self { key: Key::new(algorithm(digest_octets)?, key) })
    }

    /// Return the whole code over the parts in order.
    #[pyo3(signature = (*parts))]
    fn compute<'py>(
        &self,
        py: Python<'py>,
        parts: &Bound<'py, PyTuple>,
    ) -> PyResult<Bound<'py, PyBytes>> {
        let mut code = Context::with_key(&self.key);
        for part in parts.iter_borrowed() {
            code.update(part.extract()?);
        }
        Ok(PyBytes::new(py, code.sign().as_ref()))
    }
}

fn algorithm(digest_octets: usize) -> PyResult<Algorithm> {
    match digest_octets {
        20 => Ok(HMAC_SHA1_FOR_LEGACY_USE_ONLY),
        32 => Ok(HMAC_SHA256),
        48 => Ok(HMAC_SHA384),
        64 => Ok(HMAC_SHA512),
        _ => Err(PyValueError::new_err(format!("no HMAC of {digest_octets} octets"))),
    }
}
