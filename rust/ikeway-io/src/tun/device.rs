// SPDX-License-Identifier: Apache-2.0
//! Makes the TUN interface; it lives as long as this process has it open.

use std::io::IoSlice;
use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use super::coalesce::Sink;
use super::header::HEADER_OCTETS;
use crate::error::{Attempt, EngineError};
use crate::udp::outcome;
use crate::without::{Technique, Without};

const DEVICE: &str = "/dev/net/tun";

/// An open queue of a TUN interface.
pub(crate) struct Tun {
    file: OwnedFd,
    name: String,
    takes_joined_udp: bool,
    mtu: usize,
}

impl Tun {
    /// Makes the interface `name` with this MTU and so many queues, and brings it up.
    ///
    /// The kernel gives the packets of a flow to one queue, that which wrote the flow's last packet to
    /// the host if there was any.
    pub(crate) fn create(
        name: &str,
        mtu: u32,
        queues: NonZeroU32,
        without: Without,
    ) -> Result<Vec<Self>, EngineError> {
        let several = if queues.get() > 1 { libc::IFF_MULTI_QUEUE } else { 0 };
        let what = || format!("TUN interface {name}");
        let first = Self::open(name, mtu, libc::IFF_TUN_EXCL | several)?;
        first.bring_up(mtu).attempt(|| format!("MTU {mtu} of {}", what()))?;
        let mut tuns = vec![first];
        for _ in 1..queues.get() {
            tuns.push(Self::open(name, mtu, several)?);
        }
        if without.has(Technique::Offload) {
            // After all were asked whether they take joined datagrams.
            tuns.iter().try_for_each(|tun| tun.set_offload(0)).attempt(what)?;
        }
        Ok(tuns)
    }

    fn open(name: &str, mtu: u32, extra: libc::c_int) -> Result<Self, EngineError> {
        let flags = OFlags::RDWR | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = open(DEVICE, flags, Mode::empty()).attempt(|| DEVICE.to_owned())?;
        let what = || format!("TUN interface {name}");
        let mut request = request(name)?;
        let kind = libc::IFF_TUN | libc::IFF_NO_PI | libc::IFF_VNET_HDR | extra;
        request.ifr_ifru.ifru_flags = low_half(kind);
        control(&file, libc::TUNSETIFF, &mut request).attempt(what)?;
        let mut tun =
            Self { file, name: name_of(&request), takes_joined_udp: false, mtu: mtu as usize };
        tun.set_header_length().attempt(what)?;
        tun.takes_joined_udp = tun.offload().attempt(what)?;
        Ok(tun)
    }

    /// Returns the name that the kernel gave it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Returns whether one write may hold several UDP datagrams for the kernel to cut (Linux 6.2).
    pub(crate) const fn takes_joined_udp(&self) -> bool {
        self.takes_joined_udp
    }

    /// Returns the MTU that it was made with.
    pub(crate) const fn mtu(&self) -> usize {
        self.mtu
    }

    /// Reads a packet behind its virtio-net header, without waiting. Returns the octets of both.
    pub(crate) fn read(&self, buffer: &mut [u8]) -> Result<usize, Errno> {
        rustix::io::read(&self.file, buffer)
    }

    fn set_header_length(&self) -> Result<(), Errno> {
        let mut length = i32::try_from(HEADER_OCTETS).unwrap_or(0);
        control(&self.file, libc::TUNSETVNETHDRSZ, &mut length)
    }

    /// Has the host leave checksums and the cutting of TCP, and of UDP where it can, to us. Returns
    /// whether it can.
    fn offload(&self) -> Result<bool, Errno> {
        let tcp = libc::TUN_F_CSUM | libc::TUN_F_TSO4 | libc::TUN_F_TSO6 | libc::TUN_F_TSO_ECN;
        let udp = libc::TUN_F_USO4 | libc::TUN_F_USO6;
        match self.set_offload(tcp | udp) {
            Ok(()) => Ok(true),
            Err(_) => self.set_offload(tcp).map(|()| false),
        }
    }

    fn set_offload(&self, flags: libc::c_uint) -> Result<(), Errno> {
        let flags = libc::c_ulong::from(flags);
        // SAFETY: the argument of TUNSETOFFLOAD is a number, not a pointer.
        outcome(unsafe { libc::ioctl(self.file.as_raw_fd(), libc::TUNSETOFFLOAD, flags) })
    }

    fn bring_up(&self, mtu: u32) -> Result<(), Errno> {
        let socket =
            socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
        let mut request = request(&self.name).map_err(|_| Errno::INVAL)?;
        request.ifr_ifru.ifru_mtu = i32::try_from(mtu).map_err(|_| Errno::INVAL)?;
        control(&socket, libc::SIOCSIFMTU, &mut request)?;
        request.ifr_ifru.ifru_flags = low_half(libc::IFF_UP | libc::IFF_RUNNING);
        control(&socket, libc::SIOCSIFFLAGS, &mut request)
    }
}

impl Sink for Tun {
    fn write(&self, parts: &[IoSlice<'_>]) {
        let _ = rustix::io::writev(&self.file, parts);
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

fn request(name: &str) -> Result<libc::ifreq, EngineError> {
    // SAFETY: all octets zero are a valid ifreq: an empty name and a union of numbers.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    let is_name = name.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'/');
    if name.is_empty() || name.len() >= request.ifr_name.len() || !is_name {
        return Err(EngineError::Request(format!("{name:?} is no name of an interface")));
    }
    for (place, octet) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *place = octet.cast_signed();
    }
    Ok(request)
}

fn name_of(request: &libc::ifreq) -> String {
    let octets = request.ifr_name.iter().map(|octet| octet.cast_unsigned());
    octets.take_while(|octet| *octet != 0).map(char::from).collect()
}

fn low_half(flags: libc::c_int) -> libc::c_short {
    i16::from_ne_bytes(u16::try_from(flags).unwrap_or(0).to_ne_bytes())
}

/// Runs an ioctl of which `argument` is the argument.
fn control<T>(file: impl AsFd, number: libc::Ioctl, argument: &mut T) -> Result<(), Errno> {
    // SAFETY: each caller gives the type that the kernel reads and writes for `number`, and it
    // lives through the call.
    outcome(unsafe { libc::ioctl(file.as_fd().as_raw_fd(), number, &raw mut *argument) })
}
