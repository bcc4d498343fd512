// SPDX-License-Identifier: Apache-2.0
//! The control socket: who may connect, and messages with descriptors.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::Mode;
use rustix::io::{Errno, IoSlice};
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags, SocketAddrUnix,
    SocketFlags, SocketType, accept_with, bind, connect, listen, recv, sendmsg, socket_with,
    sockopt,
};
use rustix::process::{geteuid, umask};

use crate::error::{Attempt, EngineError};

/// Room for a Child SA with as many selectors as IKEv2 can name.
pub(super) const MESSAGE_OCTETS: usize = 1 << 18;
/// As many descriptors as one message can carry (SCM_MAX_FD).
const MAX_DESCRIPTORS: usize = 253;
/// How long a controller may leave its socket full.
const PATIENCE: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// The socket that controllers connect to; its file goes with it.
pub(super) struct Door {
    socket: OwnedFd,
    path: PathBuf,
}

impl Door {
    /// Binds the socket at `path`, for this user only. A file that nobody listens at is replaced.
    pub(super) fn open(path: &Path) -> Result<Self, EngineError> {
        let what = || format!("control socket {}", path.display());
        let address = SocketAddrUnix::new(path).attempt(what)?;
        let socket = seqpacket().attempt(what)?;
        let mut bound = bind_privately(&socket, &address);
        if bound == Err(Errno::ADDRINUSE) && is_deserted(&address).attempt(what)? {
            rustix::fs::unlink(path).attempt(what)?;
            bound = bind_privately(&socket, &address);
        }
        bound.attempt(what)?;
        listen(&socket, 4).attempt(what)?;
        Ok(Self { socket, path: path.to_owned() })
    }

    /// Returns who connects next, if it is this user or root.
    pub(super) fn accept(&self) -> Option<Connection> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = accept_with(&self.socket, flags).ok()?;
        let uid = sockopt::socket_peercred(&socket).ok()?.uid;
        (uid == geteuid() || uid.is_root()).then_some(Connection { socket })
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        // Somebody else may have removed it.
        let _ = rustix::fs::unlink(&self.path);
    }
}

impl AsFd for Door {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// One controller.
pub(super) struct Connection {
    socket: OwnedFd,
}

/// What a controller did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Heard {
    /// It sent a message of so many octets, more than fit if that is more than the buffer has.
    Message(usize),
    /// It went away.
    End,
    /// Nothing, for now.
    Nothing,
}

impl Connection {
    pub(super) fn receive(&self, buffer: &mut [u8]) -> Heard {
        match recv(&self.socket, buffer, RecvFlags::TRUNC) {
            Ok((_, 0)) => Heard::End,
            Ok((_, length)) => Heard::Message(length),
            Err(Errno::AGAIN | Errno::INTR) => Heard::Nothing,
            Err(_) => Heard::End,
        }
    }

    /// Sends a message that may be lost when the controller does not listen.
    pub(super) fn tell(&self, message: &[u8]) {
        let _ = self.send(message, &[]);
    }

    /// Sends a message that the controller waits for, with descriptors.
    pub(super) fn answer(
        &self,
        message: &[u8],
        descriptors: &[BorrowedFd<'_>],
    ) -> Result<(), Errno> {
        match self.send(message, descriptors) {
            Err(Errno::AGAIN) => {
                poll(&mut [PollFd::new(&self.socket, PollFlags::OUT)], Some(&PATIENCE))?;
                self.send(message, descriptors)
            }
            result => result,
        }
    }

    fn send(&self, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<(), Errno> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !descriptors.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(descriptors))
        {
            return Err(Errno::MSGSIZE);
        }
        let flags = SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        sendmsg(&self.socket, &[IoSlice::new(message)], &mut ancillary, flags).map(|_| ())
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn seqpacket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)
}

/// The mask makes the file private from its first moment.
fn bind_privately(socket: &OwnedFd, address: &SocketAddrUnix) -> Result<(), Errno> {
    let before = umask(Mode::from_raw_mode(0o177));
    let bound = bind(socket, address);
    umask(before);
    bound
}

/// Whether no engine answers behind the file.
fn is_deserted(address: &SocketAddrUnix) -> Result<bool, Errno> {
    Ok(connect(&seqpacket()?, address) == Err(Errno::CONNREFUSED))
}
