// SPDX-License-Identifier: Apache-2.0
//! The engine as an object: bound in the constructor, served until it ends.

use std::path::PathBuf;
use std::time::Duration;

use ikeway_io::Server;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

use crate::error::failed;

/// The engine of this process. SIGTERM and SIGINT end `run` from now on.
#[pyclass(unsendable, module = "ikeway._engine")]
pub(crate) struct Engine {
    server: Server,
}

#[pymethods]
impl Engine {
    /// Listen for a controller at `socket`.
    #[new]
    #[allow(clippy::needless_pass_by_value, reason = "Python's paths come by value")]
    fn new(socket: PathBuf) -> PyResult<Self> {
        let server = Server::bind(&socket).map_err(|error| failed(&error))?;
        Ok(Self { server })
    }

    /// Serve until told to end, or without a controller for `linger` seconds.
    fn run(&mut self, py: Python<'_>, linger: f64) -> PyResult<()> {
        let linger = Duration::try_from_secs_f64(linger)
            .map_err(|error| PyValueError::new_err(error.to_string()))?;
        let server = &mut self.server;
        py.detach(|| server.run(linger)).map_err(|error| failed(&error))
    }
}
