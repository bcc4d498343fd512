// SPDX-License-Identifier: Apache-2.0
//! The kernel programs that hand IKE datagrams to one socket and ESP to that of its SA's queue (RFC 3948
//! §2.2).

use std::num::NonZeroU32;
use std::os::fd::{AsFd, AsRawFd};

use rustix::io::Errno;

/// A place in the group of sockets that share a port: the order in which they were bound. The workers'
/// come first, then those of ESP by their queues.
const IKE: u32 = 0;

/// Non-ESP marker and the Length field of the IKE header that follows it (RFC 7296 §3.1).
const MARKER_OCTETS: u32 = 4;
const LENGTH_OFFSET: u32 = MARKER_OCTETS + 24;

/// All of a packet.
const KEEP: u32 = u32::MAX;

/// A datagram is IKE's if it starts with the non-ESP marker and is as long as its IKE header says; any
/// other belongs to the queue that its SPI names (`lanes::owner`).
///
/// A longer one may be several datagrams that the kernel received as one (UDP_GRO): only the engine
/// takes those apart. Loads beyond the end make the program return 0, so that keepalives and stumps
/// go to IKE too. All that is IKE goes to the first worker: a daemon that has several replaces this
/// program by one that knows whose IKE SA it is, which is no business of the engine's.
fn program(workers: u32, queues: u32) -> [libc::sock_filter; 12] {
    [
        load(0),
        jump(libc::BPF_JEQ, 0, 0, 6),
        load(LENGTH_OFFSET),
        statement(libc::BPF_ALU | libc::BPF_ADD | libc::BPF_K, MARKER_OCTETS),
        statement(libc::BPF_MISC | libc::BPF_TAX, 0),
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_LEN, 0),
        compare_with_x(),
        statement(libc::BPF_RET | libc::BPF_K, IKE),
        load(0),
        statement(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, queues),
        statement(libc::BPF_ALU | libc::BPF_ADD | libc::BPF_K, workers),
        statement(libc::BPF_RET | libc::BPF_A, 0),
    ]
}

/// Steers the datagrams of the group that `esp` is the end of.
pub(crate) fn attach(esp: &[impl AsFd], workers: u32) -> Result<(), Errno> {
    let Some(first) = esp.first() else { return Err(Errno::INVAL) };
    let queues = u32::try_from(esp.len()).map_err(|_| Errno::INVAL)?;
    set(first, libc::SO_ATTACH_REUSEPORT_CBPF, &mut program(workers, queues))
}

/// Leaves a raw socket only what is of its queue, by the SPI that stands `spi_at` octets behind the IP
/// header. A socket of IPv4 sees that, too.
pub(crate) fn keep_own(
    socket: impl AsFd,
    is_ipv4: bool,
    spi_at: u32,
    queue: u32,
    queues: NonZeroU32,
) -> Result<(), Errno> {
    let header = if is_ipv4 {
        statement(libc::BPF_LDX | libc::BPF_B | libc::BPF_MSH, 0)
    } else {
        statement(libc::BPF_LDX | libc::BPF_W | libc::BPF_IMM, 0)
    };
    let mut filter = [
        header,
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_IND, spi_at),
        statement(libc::BPF_ALU | libc::BPF_MOD | libc::BPF_K, queues.get()),
        jump(libc::BPF_JEQ, queue, 0, 1),
        statement(libc::BPF_RET | libc::BPF_K, KEEP),
        statement(libc::BPF_RET | libc::BPF_K, 0),
    ];
    set(socket, libc::SO_ATTACH_FILTER, &mut filter)
}

/// Has a socket hear nothing.
pub(super) fn deafen(socket: impl AsFd) -> Result<(), Errno> {
    set(socket, libc::SO_ATTACH_FILTER, &mut [statement(libc::BPF_RET | libc::BPF_K, 0)])
}

fn set(socket: impl AsFd, option: i32, filter: &mut [libc::sock_filter]) -> Result<(), Errno> {
    let length = u16::try_from(filter.len()).unwrap_or(0);
    let program = libc::sock_fprog { len: length, filter: filter.as_mut_ptr() };
    let size = libc::socklen_t::try_from(size_of::<libc::sock_fprog>()).unwrap_or(0);
    // SAFETY: `program` and the instructions that it points to live through the call, and `size` is
    // its size.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const program).cast(),
            size,
        )
    };
    super::socket::outcome(result)
}

fn load(offset: u32) -> libc::sock_filter {
    statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, offset)
}

fn compare_with_x() -> libc::sock_filter {
    let code = libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_X;
    libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt: 0, jf: 1, k: 0 }
}

fn jump(test: u32, value: u32, when_true: u8, when_false: u8) -> libc::sock_filter {
    let code = libc::BPF_JMP | test | libc::BPF_K;
    libc::sock_filter {
        code: u16::try_from(code).unwrap_or(0),
        jt: when_true,
        jf: when_false,
        k: value,
    }
}

fn statement(code: u32, value: u32) -> libc::sock_filter {
    libc::sock_filter { code: u16::try_from(code).unwrap_or(0), jt: 0, jf: 0, k: value }
}
