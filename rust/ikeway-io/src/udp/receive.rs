// SPDX-License-Identifier: Apache-2.0
//! Many datagrams with one call: recvmmsg, and UDP_GRO, which receives a run of datagrams as one.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

use super::address::{Control, Name};
use super::socket::last_errno;

/// As long as a run, or a packet, can be.
const MESSAGE_OCTETS: usize = 1 << 16;
/// From one message to the next. They mostly are much shorter, and what stands a power of two apart
/// would take each other's place in the processor's cache.
const STRIDE: usize = MESSAGE_OCTETS + 33 * 64;

/// A run of datagrams from one peer: all as long as the first, but for the last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) peer: SocketAddr,
    /// The address that they were sent to.
    pub(crate) destination: Option<IpAddr>,
    /// Differentiated services and ECN of the outer headers.
    pub(crate) class: u8,
    octets: Range<usize>,
    segment: usize,
}

impl Run {
    /// Returns one packet of a raw socket.
    #[cfg(test)]
    pub(crate) const fn of(peer: SocketAddr, destination: IpAddr) -> Self {
        Self { peer, destination: Some(destination), class: 0, octets: 0..0, segment: 1 }
    }

    /// Returns where in the batch each datagram is.
    pub(crate) fn datagrams(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let end = self.octets.end;
        let starts = self.octets.clone().step_by(self.segment);
        let segment = self.segment;
        starts.map(move |start| start..(start + segment).min(end))
    }
}

/// For UDP, where each message may be a long run.
pub(crate) type RunBatch = ReceiveBatch<8, 128>;
/// For what is in no UDP, where each is one packet: the kernel joins none. IPv6 may have extension
/// headers before AH, which come beside it: some 500 octets of them, more than what anybody sends.
pub(crate) type PacketBatch = ReceiveBatch<64, 640>;

/// The buffers of a call for so many messages, each with so much beside it, and what it received.
pub(crate) struct ReceiveBatch<const MESSAGES: usize, const CONTROL: usize> {
    octets: Box<[u8]>,
    names: [Name; MESSAGES],
    controls: [Control<CONTROL>; MESSAGES],
    runs: Vec<Run>,
    most: usize,
}

impl<const MESSAGES: usize, const CONTROL: usize> ReceiveBatch<MESSAGES, CONTROL> {
    pub(crate) fn new() -> Self {
        Self {
            octets: vec![0; MESSAGES * STRIDE].into_boxed_slice(),
            names: [Name::EMPTY; MESSAGES],
            controls: [Control::EMPTY; MESSAGES],
            runs: Vec::with_capacity(MESSAGES),
            most: MESSAGES,
        }
    }

    /// Receives no more messages than so many with a call.
    pub(crate) fn at_most(self, messages: usize) -> Self {
        Self { most: messages.min(MESSAGES), ..self }
    }

    /// Receives what is there, without waiting. Returns whether there may be more.
    pub(crate) fn receive(&mut self, socket: impl AsFd) -> Result<bool, Errno> {
        self.call(socket, false)
    }

    /// Does the same on a raw socket of IPv4, which gives the IP header, too: it is left out.
    pub(crate) fn receive_raw(&mut self, socket: impl AsFd) -> Result<bool, Errno> {
        self.call(socket, true)
    }

    fn call(&mut self, socket: impl AsFd, has_header: bool) -> Result<bool, Errno> {
        self.runs.clear();
        let mut vectors = self.vectors();
        let mut headers = self.headers(&mut vectors);
        let descriptor = socket.as_fd().as_raw_fd();
        let count = libc::c_uint::try_from(self.most).unwrap_or(0);
        let (pointer, flags) = (headers.as_mut_ptr(), libc::MSG_DONTWAIT);
        // SAFETY: the headers point to vectors, names, controls and octets that outlive the call,
        // with their lengths.
        let received =
            unsafe { libc::recvmmsg(descriptor, pointer, count, flags, std::ptr::null_mut()) };
        let received = match usize::try_from(received) {
            Ok(received) => received,
            Err(_) if last_errno() == Errno::AGAIN => 0,
            Err(_) => return Err(last_errno()),
        };
        for (place, header) in headers.iter().take(received).enumerate() {
            self.note(place, header, has_header);
        }
        Ok(received == self.most)
    }

    /// Returns the runs of the last call, and the octets that they are in.
    pub(crate) fn parts(&mut self) -> (&[Run], &mut [u8]) {
        (&self.runs, &mut self.octets)
    }

    /// Returns the packets of the last call, and what came beside each.
    pub(crate) fn packets(&self) -> impl Iterator<Item = (&Run, &[u8], &Control<CONTROL>)> {
        self.runs.iter().filter_map(|run| {
            let control = self.controls.get(run.octets.start / STRIDE)?;
            Some((run, self.octets.get(run.octets.clone())?, control))
        })
    }

    fn note(&mut self, place: usize, header: &libc::mmsghdr, has_header: bool) {
        let length = usize::try_from(header.msg_len).unwrap_or(0).min(MESSAGE_OCTETS);
        let name = self.names.get(place).and_then(Name::read);
        let control = self.controls.get_mut(place);
        let (Some(peer), Some(control)) = (name, control) else { return };
        let received = control.read(header.msg_hdr.msg_controllen);
        let start = place * STRIDE;
        let first = self.octets.get(start).copied().unwrap_or(0);
        let headers = if has_header { usize::from(first & 0x0f) * 4 } else { 0 };
        let segment = received.segment.unwrap_or(length).max(1);
        self.runs.push(Run {
            peer,
            destination: received.destination,
            class: received.class,
            octets: start + headers.min(length)..start + length,
            segment,
        });
    }

    fn vectors(&mut self) -> [libc::iovec; MESSAGES] {
        let mut vectors = [libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 }; MESSAGES];
        for (vector, octets) in vectors.iter_mut().zip(self.octets.chunks_exact_mut(STRIDE)) {
            vector.iov_base = octets.as_mut_ptr().cast();
            vector.iov_len = octets.len().min(MESSAGE_OCTETS);
        }
        vectors
    }

    fn headers(&mut self, vectors: &mut [libc::iovec; MESSAGES]) -> [libc::mmsghdr; MESSAGES] {
        let mut parts = vectors.iter_mut().zip(&mut self.names).zip(&mut self.controls);
        std::array::from_fn(|_| {
            // SAFETY: all octets zero are a valid mmsghdr: null pointers and lengths of 0.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            if let Some(((vector, name), control)) = parts.next() {
                header.msg_hdr.msg_iov = vector;
                header.msg_hdr.msg_iovlen = 1;
                header.msg_hdr.msg_name = name.as_mut_ptr();
                header.msg_hdr.msg_namelen = Name::EMPTY.length();
                header.msg_hdr.msg_control = control.as_mut_ptr();
                header.msg_hdr.msg_controllen = Control::<CONTROL>::OCTETS;
            }
            header
        })
    }
}
