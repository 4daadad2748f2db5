//! The file of a listening Unix socket: binding there, and removing it again. Only ever a socket is removed: one that
//! nobody listens at any more, or the listener's own. Knows paths and files; must not know connections.

use crate::error::Result;
use crate::sys::{self, FileId};
use socket2::{Domain, SockAddr, Socket, Type};
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How often, and how far apart, the lock on a directory is asked for.
const TURNS: u32 = 100;
const TURN_DELAY: Duration = Duration::from_millis(5);

/// The file that a listener has made. While its socket is open no other file can have the same numbers.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    id: FileId,
}

impl SocketFile {
    /// Removes it, unless something else is at its path by now.
    pub(super) fn remove(&self) {
        if sys::file_at(&self.path).is_ok_and(|(now, _)| now == self.id) {
            // Somebody may be faster.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// A socket bound to a path, and its file; none, where the path is an abstract name. `listen` makes a listener of it.
///
/// A socket that a listener left behind is replaced. Otherwise what is in the way stays: EADDRINUSE, where that is a
/// socket, else EEXIST.
pub(super) fn bind(
    path: &[u8],
    listen: impl Fn(Socket) -> io::Result<Socket>,
) -> Result<(Socket, Option<SocketFile>)> {
    let address = sys::unix_address(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    if path.starts_with(b"@") {
        socket.bind(&address)?;
        return Ok((listen(socket)?, None));
    }
    // The program may go elsewhere before it is removed.
    let path = std::path::absolute(sys::path(path))?;
    let _turn = take_turn(&path);
    match socket.bind(&address) {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            make_way(&path, &address, error)?;
            socket.bind(&address)?;
        }
        bound => bound?,
    }
    let (id, _) = sys::file_at(&path)?;
    let file = SocketFile { path, id };
    match listen(socket) {
        Ok(socket) => Ok((socket, Some(file))),
        Err(error) => {
            file.remove();
            Err(error.into())
        }
    }
}

/// Removes a socket that nobody listens at; `taken` where somebody does.
fn make_way(path: &Path, address: &SockAddr, taken: io::Error) -> io::Result<()> {
    match sys::file_at(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok((_, false)) => Err(sys::file_exists()),
        Ok(_) if !is_dead(address) => Err(taken),
        Ok(_) => fs::remove_file(path),
    }
}

fn is_dead(address: &SockAddr) -> bool {
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None).and_then(|probe| {
        probe.set_nonblocking(true)?;
        probe.connect(address)
    });
    matches!(probe, Err(error) if error.kind() == io::ErrorKind::ConnectionRefused)
}

/// Listeners of this library come to a directory one at a time, for a socket that is bound and does not listen yet looks
/// dead. Held as long as what this returns. A directory that cannot be locked is used all the same.
fn take_turn(path: &Path) -> Option<File> {
    let directory = File::open(path.parent()?).ok()?;
    for _ in 0..TURNS {
        match directory.try_lock() {
            Err(fs::TryLockError::WouldBlock) => std::thread::sleep(TURN_DELAY),
            _ => break,
        }
    }
    Some(directory)
}
