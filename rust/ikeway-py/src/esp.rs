// SPDX-License-Identifier: Apache-2.0
//! One direction or both of an SA, for vectors, tests and tools; packets of a running tunnel never
//! come here.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use ikeway_esp::{
    DirectionKeys, InboundSa, InstallError, OutboundSa, Policy, Refusal, Selector, Shared, Suite,
};
use ikeway_io::random_seed;
use pyo3::prelude::*;
use pyo3::types::PyBytes;

use crate::error::{failed, not_installed, refused};

/// An SA with the same keys both ways, that carries any inner packet.
#[pyclass(unsendable, module = "ikeway._engine")]
pub(crate) struct EspSa {
    outbound: OutboundSa,
    inbound: InboundSa,
}

#[pymethods]
impl EspSa {
    /// `after` is the last sequence number sent. CBC's IVs come from `iv_seed`, or are random.
    #[new]
    #[pyo3(signature = (
        spi, *, encr, key_bits, integ, encr_key, integ_key,
        esn=false, replay_window=64, after=0, iv_seed=None,
    ))]
    #[allow(clippy::too_many_arguments, reason = "they are keywords in Python")]
    fn new(
        spi: u32,
        encr: u16,
        key_bits: u16,
        integ: u16,
        encr_key: Vec<u8>,
        integ_key: Vec<u8>,
        esn: bool,
        replay_window: u32,
        after: u64,
        iv_seed: Option<[u8; 16]>,
    ) -> PyResult<Self> {
        let iv_seed = iv_seed.map_or_else(random_seed, Ok).map_err(|error| failed(&error))?;
        let keys = DirectionKeys { encr: encr_key, integ: integ_key };
        let made = Suite::find(encr, key_bits, integ).and_then(|suite| {
            let shared = Shared::new(spi, suite, esn, everything()?);
            let inbound = InboundSa::new(shared.clone(), &keys, replay_window)?;
            let nowhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0);
            let outbound = OutboundSa::new(shared, (nowhere, nowhere), &keys, &iv_seed, after)?;
            Ok(Self { outbound, inbound })
        });
        made.map_err(|error| not_installed(&error))
    }

    /// Return the ESP packet that carries the IP packet `inner`.
    fn seal<'py>(&self, py: Python<'py>, inner: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        let mut packet = vec![0; self.outbound.sealed_length(inner.len())];
        self.outbound.seal(inner, &mut packet).map_err(refused)?;
        Ok(PyBytes::new(py, &packet))
    }

    /// Return the IP packet that the ESP packet `packet` carries, and remember its sequence number.
    fn open<'py>(&mut self, py: Python<'py>, packet: &[u8]) -> PyResult<Bound<'py, PyBytes>> {
        if packet.first_chunk() != Some(&self.inbound.spi().to_be_bytes()) {
            return Err(refused(Refusal::UnknownSpi));
        }
        let mut packet = packet.to_vec();
        let inner = self.inbound.open(&mut packet).map_err(refused)?;
        Ok(PyBytes::new(py, packet.get(inner).unwrap_or_default()))
    }
}

fn everything() -> Result<Policy, InstallError> {
    let any = (0, u16::MAX);
    let ipv4 = Selector::new(0, any, Ipv4Addr::UNSPECIFIED.into(), Ipv4Addr::BROADCAST.into())?;
    let last = IpAddr::V6(Ipv6Addr::from(u128::MAX));
    let ipv6 = Selector::new(0, any, Ipv6Addr::UNSPECIFIED.into(), last)?;
    let everything = vec![ipv4, ipv6];
    Policy::new(everything.clone(), everything)
}
