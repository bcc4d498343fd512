// SPDX-License-Identifier: Apache-2.0
//! The daemon's sockets: datagrams of IKE as they come in.

use std::net::IpAddr;
use std::os::fd::RawFd;

use ikeway_io::{Challenge, Letter, Taken};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::failed;

/// What stands in a datagram, the address that it was sent to, the address and port that it is from.
type Datagram<'py> = (Bound<'py, PyBytes>, Option<Bound<'py, PyBytes>>, Bound<'py, PyBytes>, u16);

/// A socket of IKE that is read with few calls.
#[pyclass(unsendable, module = "ikeway._engine")]
pub(crate) struct Door {
    door: ikeway_io::Door,
}

#[pymethods]
impl Door {
    /// Read the socket `descriptor`; `is_marked` says that messages have a non-ESP marker.
    #[new]
    fn new(descriptor: RawFd, is_marked: bool) -> PyResult<Self> {
        let door = ikeway_io::Door::new(descriptor, is_marked).map_err(|error| failed(&error))?;
        Ok(Self { door })
    }

    /// Return what has come, how many first requests were asked for a cookie, and whether there may
    /// be more. `challenge` is the secrets of cookies, with their numbers, and what cookies begin
    /// with, if all have to bring one.
    #[allow(clippy::type_complexity, reason = "a tuple is the quickest value of Python")]
    fn take<'py>(
        &mut self,
        py: Python<'py>,
        challenge: Option<(Vec<(u8, Vec<u8>)>, &[u8])>,
    ) -> PyResult<(Vec<Datagram<'py>>, usize, bool)> {
        let challenge = challenge.map(|(secrets, head)| {
            Challenge::new(&secrets, head).ok_or_else(|| PyValueError::new_err("no such secret"))
        });
        let challenge = challenge.transpose()?;
        // Nothing in this waits, so that the GIL is kept.
        let Taken { letters, asked, is_more } = self.door.take(challenge.as_ref());
        let letters = letters.iter().map(|letter| datagram(py, letter)).collect();
        Ok((letters, asked, is_more))
    }
}

fn datagram<'py>(py: Python<'py>, letter: &Letter) -> Datagram<'py> {
    (
        PyBytes::new(py, &letter.octets),
        letter.destination.map(|ip| packed(py, ip)),
        packed(py, letter.peer.ip()),
        letter.peer.port(),
    )
}

fn packed(py: Python<'_>, ip: IpAddr) -> Bound<'_, PyBytes> {
    match ip {
        IpAddr::V4(ip) => PyBytes::new(py, &ip.octets()),
        IpAddr::V6(ip) => PyBytes::new(py, &ip.octets()),
    }
}
