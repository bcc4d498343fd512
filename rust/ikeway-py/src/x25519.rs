// SPDX-License-Identifier: Apache-2.0
//! X25519 as a responder does it: both multiplications with one call (RFC 7748 §6.1).

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, X25519, agree};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

/// Return the public value of a private one, and the secret that it shares with the public value
/// `peer`. Raises `ValueError` if that is zero.
#[pyfunction]
pub(crate) fn x25519<'py>(
    py: Python<'py>,
    private: &[u8],
    peer: &[u8],
) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyBytes>)> {
    let refused = || PyValueError::new_err("a value of small order, or of another length");
    let ours = PrivateKey::from_private_key(&X25519, private).map_err(|_| refused())?;
    let public = ours.compute_public_key().map_err(|_| refused())?;
    let theirs = UnparsedPublicKey::new(&X25519, peer);
    let shared = agree(&ours, theirs, refused(), |secret| Ok(PyBytes::new(py, secret)))?;
    Ok((PyBytes::new(py, public.as_ref()), shared))
}
