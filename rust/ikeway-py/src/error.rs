// SPDX-License-Identifier: Apache-2.0
//! Errors of the Rust side as exceptions of Python.

use ikeway_esp::{InstallError, Refusal};
use ikeway_io::EngineError;
use pyo3::create_exception;
use pyo3::exceptions::{PyException, PyOSError, PyRuntimeError, PyValueError};
use pyo3::prelude::*;

create_exception!(
    _engine,
    RefusedError,
    PyException,
    "A packet went no further; the argument is the reason's name."
);

pub(crate) fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("RefusedError", module.py().get_type::<RefusedError>())
}

pub(crate) fn refused(refusal: Refusal) -> PyErr {
    RefusedError::new_err(refusal.name())
}

pub(crate) fn not_installed(error: &InstallError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

pub(crate) fn failed(error: &EngineError) -> PyErr {
    match error.errno() {
        Some(errno) => PyOSError::new_err((errno, error.to_string())),
        None => PyRuntimeError::new_err(error.to_string()),
    }
}
