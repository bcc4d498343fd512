// SPDX-License-Identifier: Apache-2.0
//! Many datagrams with one call: sendmmsg, and UDP_SEGMENT, which sends a run of datagrams as one.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsRawFd, BorrowedFd};

use rustix::io::Errno;

use super::address::{Control, Name};
use super::bare::is_bare;
use super::mtu::{bind_together, let_fragment};
use super::socket::last_errno;
use crate::without::{Technique, Without};

/// Runs per call.
const RUNS: usize = 64;
/// Datagrams per run that every kernel with UDP_SEGMENT takes.
const RUN_DATAGRAMS: usize = 64;
/// The largest payload of a UDP datagram over IPv4 (RFC 768, RFC 791).
const RUN_OCTETS: usize = 65_507;
/// Room for several runs, and small enough to stay in a core's cache.
const BATCH_OCTETS: usize = 5 << 16;

/// Where datagrams leave from and go to, and on which socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    pub(crate) socket: usize,
    pub(crate) local: SocketAddr,
    pub(crate) peer: SocketAddr,
    /// Differentiated services and ECN of the outer header.
    pub(crate) class: u8,
}

/// Datagrams of one path that stand next to each other: all as long as the first, but for the last.
#[derive(Debug)]
struct Run {
    path: Path,
    octets: Range<usize>,
    segment: usize,
    datagrams: usize,
    is_closed: bool,
}

impl Run {
    fn takes(&self, path: Path, length: usize) -> bool {
        !self.is_closed
            && self.path == path
            && length <= self.segment
            && self.datagrams < RUN_DATAGRAMS
            && self.octets.len() + length <= RUN_OCTETS
    }

    fn add(&mut self, length: usize) {
        self.octets.end += length;
        self.datagrams += 1;
        self.is_closed = length < self.segment;
    }
}

/// Datagrams that wait to be sent.
pub(crate) struct SendBatch {
    octets: Box<[u8]>,
    used: usize,
    runs: Vec<Run>,
    /// Runs per call, and whether the kernel cuts those that are of UDP.
    most: usize,
    cuts: bool,
    call: Call,
    too_long: Option<SocketAddr>,
}

impl SendBatch {
    pub(crate) fn new(without: Without) -> Self {
        Self {
            octets: vec![0; BATCH_OCTETS].into_boxed_slice(),
            used: 0,
            runs: Vec::with_capacity(RUNS),
            most: without.limit(Technique::Batches, RUNS),
            cuts: !without.has(Technique::Segment),
            call: Call::new(),
            too_long: None,
        }
    }

    /// Returns whether another datagram of `length` octets has a place.
    pub(crate) fn has_room(&self, length: usize) -> bool {
        self.runs.len() < RUNS && self.octets.len() - self.used >= length
    }

    /// Returns the free octets; the next datagram is written to their beginning.
    pub(crate) fn free(&mut self) -> &mut [u8] {
        self.octets.get_mut(self.used..).unwrap_or_default()
    }

    /// Adds the first `length` free octets as a datagram.
    pub(crate) fn push(&mut self, path: Path, length: usize) {
        let octets = self.used..self.used + length;
        self.used = octets.end;
        match self.runs.last_mut().filter(|run| run.takes(path, length)) {
            Some(run) => run.add(length),
            // The kernel cuts runs of UDP only.
            None => self.runs.push(Run {
                path,
                octets,
                segment: length,
                datagrams: 1,
                is_closed: !self.cuts || is_bare(path.peer),
            }),
        }
    }

    /// Returns whom something was for that was longer than an interface takes, once.
    pub(crate) fn take_too_long(&mut self) -> Option<SocketAddr> {
        self.too_long.take()
    }

    /// Sends everything. Returns how many runs the kernel would not take as they were.
    pub(crate) fn flush<'a>(&mut self, socket: impl Fn(usize) -> Option<BorrowedFd<'a>>) -> usize {
        let mut refused = 0;
        let mut rest = self.runs.as_slice();
        while let Some(first) = rest.first() {
            let alike = rest.iter().take_while(|run| run.path.socket == first.path.socket);
            let count = alike.take(self.most).count();
            let (now, later) = rest.split_at(count);
            if let Some(socket) = socket(first.path.socket) {
                refused += send(&mut self.call, socket, &self.octets, now, &mut self.too_long);
            }
            rest = later;
        }
        self.runs.clear();
        self.used = 0;
        refused
    }
}

/// Sends runs on one socket. A run that is refused as a whole is sent by the datagram, which may be
/// fragmented.
fn send(
    call: &mut Call,
    socket: BorrowedFd<'_>,
    octets: &[u8],
    mut runs: &[Run],
    too_long: &mut Option<SocketAddr>,
) -> usize {
    let mut refused = 0;
    while let Some(first) = runs.first() {
        call.clear();
        for run in runs {
            call.add(run.path, octets.get(run.octets.clone()).unwrap_or_default(), run.segment);
        }
        let sent = match call.send(socket) {
            Ok(sent) if sent > 0 => sent,
            Err(Errno::INTR) => 0,
            _ => {
                refused += 1;
                if send_singly(call, socket, octets, first).is_err() {
                    *too_long = Some(first.path.peer);
                }
                1
            }
        };
        runs = runs.get(sent..).unwrap_or_default();
    }
    refused
}

/// Sends the datagrams of a run as messages of their own; what cannot be sent is lost, as on any
/// network. Fails if one was longer than the interface takes, and so left in fragments.
fn send_singly(
    call: &mut Call,
    socket: BorrowedFd<'_>,
    octets: &[u8],
    run: &Run,
) -> Result<(), Errno> {
    let octets = octets.get(run.octets.clone()).unwrap_or_default();
    let (mut next, mut outcome) = (0, Ok(()));
    while next < run.datagrams {
        call.clear();
        for datagram in octets.chunks(run.segment.max(1)).skip(next) {
            call.add(run.path, datagram, datagram.len());
        }
        let mut sent = call.send(socket);
        if sent == Err(Errno::MSGSIZE) {
            outcome = Err(Errno::MSGSIZE);
            sent = send_in_fragments(call, socket, run.path.peer.ip());
        }
        next += sent.unwrap_or(0).max(1);
    }
    outcome
}

/// Sends what an interface would not take whole, until it is known how much that takes.
#[cold]
fn send_in_fragments(
    call: &mut Call,
    socket: BorrowedFd<'_>,
    peer: IpAddr,
) -> Result<usize, Errno> {
    let_fragment(socket, peer)?;
    let sent = call.send(socket);
    bind_together(socket, peer)?;
    sent
}

/// The arguments of one call of sendmmsg.
struct Call {
    names: Vec<Name>,
    controls: Vec<Control>,
    vectors: Vec<libc::iovec>,
    headers: Vec<libc::mmsghdr>,
}

// SAFETY: the pointers belong to the messages that are being sent. `clear` comes before the next are
// added, so that nobody follows one that has come to another thread.
unsafe impl Send for Call {}

impl Call {
    fn new() -> Self {
        Self {
            names: Vec::with_capacity(RUNS),
            controls: Vec::with_capacity(RUNS),
            vectors: Vec::with_capacity(RUNS),
            headers: Vec::with_capacity(RUNS),
        }
    }

    fn clear(&mut self) {
        self.names.clear();
        self.controls.clear();
        self.vectors.clear();
    }

    /// Adds a message: `octets` as datagrams of `segment` octets each.
    fn add(&mut self, path: Path, octets: &[u8], segment: usize) {
        // DEVIATION RFC 3948 §2.1: the UDP checksum is not zero over IPv4 as it SHOULD be. UDP_SEGMENT
        // needs one, network cards compute it, and some paths drop datagrams without.
        let mut control = Control::EMPTY;
        control.push_source(path.local.ip());
        if path.class != 0 {
            control.push_class(path.peer.ip(), path.class);
        }
        if octets.len() > segment {
            control.push_segment(u16::try_from(segment).unwrap_or(u16::MAX));
        }
        self.names.push(Name::of(path.peer));
        self.controls.push(control);
        let iov_base = octets.as_ptr().cast_mut().cast();
        self.vectors.push(libc::iovec { iov_base, iov_len: octets.len() });
    }

    /// Sends the messages and returns how many of them left. The octets given to `add` must still
    /// be there.
    fn send(&mut self, socket: BorrowedFd<'_>) -> Result<usize, Errno> {
        self.point();
        let count = libc::c_uint::try_from(self.headers.len()).unwrap_or(0);
        let pointer = self.headers.as_mut_ptr();
        // SAFETY: the headers point to vectors, names and controls of `self` and to octets that the
        // only callers, `send` and `send_singly`, borrow through the call; the kernel reads
        // them only.
        let sent = unsafe { libc::sendmmsg(socket.as_raw_fd(), pointer, count, 0) };
        usize::try_from(sent).map_err(|_| last_errno())
    }

    fn point(&mut self) {
        self.headers.clear();
        let parts = self.names.iter_mut().zip(&mut self.controls).zip(&mut self.vectors);
        for ((name, control), vector) in parts {
            // SAFETY: all octets zero are a valid mmsghdr: null pointers and lengths of 0.
            let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
            header.msg_hdr.msg_namelen = name.length();
            header.msg_hdr.msg_name = name.as_mut_ptr();
            header.msg_hdr.msg_controllen = control.length();
            header.msg_hdr.msg_control = control.as_mut_ptr();
            header.msg_hdr.msg_iov = vector;
            header.msg_hdr.msg_iovlen = 1;
            self.headers.push(header);
        }
    }
}
