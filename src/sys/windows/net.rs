//! Sockets: the system calls that std lacks, and the names that other platforms have others for.

use crate::error::{Error, Result};
use socket2::{SockAddr, SockRef, Type};
use std::io::{self, IoSlice};
use std::os::windows::io::{AsRawSocket, AsSocket};
use std::path::Path;
use std::sync::Once;
use windows_sys::Win32::Networking::WinSock::{
    SO_EXCLUSIVEADDRUSE, SOCKET, SOCKET_ERROR, SOL_SOCKET, WSADATA, WSAEWOULDBLOCK, WSASend, WSAStartup,
    recv as winsock_recv, send as winsock_send, setsockopt,
};

/// A socket by its number.
pub(crate) type RawSocket = std::os::windows::io::RawSocket;
/// A socket that is closed when this is dropped.
pub(crate) type OwnedSocket = std::os::windows::io::OwnedSocket;
/// A socket that somebody else keeps open.
pub(crate) type BorrowedSocket<'a> = std::os::windows::io::BorrowedSocket<'a>;

/// The number of a socket.
#[inline(always)]
pub(crate) fn raw(socket: &impl AsSocket) -> RawSocket {
    socket.as_socket().as_raw_socket()
}

/// The same socket, for as long as this one lives.
pub(crate) fn lend(socket: &impl AsSocket) -> BorrowedSocket<'_> {
    socket.as_socket()
}

/// The number as C has it: a SOCKET, of which the invalid one is −1 here.
pub(crate) fn number(socket: RawSocket) -> isize {
    socket as isize
}

/// The stream socket with this number. From now on it does not block: no call here can say so for itself.
///
/// # Safety
/// It stays open for as long as what this returns is used.
pub(crate) unsafe fn borrow(number: isize) -> Result<BorrowedSocket<'static>> {
    start();
    // Handles have 32 bits; the system would not look at the others.
    let socket = u32::try_from(number).map_err(|_| Error::InvalidArgument("not a socket"))?;
    let socket = RawSocket::from(socket);
    // SAFETY: it is not the invalid one, and stays open by the caller's word.
    let socket = unsafe { BorrowedSocket::borrow_raw(socket) };
    if !matches!(SockRef::from(&socket).r#type(), Ok(Type::STREAM)) {
        return Err(Error::InvalidArgument("not a stream socket"));
    }
    SockRef::from(&socket).set_nonblocking(true)?;
    Ok(socket)
}

/// A socket of the library's own, which does not block from now on.
pub(crate) fn own(socket: OwnedSocket) -> OwnedSocket {
    // It fails only where there is no such socket, which the first call will tell.
    let _ = SockRef::from(&socket).set_nonblocking(true);
    socket
}

/// Makes sockets usable in this process. std and socket2 do so by themselves.
pub(super) fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        // SAFETY: all-zero is a valid place for WSAStartup to write to.
        unsafe { WSAStartup(0x202, &mut std::mem::zeroed::<WSADATA>()) };
    });
}

/// Implements std's traits for a type that has `lend()`.
macro_rules! as_socket {
    ($type:ty) => {
        impl std::os::windows::io::AsSocket for $type {
            fn as_socket(&self) -> std::os::windows::io::BorrowedSocket<'_> {
                self.lend()
            }
        }

        impl std::os::windows::io::AsRawSocket for $type {
            fn as_raw_socket(&self) -> std::os::windows::io::RawSocket {
                self.lend().as_raw_socket()
            }
        }
    };
}
pub(crate) use as_socket;

/// Receives without blocking: no socket here does.
pub(crate) fn recv(socket: RawSocket, space: &mut [u8]) -> io::Result<usize> {
    let length = i32::try_from(space.len()).unwrap_or(i32::MAX);
    // SAFETY: the pointer and length lie within a live, writable slice.
    let n = unsafe { winsock_recv(socket as SOCKET, space.as_mut_ptr(), length, 0) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// The most that is sent at once: where there is any room, Windows takes all that it is given, and keeps it for a peer that reads
/// nothing.
const AT_ONCE: usize = 64 << 10;

/// Sends without blocking. There are no signals.
pub(crate) fn send(socket: RawSocket, bytes: &[u8]) -> io::Result<usize> {
    let length = bytes.len().min(AT_ONCE) as i32;
    // SAFETY: the pointer and length lie within a live slice.
    let n = unsafe { winsock_send(socket as SOCKET, bytes.as_ptr(), length, 0) };
    usize::try_from(n).map_err(|_| io::Error::last_os_error())
}

/// Sends several pieces without blocking.
pub(crate) fn send_vectored(socket: RawSocket, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let mut total = 0;
    let fits = |slice: &&IoSlice<'_>| {
        total += slice.len();
        total <= AT_ONCE
    };
    let count = match (slices.iter().take_while(fits).count(), slices.first()) {
        (0, Some(first)) => return send(socket, first),
        (count, _) => u32::try_from(count).unwrap_or(u32::MAX),
    };
    let mut sent = 0;
    // SAFETY: IoSlice is guaranteed to have the layout of WSABUF, which WSASend does not write to; the slices are alive for the
    // length of the call, which is not overlapped.
    let result = unsafe {
        WSASend(
            socket as SOCKET,
            slices.as_ptr().cast_mut().cast(),
            count,
            &mut sent,
            0,
            std::ptr::null_mut(),
            None,
        )
    };
    match result {
        SOCKET_ERROR => Err(io::Error::last_os_error()),
        _ => Ok(sent as usize),
    }
}

/// Ends the stream for the peer: nothing more will be sent.
pub(crate) fn end_sending(socket: &OwnedSocket) -> io::Result<()> {
    SockRef::from(socket).shutdown(std::net::Shutdown::Write)
}

/// Whether a connect() that does not wait has begun.
pub(crate) fn is_in_progress(error: &io::Error) -> bool {
    error.raw_os_error() == Some(WSAEWOULDBLOCK)
}

/// A port whose last listener is gone is free here in any case. SO_REUSEADDR would let any program take one that is in use, and
/// this keeps those away that set it.
pub(crate) fn share_address(socket: &socket2::Socket, reuse_port: bool) -> Result<()> {
    if reuse_port {
        return Err(Error::Unsupported("on Windows, listeners cannot share a port"));
    }
    let (on, size) = (1i32, size_of::<i32>() as i32);
    // SAFETY: the pointer and length are those of a live integer.
    let result = unsafe {
        setsockopt(
            socket.as_raw_socket() as SOCKET,
            SOL_SOCKET,
            SO_EXCLUSIVEADDRUSE,
            (&raw const on).cast(),
            size,
        )
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error().into()),
    }
}

/// Refused. Windows has Unix sockets, but neither std nor socket2 does there.
pub(crate) fn unix_address(_path: &[u8]) -> Result<SockAddr> {
    Err(Error::Unsupported("the library has no Unix sockets on Windows"))
}

/// The path that these bytes name.
pub(crate) fn path(bytes: &[u8]) -> &Path {
    Path::new(std::str::from_utf8(bytes).unwrap_or_default())
}

/// A file: never asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FileId(());

/// No file here is a socket.
pub(crate) fn file_at(path: &Path) -> io::Result<(FileId, bool)> {
    std::fs::symlink_metadata(path)?;
    Ok((FileId(()), false))
}

/// The error of what must not be there.
pub(crate) fn file_exists() -> io::Error {
    io::ErrorKind::AlreadyExists.into()
}
